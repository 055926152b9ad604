package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/environ"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/recovery"
	"lifeboat/remote"
)

// A session is one command line: what it names, and how it wants to be answered.
type session struct {
	*ui
	c   *cli.Context
	env environ.Env
	now func() time.Time
}

func newSession(c *cli.Context, u *ui, env environ.Env) *session {
	u.json = u.json || c.Bool("json")
	u.quiet, u.verbose, u.progress = c.Bool("quiet"), c.Bool("verbose"), c.String("progress")
	return &session{ui: u, c: c, env: env, now: time.Now}
}

// workers is how many frames are decoded at once.
func workers() int { return runtime.GOMAXPROCS(0) }

// config reads the configuration and puts what the command line says in its place.
func (s *session) config(paths []string) (*config.Config, error) {
	if !slices.Contains([]string{"auto", "bar", "plain", "none"}, s.progress) {
		return nil, usagef("", "--progress %s: want auto, bar, plain or none", s.progress)
	}
	cfg, err := config.Load(s.c.String("config"), s.env)
	if err != nil {
		return nil, err
	}
	if len(paths) > 0 {
		if cfg.Sources, err = config.ParseSources(paths, s.env.Dir); err != nil {
			return nil, usage(err)
		}
	}
	if urls := s.c.StringSlice("remote"); len(urls) > 0 {
		cfg.Remotes = nil
		for _, url := range urls {
			r, err := config.ParseRemote(url, s.env.Dir)
			if err != nil {
				return nil, usage(fmt.Errorf("--remote: %w", err))
			}
			cfg.Remotes = append(cfg.Remotes, r)
		}
	}
	if dir := s.c.String("store"); dir != "" {
		cfg.Local.Dir = s.env.Abs(dir)
	}
	return cfg, nil
}

// appName returns the name of the application. Where nothing names it, the only one that this machine knows is meant.
func (s *session) appName(cfg *config.Config) (string, error) {
	name, err := cfg.AppName(s.c.String("app"))
	if err == nil || !errors.Is(err, config.ErrNoApp) {
		if err != nil {
			err = usage(err)
		}
		return name, err
	}
	switch known := localstore.Known(s.env); len(known) {
	case 0:
		return "", usagef("give --remote URL, --store DIR or --app NAME", "nothing says which application is meant, and this machine knows none")
	case 1:
		return known[0], nil
	default:
		return "", usagef("give --app NAME", "nothing says which application is meant; this machine knows %s", strings.Join(known, ", "))
	}
}

// localDir returns where the local store of the application is, or would be.
func (s *session) localDir(cfg *config.Config) (dir, app string, err error) {
	app, err = s.appName(cfg)
	if cfg.Local.Dir != "" {
		if errors.As(err, new(*usageError)) && s.c.String("app") == "" {
			app, err = appOf(s.c.Context, cfg.Local.Dir)
		}
		return cfg.Local.Dir, app, err
	}
	if err != nil {
		return "", "", err
	}
	dir, err = localstore.Dir(app, s.env)
	return dir, app, err
}

// appOf returns the application that an existing local store belongs to.
func appOf(ctx context.Context, dir string) (string, error) {
	store, err := localstore.Open(ctx, dir)
	if err != nil {
		return "", usagef("give --app NAME", "nothing says which application is meant, and %s is no store yet", dir)
	}
	m, err := store.Marker(ctx)
	return m.App, err
}

// A place is a store and what to call it.
type place struct {
	layout.Store
	name string // "local", or that of the remote
	url  string
}

// openRemote makes the store of a configured remote.
func (s *session) openRemote(ctx context.Context, r config.Remote, create bool) (*place, error) {
	store, err := remote.Open(ctx, remote.Config{
		URL: r.URL, Endpoint: r.Endpoint, Region: r.Region, Profile: r.Profile,
		AccessKeyIDFile: r.AccessKeyIDFile, SecretAccessKeyFile: r.SecretAccessKeyFile,
		Create: create, Version: version, Getenv: s.env.Getenv,
	})
	if err != nil {
		return nil, usage(err)
	}
	name := r.Name
	if name == "" {
		name = "remote"
	}
	return &place{layout.Store{Store: store}, name, store.String()}, nil
}

// places returns every store that the command line names and that is there, the local one first. A remote that cannot be reached is
// among them: what is wrong with it shows when it is used.
func (s *session) places(ctx context.Context) ([]*place, error) {
	cfg, err := s.config(nil)
	if err != nil {
		return nil, err
	}
	var places []*place
	dir, _, err := s.localDir(cfg)
	if err != nil && len(cfg.Remotes) == 0 {
		return nil, err
	}
	if err == nil {
		local, openErr := localstore.Open(ctx, dir)
		switch {
		case openErr == nil:
			places = append(places, &place{local.Store, "local", dir})
		case !errors.Is(openErr, fs.ErrNotExist) && !errors.Is(openErr, fs.ErrPermission):
			return nil, openErr
		}
	}
	for _, r := range cfg.Remotes {
		p, err := s.openRemote(ctx, r, false)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil, &storeError{fmt.Errorf("there is no local store at %s, and no remote is named", dir), "give --remote URL, or make a first snapshot with lifeboat backup"}
	}
	return places, nil
}

func stores(places []*place) []layout.Store {
	out := make([]layout.Store, len(places))
	for i, p := range places {
		out[i] = p.Store
	}
	return out
}

// catalog lists what the places have. A place that fails is a warning as long as another one answers; the error, then also returned as
// partial, is for the exit code.
func (s *session) catalog(ctx context.Context, places []*place) (c *layout.Catalog, partial error, err error) {
	c, err = layout.List(ctx, stores(places)...)
	if c == nil {
		return nil, nil, err
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		s.warn("%s", printable(err.Error()))
	}
	return c, err, nil
}

// find opens the snapshot that a reference names, wherever it is.
func (s *session) find(ctx context.Context, text string) (*layout.Snapshot, []*place, error) {
	id, has, err := s.locate(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	snap, err := layout.OpenSnapshot(ctx, id, workers(), stores(has)...)
	return snap, has, err
}

func names(places []*place) string {
	var list []string
	for _, p := range places {
		list = append(list, p.url)
	}
	return strings.Join(list, " and ")
}

// openLocal takes the lock of the local store and opens it for writing. release gives the lock back.
func (s *session) openLocal(ctx context.Context, cfg *config.Config, command string) (store *localstore.Store, app string, release func(), err error) {
	dir, app, err := s.localDir(cfg)
	if err != nil {
		return nil, "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", nil, fmt.Errorf("make the local store: %w", err)
	}
	held, err := localstore.Lock(ctx, dir, "lifeboat "+command, s.c.Duration("wait"))
	if err != nil {
		return nil, "", nil, err
	}
	release = func() { held.Release() }
	if _, _, err := held.Sweep(); err != nil {
		release()
		return nil, "", nil, err
	}
	store, made, err := localstore.Prepare(ctx, dir, app, kit())
	if err != nil {
		release()
		return nil, "", nil, err
	}
	if made {
		s.note("made a new local store for %s at %s", app, dir)
	}
	return store, app, release, nil
}

// kit is what every store holds for the day when there is no lifeboat.
func kit() []layout.File {
	var files []layout.File
	for _, f := range recovery.Files() {
		files = append(files, layout.File{Name: f.Name, Data: f.Data})
	}
	return files
}

// writableRemotes opens the configured remotes for writing. One that was used before and is another now, or gone, is refused; one
// that cannot be reached is reported in failed, and the others serve.
func (s *session) writableRemotes(ctx context.Context, cfg *config.Config, local *localstore.Store, app string) (ready []*place, failed []error, err error) {
	for _, r := range cfg.Remotes {
		p, err := s.openRemote(ctx, r, false)
		if err != nil {
			return nil, nil, err
		}
		known, err := local.Known(p.url)
		if err != nil {
			return nil, nil, err
		}
		if known == "" {
			if p, err = s.openRemote(ctx, r, true); err != nil {
				return nil, nil, err
			}
		}
		err = s.claim(ctx, p, local, app, known)
		switch {
		case err == nil:
			ready = append(ready, p)
		case errors.Is(err, remote.ErrUnavailable) && ctx.Err() == nil:
			s.warn("%s", printable(err.Error()))
			failed = append(failed, err)
		default:
			return nil, nil, err
		}
	}
	return ready, failed, nil
}

// locate finds which snapshot a reference names, and the places that list it, without opening it.
func (s *session) locate(ctx context.Context, text string) (manifest.ID, []*place, error) {
	ref, err := manifest.ParseRef(text, time.Local)
	if err != nil {
		return manifest.ID{}, nil, usage(err)
	}
	places, err := s.places(ctx)
	if err != nil {
		return manifest.ID{}, nil, err
	}
	c, partial, err := s.catalog(ctx, places)
	if err != nil {
		return manifest.ID{}, nil, err
	}
	id, skipped, err := c.Resolve(ctx, ref, s.clock(ctx, places))
	if errors.Is(err, fs.ErrNotExist) {
		if partial != nil {
			return id, nil, partial // it may well be there
		}
		return id, nil, &noSnapshot{text, names(places), skipped}
	}
	if err != nil {
		return id, nil, err
	}
	for _, p := range skipped {
		s.warn("%s is newer and was passed over: %s", p.ID.Stamp, printable(p.Why))
	}
	var has []*place
	for _, p := range places {
		if slices.Contains(c.Where(id), p.Store) {
			has = append(has, p)
		}
	}
	return id, has, nil
}
