package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"gopkg.in/ini.v1"
)

// A profile is a named group of settings in the AWS tools' shared files. The config file calls it
// "profile NAME" (but "default"), the credentials file NAME.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
type profile struct {
	name        string
	config      section
	credentials section
	services    map[string]string // endpoint of each service that has one of its own
}

// A section is the part of one file.
type section struct {
	file   string
	values map[string]string
	nested map[string]map[string]string // what is indented below a value
}

// loadProfile reads the profile named, else that of AWS_PROFILE, else "default". A profile that was
// asked for must be there.
func loadProfile(env environ, name string) (profile, error) {
	p := profile{name: first(name, env.get("AWS_PROFILE"), "default")}
	p.config.file = sharedFile(env, "AWS_CONFIG_FILE", "config")
	p.credentials.file = sharedFile(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
	inConfig := "profile " + p.name
	if p.name == "default" {
		inConfig = p.name
	}
	if err := p.config.load(inConfig); err != nil {
		return profile{}, err
	}
	if err := p.credentials.load(p.name); err != nil {
		return profile{}, err
	}
	if p.name != "default" && p.config.values == nil && p.credentials.values == nil {
		return profile{}, fmt.Errorf("profile %q is neither in %s nor in %s: correct its name, or add it with aws configure --profile",
			p.name, p.config.file, p.credentials.file)
	}
	if name := p.config.values["services"]; name != "" {
		group := section{file: p.config.file}
		if err := group.load("services " + name); err != nil {
			return profile{}, err
		}
		p.services = map[string]string{}
		for service, settings := range group.nested {
			p.services[service] = settings["endpoint_url"]
		}
	}
	return p, nil
}

func sharedFile(env environ, variable, name string) string {
	if file := env.get(variable); file != "" {
		return file
	}
	home := env.get("HOME")
	if runtime.GOOS == "windows" {
		home = env.get("USERPROFILE")
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".aws", name)
}

// load reads one section of the file. A file that is missing is empty.
func (s *section) load(name string) error {
	if s.file == "" {
		return nil
	}
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) || notDirectory(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %v", s.file, cause(err))
	}
	// A # begins a comment after white space only: it may occur in a secret. Indented lines belong to
	// the value above them.
	file, err := ini.LoadSources(ini.LoadOptions{
		SpaceBeforeInlineComment: true,
		AllowNestedValues:        true,
		SkipUnrecognizableLines:  true,
		IgnoreContinuation:       true,
	}, data)
	if err != nil {
		return fmt.Errorf("read %s: it is no file of the AWS tools", s.file) // err would show a line of it
	}
	if !file.HasSection(name) {
		return nil
	}
	s.values, s.nested = map[string]string{}, map[string]map[string]string{}
	for _, key := range file.Section(name).Keys() {
		name := strings.ToLower(key.Name())
		s.values[name] = strings.TrimSpace(key.Value())
		for _, line := range key.NestedValues() {
			if k, v, ok := strings.Cut(line, "="); ok {
				if s.nested[name] == nil {
					s.nested[name] = map[string]string{}
				}
				s.nested[name][strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
			}
		}
	}
	return nil
}

// value returns a setting that is no secret. The credentials file goes before the config file.
func (p profile) value(key string) string {
	return first(p.credentials.values[key], p.config.values[key])
}

// endpoint returns where a service is, "s3" or "sts", as the environment and the profile have it, "" if they do not say.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func (p profile) endpoint(env environ, service string) string {
	if strings.EqualFold(first(env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), p.value("ignore_configured_endpoint_urls")), "true") {
		return ""
	}
	return first(env.get("AWS_ENDPOINT_URL_"+strings.ToUpper(service)), env.get("AWS_ENDPOINT_URL"), p.services[service], p.value("endpoint_url"))
}
