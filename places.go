package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
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

	glance *layout.Glance       // that a command which writes had at its beginning; nil if it had none
	lists  map[manifest.ID]bool // what the place was found to list while it was written to; nil if that is not known
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

// glances returns what was seen of places at the beginning.
func glances(places ...*place) map[layout.Store]*layout.Glance {
	seen := map[layout.Store]*layout.Glance{}
	for _, p := range places {
		if p.glance != nil {
			seen[p.Store] = p.glance
		}
	}
	return seen
}

func localPlace(local *localstore.Store) *place {
	return &place{Store: local.Store, name: "local", url: local.Path(), dir: local.Path()}
}

// openRemote makes the store of a configured remote. That it cannot be reached shows when it is used. A command that uploads gives w, in
// whose local store what is learned of the server is kept. local is the local store, nil if there is none: the servers that it knows are
// waited for when they do not answer.
func (s *session) openRemote(ctx context.Context, r config.Remote, create bool, w *writable, local *localstore.Store) (*place, error) {
	loc, err := remote.ParseURL(r.URL)
	if err != nil {
		return nil, usage(err)
	}
	cfg := remote.Config{
		URL: r.URL, Endpoint: r.Endpoint, Region: r.Region, Profile: r.Profile,
		AccessKeyIDFile: r.AccessKeyIDFile, SecretAccessKeyFile: r.SecretAccessKeyFile,
		RetryFor: time.Duration(cmp.Or(s.limits.retryFor, r.RetryFor)), Stall: time.Duration(r.Stall),
		Upload: s.limits.up, Download: s.limits.down,
		Known: func(url string) bool { return isKnown(local, url) }, Outage: func(o remote.Outage) { s.tellOutage(r.Name, o) },
		Create: create, Version: version, Getenv: s.env.Getenv,
	}
	if w != nil {
		s.remember(w, r.Name, &cfg)
	}
	store, err := remote.Open(ctx, cfg)
	if errors.Is(err, remote.ErrUnavailable) || diskspace.Full(err) {
		return nil, err
	}
	if err != nil {
		return nil, usage(err)
	}
	return &place{Store: layout.Store{Store: store}, name: r.Name, url: store.String(), dir: loc.Dir}, nil
}

// isKnown reports whether the remote at url was used before.
func isKnown(local *localstore.Store, url string) bool {
	if local == nil {
		return false
	}
	id, err := local.Known(url)
	return err == nil && id != ""
}

// tellOutage says that a remote is waited for, also with --quiet, so that nobody wonders why nothing happens.
func (s *session) tellOutage(name string, o remote.Outage) {
	if o.Over() {
		s.note("%s answers again, after %s", name, o.Lasts.Round(time.Second))
		return
	}
	s.warn("%s does not answer: %s; trying again for up to %s", name, printable(o.Cause), o.Left.Round(time.Second))
}

// gone reports that a place is a directory that is not there.
func (p *place) gone() bool {
	if p.dir == "" {
		return false
	}
	_, err := os.Stat(p.dir)
	return errors.Is(err, fs.ErrNotExist) || isFile(p.dir)
}

// isFile reports that something else than a directory is at a path, or above it.
func isFile(path string) bool {
	if path == "" {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR)
}

// needsLocal reports that there is no local store.
func (s *session) needsLocal(ctx context.Context, cfg *config.Config) error {
	dir, _, err := s.localDir(cfg)
	if err != nil {
		return err
	}
	if _, err = localstore.Open(ctx, dir); errors.Is(err, fs.ErrNotExist) {
		return noStore("lifeboat backup PATH makes one", "there is no local store at %s", dir)
	}
	return err
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
	var local *localstore.Store
	if err == nil {
		var openErr error
		local, openErr = localstore.Open(ctx, dir)
		switch {
		case openErr == nil:
			places = append(places, localPlace(local))
			safety, err := safetyPlace(ctx, local)
			if err != nil {
				return nil, err
			}
			if safety != nil {
				places = append(places, safety)
			}
			s.tellUnfinished(local)
		case errors.Is(openErr, fs.ErrPermission) && len(cfg.Remotes) > 0:
			s.detail("the local store is not used: %v", openErr)
		case !errors.Is(openErr, fs.ErrNotExist):
			return nil, openErr
		}
	}
	for _, r := range cfg.Remotes {
		p, err := s.openRemote(ctx, r, false, nil, local)
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
