// Package config reads the configuration file, lifeboat.yaml: which sources make up an application and
// where their snapshots go.
//
// Reading is strict. An unknown key, a key that occurs twice, a value of the wrong type, an alias or a
// second document is a problem, and all problems are reported at once, each with its line and column
// ([Error]). A typing error therefore never turns a backup into a smaller one.
//
// A file never holds a secret: keys come from the environment or from files that it names, and a URL
// with a user name or password in it is refused, without being repeated in the message.
//
// # Names
//
// A source that has no name takes one from the last element of its path, and so does an application:
// letters become lower case, every other byte that a name may not have becomes '-', what a name may not
// begin with is left out, and it ends after 64 bytes. So "/opt/My App/.Data" is called "data". Where
// nothing is left, or where two sources would have one name, a name must be given.
package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/manifest"
)

// Config is what a configuration file says, with defaults filled in and paths absolute.
type Config struct {
	App     string   `yaml:"app,omitempty" json:"app,omitempty"` // "" when the file does not name it; see AppName
	Sources []Source `yaml:"sources,omitempty" json:"sources,omitempty"`
	Remotes []Remote `yaml:"remotes,omitempty" json:"remotes,omitempty"`
	Local   Local    `yaml:"local" json:"local"`
	Limits  Limits   `yaml:"limits,omitempty" json:"limits,omitzero"`

	Compression Compression `yaml:"compression,omitempty" json:"compression,omitempty"` // of archives

	Barrier bool  `yaml:"barrier,omitempty" json:"barrier,omitempty"` // have writers wait for a moment, if databases are not of one instant otherwise
	Hooks   Hooks `yaml:"hooks,omitempty" json:"hooks,omitzero"`
	Drill   Drill `yaml:"drill,omitempty" json:"drill,omitzero"`

	File string `yaml:"-" json:"-"` // where it was read from; "" when there was no file
}

// Source is one thing to capture: a database, a file or a directory.
type Source struct {
	Name     string   `yaml:"name" json:"name"`
	Path     string   `yaml:"path" json:"path"` // absolute
	Exclude  []string `yaml:"exclude,omitempty" json:"exclude,omitempty"`
	Optional bool     `yaml:"optional,omitempty" json:"optional,omitempty"` // its absence is no failure

	ExcludeCaches bool `yaml:"exclude_caches,omitempty" json:"exclude_caches,omitempty"`
	OneFileSystem bool `yaml:"one_file_system,omitempty" json:"one_file_system,omitempty"`
}

// Remote is a store that snapshots are pushed to. The settings after URL are for S3 only; those that
// are empty follow the AWS conventions for the environment and the shared files.
type Remote struct {
	Name                string `yaml:"name" json:"name"`
	URL                 string `yaml:"url" json:"url"` // s3://bucket/prefix, file:///directory or an absolute path
	Endpoint            string `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	Region              string `yaml:"region,omitempty" json:"region,omitempty"`
	Profile             string `yaml:"profile,omitempty" json:"profile,omitempty"`
	AccessKeyIDFile     string `yaml:"access_key_id_file,omitempty" json:"access_key_id_file,omitempty"`         // absolute
	SecretAccessKeyFile string `yaml:"secret_access_key_file,omitempty" json:"secret_access_key_file,omitempty"` // absolute

	RetryFor Duration `yaml:"retry_for,omitempty" json:"retry_for,omitzero"` // how long a server that is down is waited for
	Stall    Duration `yaml:"stall,omitempty" json:"stall,omitzero"`         // for how long nothing may move

	Keep Keep `yaml:"keep,omitempty" json:"keep,omitzero"` // what prune leaves there
}

// Limits are how much of the network and the machine a run may take.
type Limits struct {
	Upload      Rate `yaml:"upload,omitempty" json:"upload,omitempty"`           // to all S3 remotes together
	Download    Rate `yaml:"download,omitempty" json:"download,omitempty"`       // from all of them
	Concurrency int  `yaml:"concurrency,omitempty" json:"concurrency,omitempty"` // archives on their way at once
	Memory      Size `yaml:"memory,omitempty" json:"memory,omitempty"`
}

// Local is about the local store.
type Local struct {
	Dir  string `yaml:"dir,omitempty" json:"dir,omitempty"` // absolute; "" for the usual place
	Keep int    `yaml:"keep" json:"keep"`                   // snapshots kept locally that every remote has; -1 for all of them

	Rules Keep `yaml:"-" json:"keep_rules,omitzero"` // what prune leaves here, which stands at keep in the file; Keep is -1 then

	SpoolMax     Size     `yaml:"spool_max,omitempty" json:"spool_max,omitempty"`           // of what waits here for a remote; 0 means most of what is free
	MaxPin       Duration `yaml:"max_pin,omitempty" json:"max_pin,omitempty"`               // how long a database may be pinned
	MaxBlock     Duration `yaml:"max_block,omitempty" json:"max_block,omitempty"`           // how long writers in a rollback mode may be kept from committing at a stretch
	MaxWALGrowth Size     `yaml:"max_wal_growth,omitempty" json:"max_wal_growth,omitempty"` // by how much its log may grow meanwhile
}

// Default returns the configuration that holds when there is no file, and that a file adds to.
func Default() *Config {
	return &Config{Local: Local{Keep: 1, MaxPin: Duration(time.Hour), MaxBlock: Duration(2 * time.Second), MaxWALGrowth: 1 << 30}}
}

// ErrNoApp says that nothing names the application.
var ErrNoApp = errors.New("the application has no name: give --app NAME")

// AppName returns the name of the application: flag (the value of --app) if it is not empty, else the
// configured one, else the last element of a remote's prefix or directory, else that of the first
// source's path, made to fit as the package documentation says. It returns [ErrNoApp] when none of
// these gives a name.
func (c *Config) AppName(flag string) (string, error) {
	for _, name := range []string{flag, c.App} {
		if name != "" {
			return name, checkName("application", name)
		}
	}
	for _, r := range c.Remotes {
		if name := fitName(r.lastElement()); name != "" {
			return name, nil
		}
	}
	if len(c.Sources) > 0 {
		if name := fitName(filepath.Base(c.Sources[0].Path)); name != "" {
			return name, nil
		}
	}
	return "", ErrNoApp
}

// checkName reports why a name that somebody wrote is refused.
func checkName(what, name string) error {
	if manifest.CheckName(name) == nil {
		return nil
	}
	return fmt.Errorf("%s name %q: want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first", what, name)
}

// fitName makes a name from the last element of a path, or "" when nothing of it can be kept.
func fitName(base string) string {
	fit := func(c byte) byte {
		switch {
		case 'A' <= c && c <= 'Z':
			return c + ('a' - 'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_':
			return c
		}
		return '-'
	}
	name := make([]byte, 0, len(base))
	for i := range len(base) {
		name = append(name, fit(base[i]))
	}
	trimmed := strings.TrimLeft(string(name), "._-")
	return trimmed[:min(len(trimmed), 64)]
}
