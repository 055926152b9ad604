package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A place is a store and what to call it.
type place struct {
	layout.Store
	name string // "local", or that of the remote
	url  string
	dir  string // "" for one in a bucket
}

// A placeName is a place in a document.
type placeName struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

func namesOf(places []*place) []placeName {
	list := []placeName{}
	for _, p := range places {
		list = append(list, placeName{p.name, p.url})
	}
	return list
}

func urls(places []*place) (list []string) {
	for _, p := range places {
		list = append(list, p.url)
	}
	return list
}

func stores(places []*place) []layout.Store {
	list := make([]layout.Store, len(places))
	for i, p := range places {
		list[i] = p.Store
	}
	return list
}

func localPlace(local *localstore.Store) *place {
	return &place{local.Store, "local", local.Path(), local.Path()}
}

// openRemote makes the store of a configured remote. That it cannot be reached shows when it is used.
func (s *session) openRemote(ctx context.Context, r config.Remote, create bool) (*place, error) {
	loc, err := remote.ParseURL(r.URL)
	if err != nil {
		return nil, usage(err)
	}
	store, err := remote.Open(ctx, remote.Config{
		URL: r.URL, Endpoint: r.Endpoint, Region: r.Region, Profile: r.Profile,
		AccessKeyIDFile: r.AccessKeyIDFile, SecretAccessKeyFile: r.SecretAccessKeyFile,
		Create: create, Version: version, Getenv: s.env.Getenv,
	})
	if errors.Is(err, remote.ErrUnavailable) {
		return nil, err
	}
	if err != nil {
		return nil, usage(err)
	}
	return &place{layout.Store{Store: store}, r.Name, store.String(), loc.Dir}, nil
}

// gone reports that a place is a directory that is not there.
func (p *place) gone() bool {
	if p.dir == "" {
		return false
	}
	_, err := os.Stat(p.dir)
	return errors.Is(err, fs.ErrNotExist)
}

// places returns every store that the command line names, the local one first if there is one.
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
			places = append(places, localPlace(local))
		case errors.Is(openErr, fs.ErrPermission) && len(cfg.Remotes) > 0:
			s.detail("the local store is not used: %v", openErr)
		case !errors.Is(openErr, fs.ErrNotExist):
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
		return nil, noStore("give --remote URL, or take a first snapshot with lifeboat backup PATH",
			"there is no local store at %s, and no remote is named", dir)
	}
	return places, nil
}

// catalog lists what the places have. A place that fails, or is no store, is a warning as long as another one has snapshots; it is
// then also returned as partial, for the exit code.
func (s *session) catalog(ctx context.Context, places []*place) (c *layout.Catalog, partial error, err error) {
	var there []*place
	var failed []error
	for _, p := range places {
		if p.gone() {
			failed = append(failed, noDirectory(p))
		} else {
			there = append(there, p)
		}
	}
	if c, err = layout.List(ctx, stores(there)...); err != nil {
		failed = append(failed, err)
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if c != nil {
		failed = append(failed, noStores(ctx, c, there)...)
	}
	if c == nil || len(c.IDs) == 0 && len(failed) > 0 {
		return nil, nil, errors.Join(failed...)
	}
	for _, err := range failed {
		s.warn("%s", explain(err))
	}
	return c, errors.Join(failed...), nil
}

func noDirectory(p *place) error {
	return noStore("is it mounted, and is the path right?", "there is no directory %s", p.dir)
}

// noStores finds the places that answered and have nothing, because they are no stores: most likely, a name is mistyped.
func noStores(ctx context.Context, c *layout.Catalog, places []*place) (failed []error) {
	has := map[layout.Store]bool{}
	for _, id := range c.IDs {
		for _, store := range c.Where(id) {
			has[store] = true
		}
	}
	for _, p := range places {
		if has[p.Store] || !slices.Contains(c.Answered, p.Store) {
			continue
		}
		if _, err := p.Marker(ctx); errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, noStore("is the name right? lifeboat backup makes a new store", "there is no store at %s", p.url))
		}
	}
	return failed
}

// resolve finds which snapshot a reference names and the places that list it, and tells what "latest" passes over.
func (s *session) resolve(ctx context.Context, c *layout.Catalog, places []*place, text string) (id manifest.ID, has []*place, skipped []manifest.Skipped, err error) {
	ref, err := manifest.ParseRef(text, time.Local)
	if err != nil {
		return id, nil, nil, usage(err)
	}
	id, skipped, err = c.Resolve(ctx, ref, s.clock(ctx, c.Answered))
	if errors.Is(err, fs.ErrNotExist) {
		err = noSnapshot(text, strings.Join(urls(places), " and "), skipped)
	}
	if err != nil {
		return id, nil, skipped, err
	}
	for _, p := range skipped {
		s.warn("%s is newer and was passed over: %s", p.ID.Stamp, printable(p.Why))
	}
	for _, p := range places {
		if slices.Contains(c.Where(id), p.Store) {
			has = append(has, p)
		}
	}
	return id, has, skipped, nil
}

// find opens the snapshot that a reference names, wherever it is.
func (s *session) find(ctx context.Context, text string) (*layout.Snapshot, []*place, error) {
	places, err := s.places(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, partial, err := s.catalog(ctx, places)
	if err != nil {
		return nil, nil, err
	}
	id, has, _, err := s.resolve(ctx, c, places, text)
	if err != nil && partial != nil && classify(ctx, err).code == codeNoSnapshot {
		return nil, nil, partial // it may well be there
	}
	if err != nil {
		return nil, nil, err
	}
	snap, err := layout.OpenSnapshot(ctx, id, workers(), stores(has)...)
	return snap, has, err
}
