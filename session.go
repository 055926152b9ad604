package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/environ"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
)

// A session is one command line: what it names, and how it wants to be answered.
type session struct {
	*ui
	c   *cli.Context
	env environ.Env
	now func() time.Time

	scratch scratch
	kept    layout.Keeper // of what was read before; nil where everything is to be read
	limits  *limits       // nil until the configuration is read
	keep    time.Duration // for how long a restore in place can be undone
}

func newSession(c *cli.Context, u *ui, env environ.Env) *session {
	u.json, u.quiet, u.verbose = c.Bool("json"), c.Bool("quiet"), c.Bool("verbose")
	u.progress = cmp.Or(c.String("progress"), "auto")
	return &session{ui: u, c: c, env: env, now: env.Now}
}

// config reads the configuration and puts what the command line says in its place.
func (s *session) config(paths []string) (*config.Config, error) {
	if !slices.Contains([]string{"auto", "bar", "plain", "none"}, s.progress) {
		return nil, usagef("", "--progress %s: want auto, bar, plain or none", s.progress)
	}
	cfg, err := config.Load(s.c.String("config"), s.env)
	if errors.As(err, new(*config.Error)) {
		return nil, err
	}
	if err != nil {
		return nil, unreadableConfig(err)
	}
	if _, err := cfg.AppName(s.c.String("app")); err != nil && !errors.Is(err, config.ErrNoApp) {
		return nil, usage(err)
	}
	if len(paths) > 0 {
		if cfg.Sources, err = config.ParseSources(paths, s.env.Dir); err != nil {
			return nil, usage(err)
		}
	}
	if urls := given(s.c.StringSlice("remote")); len(urls) > 0 {
		if cfg.Remotes, err = s.remotes(urls); err != nil {
			return nil, err
		}
	}
	if dir := s.c.String("store"); dir != "" {
		cfg.Local.Dir = s.env.Abs(dir)
	}
	return cfg, s.limit(cfg)
}

// unreadableConfig is the error of a configuration file that could not be read at all.
func unreadableConfig(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &failure{codeUsage, "usage", err, "lifeboat config example shows one to begin with"}
	case errors.Is(err, fs.ErrPermission):
		return &failure{codeUsage, "usage", err, "run it as a user who may read it, or name another with --config FILE"}
	}
	return &failure{codeUsage, "usage", err, "name a file with --config FILE"}
}

// remotes reads the URLs of --remote. Two of one name are told apart by a number; one that is named twice is a mistake.
func (s *session) remotes(urls []string) (list []config.Remote, err error) {
	times := map[string]int{}
	for _, url := range urls {
		r, err := config.ParseRemote(url, s.env.Dir)
		if err != nil {
			return nil, usage(fmt.Errorf("--remote: %w", err))
		}
		if slices.ContainsFunc(list, func(other config.Remote) bool { return other.URL == r.URL }) {
			return nil, usagef("", "--remote %s is given twice", url)
		}
		if times[r.Name]++; times[r.Name] > 1 {
			r.Name = fmt.Sprintf("%s-%d", r.Name, times[r.Name])
		}
		list = append(list, r)
	}
	return list, nil
}

// given returns the values of a flag without empty ones, which an empty environment variable gives.
func given(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

// appName returns the name of the application. Where nothing names it, the only one that this machine knows is meant.
func (s *session) appName(cfg *config.Config) (string, error) {
	name, err := cfg.AppName(s.c.String("app"))
	if !errors.Is(err, config.ErrNoApp) {
		return name, err
	}
	switch known := localstore.Known(s.env); len(known) {
	case 0:
		if dir := localstore.Closed(s.env); dir != "" {
			return "", &failure{codeFailed, "permission", fmt.Errorf("the local store %s: %w", dir, fs.ErrPermission), "run it as a user who may read it, or name a remote with --remote URL"}
		}
		return "", noStore("give --remote URL or --store DIR, or take a first snapshot with lifeboat backup PATH",
			"there is no local store on this machine, and no remote is named")
	case 1:
		return known[0], nil
	default:
		return "", usagef("give --app NAME", "nothing says which application is meant; this machine knows %s", strings.Join(known, ", "))
	}
}

// localDir returns where the local store of the application is, or would be.
func (s *session) localDir(cfg *config.Config) (dir, app string, err error) {
	if isFile(cfg.Local.Dir) {
		return "", "", noStore("--store names the directory of the local store", "%s is not a directory", cfg.Local.Dir)
	}
	app, err = s.appName(cfg)
	if cfg.Local.Dir != "" {
		if err != nil && s.c.String("app") == "" {
			app, err = appOf(s.c.Context, cfg.Local.Dir)
		}
		return cfg.Local.Dir, app, err
	}
	if err != nil {
		return "", "", err
	}
	if dir, err = localstore.Dir(app, s.env); err != nil {
		return "", "", usage(err)
	}
	if isFile(dir) {
		err = noStore("give another directory with --store DIR", "the local store %s is not a directory", dir)
	}
	return dir, app, err
}

// appOf returns the application that an existing local store belongs to.
func appOf(ctx context.Context, dir string) (string, error) {
	store, err := localstore.Open(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", noStore("is the path right? lifeboat backup PATH --store DIR makes one", "there is no store at %s", dir)
	}
	if err != nil {
		return "", err
	}
	m, err := store.Marker(ctx)
	return m.App, err
}
