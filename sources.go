package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"lifeboat/internal/config"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
)

// sources returns the sources that are selected, and those that are left out. That none of them is there is an error: a path is
// mistyped, and nothing should come of it, not even a store.
func (s *session) sources(cfg *config.Config) (sources []snapshot.Source, omitted []manifest.Omission, err error) {
	if len(cfg.Sources) == 0 {
		return nil, nil, usagef("lifeboat backup PATH, or write a lifeboat.yaml (lifeboat config example)", "nothing says what to back up")
	}
	only, except := s.c.StringSlice("only"), s.c.StringSlice("except")
	exclude, err := s.excludes()
	if err != nil {
		return nil, nil, err
	}
	if err := checkSelection(cfg.Sources, slices.Concat(only, except)); err != nil {
		return nil, nil, err
	}
	for _, src := range cfg.Sources {
		switch {
		case slices.Contains(except, src.Name):
			omitted = append(omitted, manifest.Omission{Source: src.Name, Why: "--except"})
		case len(only) > 0 && !slices.Contains(only, src.Name):
			omitted = append(omitted, manifest.Omission{Source: src.Name, Why: "not in --only"})
		default:
			sources = append(sources, snapshot.Source{
				Name: src.Name, Path: src.Path, Optional: src.Optional, Exclude: slices.Concat(src.Exclude, exclude),
				ExcludeCaches: src.ExcludeCaches || s.c.Bool("exclude-caches"), OneFileSystem: src.OneFileSystem || s.c.Bool("one-file-system"),
			})
		}
	}
	if len(sources) == 0 {
		return nil, nil, usagef("", "--only and --except leave nothing to back up")
	}
	return sources, omitted, checkPaths(sources)
}

// maxExcludeFile is how many bytes a file of patterns may have.
const maxExcludeFile = 1 << 20

// excludes returns the patterns of the command line: those of --exclude-file, then those of --exclude, which so have the last word.
func (s *session) excludes() (patterns []string, err error) {
	for _, name := range s.c.StringSlice("exclude-file") {
		f, err := os.Open(s.env.Abs(name))
		if err != nil {
			return nil, usage(fmt.Errorf("--exclude-file: %w", err))
		}
		text, err := io.ReadAll(io.LimitReader(f, maxExcludeFile+1))
		f.Close()
		if err == nil && len(text) > maxExcludeFile {
			err = fmt.Errorf("it has more than %d bytes", maxExcludeFile)
		}
		var more []string
		if err == nil {
			more, err = snapshot.ParseExcludes(string(text))
		}
		if err != nil {
			return nil, usage(fmt.Errorf("--exclude-file %s: %w", name, err))
		}
		patterns = append(patterns, more...)
	}
	for _, p := range s.c.StringSlice("exclude") {
		if err := snapshot.CheckExclude(p); err != nil {
			return nil, usage(err)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// checkSelection reports names and patterns that cannot be meant.
func checkSelection(sources []config.Source, names []string) error {
	var known []string
	for _, src := range sources {
		known = append(known, src.Name)
		for _, p := range src.Exclude {
			if err := snapshot.CheckExclude(p); err != nil {
				return usage(fmt.Errorf("source %s: %w", src.Name, err))
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return usagef(fmt.Sprintf("the sources are %s", strings.Join(known, ", ")), "there is no source %q", name)
		}
	}
	return nil
}

// checkPaths reports a source that can be none, and that none of them is there, or ours to read.
func checkPaths(sources []snapshot.Source) error {
	var problems []error
	for _, src := range sources {
		if err := canRead(src.Path); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) < len(sources) {
		return nil
	}
	err := errors.Join(problems...)
	if errors.As(err, new(*failure)) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &failure{codeFailed, "no_source", err, "check the path, and whether the disk that it is on is mounted"}
}

// canRead reports why a source cannot be read at all.
func canRead(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s to back up", path)
	}
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return &failure{codeFailed, "no_source", fmt.Errorf("%s is neither a file nor a directory", path), "name a directory, a database or a file"}
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return fmt.Errorf("cannot read the source: %w", err)
	}
	return f.Close()
}

// avoid returns the directories that must not be in their own backup: the stores, also those that this command does not use.
func avoid(local string, remotes []config.Remote) []string {
	dirs := []string{local}
	for _, r := range remotes {
		if loc, err := remote.ParseURL(r.URL); err == nil && loc.Dir != "" {
			dirs = append(dirs, loc.Dir)
		}
	}
	return dirs
}
