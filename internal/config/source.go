package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ParseSource reads one source of the command line, PATH or NAME=PATH. A relative path is taken from
// dir, and PATH alone gives the name as the package documentation says. A path that has '=' in its
// first element is written with "./" before it.
func ParseSource(arg, dir string) (Source, error) {
	name, path, named := strings.Cut(arg, "=")
	switch {
	case named && strings.ContainsAny(name, `/\`):
		name, path, named = "", arg, false
	case named:
		if err := checkName("source", name); err != nil {
			return Source{}, fmt.Errorf("source %q: %w (for a path that has '=' in it, write ./%s)", arg, err, arg)
		}
	default:
		name, path = "", arg
	}
	if path == "" {
		return Source{}, fmt.Errorf("source %q: the path is empty", arg)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path = filepath.Clean(path)
	if !named {
		name = fitName(filepath.Base(path))
		if name == "" {
			return Source{}, fmt.Errorf("source %q: the path gives no name: write NAME=%s", arg, arg)
		}
	}
	return Source{Name: name, Path: path}, nil
}

// ParseSources reads the sources of the command line, each as [ParseSource] does. Two of one name are
// an error, and so is everything that is wrong with any of them; all of it is reported at once.
func ParseSources(args []string, dir string) ([]Source, error) {
	var sources []Source
	var problems []error
	first := map[string]string{}
	for _, arg := range args {
		s, err := ParseSource(arg, dir)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if other, taken := first[s.Name]; taken {
			problems = append(problems, fmt.Errorf(
				"sources %q and %q would both be named %q: name one of them, as in other-%s=%s", other, arg, s.Name, s.Name, s.Path))
			continue
		}
		first[s.Name] = arg
		sources = append(sources, s)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return sources, nil
}
