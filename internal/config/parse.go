package config

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxFile is how many bytes a configuration file may have.
const MaxFile = 1 << 20

// Parse reads the content of a configuration file. The path of the file, which should be absolute, is
// for messages, and relative paths in it are taken from the directory it is in. The error is an
// [*Error].
func Parse(file string, data []byte) (*Config, error) {
	root, problem := document(data)
	if problem != nil {
		return nil, &Error{File: file, Problems: []Problem{*problem}}
	}
	c := Default()
	c.File = file
	if root == nil {
		return c, nil
	}
	r := &reader{}
	p := &parser{reader: r, dir: filepath.Dir(file), config: c}
	p.root(root)
	if len(r.problems) > 0 {
		return nil, &Error{File: file, Problems: sorted(r.problems)}
	}
	return c, nil
}

// parser knows the keys of the file.
type parser struct {
	*reader
	dir    string // of the file
	config *Config
}

func (p *parser) root(n *yaml.Node) {
	c := p.config
	at := p.mapping(n, "the file",
		field{"app", p.text("app", &c.App)},
		field{"sources", p.list("sources", p.source)},
		field{"remotes", p.list("remotes", p.remote)},
		field{"local", p.local},
		field{"limits", p.limits},
		field{"compression", quantity(p.reader, "compression", ParseCompression, &c.Compression)},
		field{"barrier", p.boolean("barrier", &c.Barrier)},
		field{"hooks", p.hooks},
		field{"drill", p.drill},
	)
	if app := at["app"]; app != nil && c.App != "" {
		p.check(app, checkName("application", c.App))
	}
}

func (p *parser) source(n *yaml.Node) {
	var s Source
	at := p.mapping(n, "a source",
		field{"name", p.text("name", &s.Name)},
		field{"path", p.text("path", &s.Path)},
		field{"exclude", p.list("exclude", func(item *yaml.Node) {
			var pattern string
			p.text("a pattern of exclude", &pattern)(item)
			if pattern == "" {
				p.fail(item, "a pattern of exclude is empty")
			}
			s.Exclude = append(s.Exclude, pattern)
		})},
		field{"optional", p.boolean("optional", &s.Optional)},
		field{"exclude_caches", p.boolean("exclude_caches", &s.ExcludeCaches)},
		field{"one_file_system", p.boolean("one_file_system", &s.OneFileSystem)},
	)
	if !p.required(n, at, "path", s.Path) {
		return
	}
	s.Path = p.path(at["path"], s.Path)
	where := n
	if s.Name != "" {
		where = at["name"]
		p.check(where, checkName("source", s.Name))
	} else if s.Name = fitName(filepath.Base(s.Path)); s.Name == "" {
		p.fail(at["path"], "the path gives no name; add name: to this source")
	}
	for _, other := range p.config.Sources {
		if s.Name != "" && other.Name == s.Name {
			p.fail(where, "a second source is named %q; add name: with another name to one of them", s.Name)
			break
		}
	}
	p.config.Sources = append(p.config.Sources, s)
}

func (p *parser) remote(n *yaml.Node) {
	var r Remote
	at := p.mapping(n, "a remote",
		field{"name", p.text("name", &r.Name)},
		field{"url", p.text("url", &r.URL)},
		field{"endpoint", p.text("endpoint", &r.Endpoint)},
		field{"region", p.text("region", &r.Region)},
		field{"profile", p.text("profile", &r.Profile)},
		field{"access_key_id_file", p.text("access_key_id_file", &r.AccessKeyIDFile)},
		field{"secret_access_key_file", p.text("secret_access_key_file", &r.SecretAccessKeyFile)},
		field{"retry_for", quantity(p.reader, "retry_for", ParseDuration, &r.RetryFor)},
		field{"stall", quantity(p.reader, "stall", ParseDuration, &r.Stall)},
		field{"keep", p.keep(&r.Keep)},
	)
	if !p.required(n, at, "url", r.URL) {
		return
	}
	if r.AccessKeyIDFile != "" {
		r.AccessKeyIDFile = p.path(at["access_key_id_file"], r.AccessKeyIDFile)
	}
	if r.SecretAccessKeyFile != "" {
		r.SecretAccessKeyFile = p.path(at["secret_access_key_file"], r.SecretAccessKeyFile)
	}
	for _, problem := range r.normalize(p.dir) {
		where := at[problem.key]
		if where == nil {
			where = n
		}
		p.fail(where, "%s", problem.text)
	}
	where := at["url"]
	if at["name"] != nil {
		where = at["name"]
	}
	for _, other := range p.config.Remotes {
		if r.Name != "" && other.Name == r.Name {
			p.fail(where, "a second remote is named %q; add name: with another name to one of them", r.Name)
			break
		}
	}
	p.config.Remotes = append(p.config.Remotes, r)
}

func (p *parser) local(n *yaml.Node) {
	l := &p.config.Local
	at := p.mapping(n, "local",
		field{"dir", p.text("dir", &l.Dir)},
		field{"keep", p.localKeep(l)},
		field{"spool_max", quantity(p.reader, "spool_max", ParseSpool, &l.SpoolMax)},
		field{"max_pin", quantity(p.reader, "max_pin", ParseMaxPin, &l.MaxPin)},
		field{"max_block", quantity(p.reader, "max_block", ParseMaxBlock, &l.MaxBlock)},
		field{"max_wal_growth", quantity(p.reader, "max_wal_growth", ParseMaxWALGrowth, &l.MaxWALGrowth)},
	)
	if l.Dir != "" {
		l.Dir = p.path(at["dir"], l.Dir)
	}
}

func (p *parser) limits(n *yaml.Node) {
	l := &p.config.Limits
	p.mapping(n, "limits",
		field{"upload", quantity(p.reader, "upload", ParseRate, &l.Upload)},
		field{"download", quantity(p.reader, "download", ParseRate, &l.Download)},
		field{"concurrency", quantity(p.reader, "concurrency", ParseConcurrency, &l.Concurrency)},
		field{"memory", quantity(p.reader, "memory", ParseSize, &l.Memory)},
	)
}

// required reports whether a key has a value, and records its absence unless the value was refused
// already.
func (p *parser) required(n *yaml.Node, at map[string]*yaml.Node, key, value string) bool {
	switch {
	case value != "":
		return true
	case at[key] == nil && n.Kind == yaml.MappingNode:
		p.fail(n, "%s is missing", key)
	case at[key] != nil && at[key].Kind == yaml.ScalarNode && at[key].ShortTag() == "!!str" && at[key].Value == "":
		p.fail(at[key], "%s is empty", key)
	}
	return false
}

// path returns a path made absolute against the directory of the file.
func (p *parser) path(n *yaml.Node, path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		p.fail(n, "~ is not expanded here; write the whole path")
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(p.dir, path)
}

func (p *parser) check(n *yaml.Node, err error) {
	if err != nil {
		p.fail(n, "%s", err)
	}
}
