package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/recovery"
	"lifeboat/remote"
)

// writable is the stores that a command writes to.
type writable struct {
	local   *localstore.Store // nil while there is none
	safety  *localstore.Store // of safety snapshots; nil while there is none
	app     string
	config  []config.Remote // all that are to be written to
	remotes []*place        // those that can be written to
	late    []config.Remote // those that have not answered yet
	failed  []error         // why others cannot
	named   bool            // the snapshots to send were named, one by one
	healing healing
	release func() // gives the lock of the local store back
}

// open takes the lock of the local store and opens it for writing, and the remotes too if they are wanted. The caller releases it.
func (s *session) open(ctx context.Context, cfg *config.Config, remotes bool) (*writable, error) {
	dir, app, err := s.localDir(cfg)
	if err != nil {
		return nil, err
	}
	if err := roomForStore(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the local store: %w", err)
	}
	held, err := s.lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	w := &writable{app: app, release: func() { held.Release() }}
	var candidates []candidate
	if w.local, err = localstore.Open(ctx, dir); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	hasty := remote.WithPatience(ctx, atStart)
	if err == nil && remotes {
		w.config = cfg.Remotes
		candidates, err = s.consider(hasty, w, dir, cfg.Remotes)
	}
	if err == nil {
		err = s.prepare(ctx, w, held, dir)
	}
	if err == nil {
		w.safety, err = safetyStore(ctx, w.local)
	}
	if err == nil {
		err = s.claimAll(hasty, w, candidates)
	}
	if err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

// newStore is how many bytes must be free where a store is made. With less there would be half a store and no snapshot.
const newStore = 1 << 20

// roomForStore reports that there is too little room to make a store in dir, if there is none.
func roomForStore(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, layout.MarkerKey)); err == nil {
		return nil
	}
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return diskspace.Check(dir, newStore)
		}
		dir = filepath.Dir(dir)
	}
}

// lock takes the lock of the local store. Who waits for another process is told so.
func (s *session) lock(ctx context.Context, dir string) (*localstore.Held, error) {
	command, wait := "lifeboat "+s.c.Command.Name, s.c.Duration("wait")
	held, err := localstore.Lock(ctx, dir, command, 0)
	if wait <= 0 || !errors.As(err, new(*localstore.LockedError)) {
		return held, err
	}
	s.note("another lifeboat has the local store %s; waiting up to %s for it", dir, wait)
	return localstore.Lock(ctx, dir, command, wait)
}

// prepare makes the local store if there is none, and sweeps up what a crash has left.
func (s *session) prepare(ctx context.Context, w *writable, held *localstore.Held, dir string) error {
	if _, _, err := held.Sweep(); err != nil {
		return err
	}
	local, made, err := localstore.Prepare(ctx, dir, w.app, kit())
	if err != nil {
		return err
	}
	if made {
		s.note("made a new local store for %s at %s", w.app, dir)
	}
	w.local = local
	return nil
}

// kit is what every store holds for the day when there is no lifeboat.
func kit() []layout.File {
	var files []layout.File
	for _, f := range recovery.Files() {
		files = append(files, layout.File{Name: f.Name, Data: f.Data})
	}
	return files
}

// claimAll makes the candidates remotes to write to.
func (s *session) claimAll(ctx context.Context, w *writable, candidates []candidate) error {
	for _, c := range candidates {
		p, err := s.claim(ctx, w, c)
		switch {
		case err == nil:
			w.remotes = append(w.remotes, p)
			s.sweep(p)
		case unanswered(ctx, err):
			s.postpone(w, c.from, err)
		case notThere(ctx, err):
			w.failed = append(w.failed, err)
		default:
			return err
		}
	}
	return nil
}

// sweep removes what a writer that was killed has left in a directory. In a bucket there is nothing: an upload is there whole, or not.
func (s *session) sweep(p *place) {
	if dir, ok := p.Store.Store.(*remote.Dir); ok {
		if n := dir.Sweep(); n > 0 {
			s.detail("removed %s from %s that a command which was killed had left", count(int64(n), "unfinished file"), p.url)
		}
	}
}

// sourcesFor returns where archives for a remote are taken from: the local store, and what that lacks from the other remotes.
func (w *writable) sourcesFor(r *place) []*place {
	from := []*place{localPlace(w.local)}
	if w.safety != nil {
		from = append(from, localPlace(w.safety))
	}
	for _, other := range w.remotes {
		if other != r {
			from = append(from, other)
		}
	}
	return from
}
