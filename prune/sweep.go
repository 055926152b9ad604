package prune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// Options are choices that have a good default.
type Options struct {
	DryRun bool           // find out what would be removed, and write nothing
	Near   []layout.Store // where manifests are looked for before the store is asked for them

	// DropUnreadable names snapshots whose manifests cannot be read and are not to be waited for. What they need may be removed, so they
	// are lost; they stay listed. One that can be read counts all the same.
	DropUnreadable []manifest.ID

	Readers int // so many manifests are read at once; 0 means 16

	Clock publish.Clock // nil means publish.System
	Run   string        // names the mark of this run; "" means one that nobody else has
}

// An Amount is of archives.
type Amount struct {
	Archives int64
	Bytes    int64
}

func (a *Amount) add(bytes int64) { a.Archives++; a.Bytes += bytes }

// A Result says what a sweep did, or, of a dry run, what it would have done.
type Result struct {
	Freed Amount // removed
	Kept  Amount // needed by snapshots that are listed
	Later Amount // needed by none, and still there for the grace

	LaterAt   time.Time // when all of Later may be removed, by the store's clock; zero if it is nothing
	Forgotten int       // manifests of removed snapshots that were dropped: those cannot be brought back

	Refused []Refusal // at most 100 of them
	Locked  Amount    // all that was refused

	// Unreadable are manifests that cannot be read. Nothing is removed while there is one that DropUnreadable does not name, since
	// what it needs is not known.
	Unreadable []BadManifest
}

// Blocked reports that nothing was removed because of a manifest that cannot be read.
func (r *Result) Blocked() bool {
	return blocked(r.Unreadable)
}

// A BadManifest is a manifest that cannot be read.
type BadManifest struct {
	ID      manifest.ID
	Removed bool // it is that of a removed snapshot
	Dropped bool // DropUnreadable names it
	Err     error
}

const (
	defaultReaders = 16 // a manifest is two round trips and a few kilobytes

	endTimeout = 5 * time.Second // for a word to the store when a sweep was interrupted
	maxRefused = 100             // that are listed; and how many without one that is not refused end a sweep
)

// Sweep removes the archives that no snapshot needs: none that is listed and none that was removed less than publish.Grace ago, if the
// archive itself was stored no less than that ago. It drops the copies of the manifests of snapshots that were removed more than
// twice that ago.
//
// It looks first, and writes nothing if there is nothing to be removed. Else it marks in the store that it runs, for which writers wait with
// their manifests, and looks again. What it was refused is in the result, and no error. When it fails, what it did up to then is in
// the result, and the same call again goes on; the store is whole at every moment.
func Sweep(ctx context.Context, store layout.Store, opts Options) (Result, error) {
	if opts.Clock == nil {
		opts.Clock = publish.System{}
	}
	if opts.Readers == 0 {
		opts.Readers = defaultReaders
	}
	if opts.Run == "" {
		opts.Run = uuid.NewString()
	}
	s := &sweep{store: store, opts: opts}
	err := s.run(ctx)
	if err != nil {
		err = fmt.Errorf("prune %s: %w", store, err)
	}
	return s.res, err
}

type sweep struct {
	store layout.Store
	opts  Options
	names publish.Names
	res   Result

	refused   map[string]bool // keys
	inARow    int             // refusals
	uncertain bool            // the answer to a request was lost, so that it may still take effect
}

func (s *sweep) run(ctx context.Context) error {
	found, err := s.look(ctx, false)
	if err != nil {
		return err
	}
	s.tell(found)
	if s.opts.DryRun {
		for _, a := range found.archives {
			s.res.Freed.add(a.Size)
		}
		s.res.Forgotten = len(found.removed)
		return nil
	}
	if len(found.archives)+len(found.removed) == 0 {
		return nil
	}
	for {
		if err := s.round(ctx); !errors.Is(err, publish.ErrLate) {
			return errors.Join(err, s.end(ctx))
		}
	}
}

// round marks that this prune runs, looks, and removes what it finds as long as there is time. It is publish.ErrLate when that was too short.
func (s *sweep) round(ctx context.Context) error {
	began := s.opts.Clock.Now()
	if err := s.store.PutMark(ctx, s.opts.Run, false); err != nil {
		return err
	}
	found, err := s.look(ctx, true)
	if err != nil {
		return err
	}
	s.tell(found)
	return s.remove(ctx, began, found)
}

// end marks that nothing of this prune can take effect any more, if that is so. Otherwise writers wait until it must be.
func (s *sweep) end(ctx context.Context) error {
	if s.uncertain {
		return nil
	}
	if ctx.Err() != nil { // interrupted
		var cancel func()
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
	}
	return s.store.PutMark(ctx, s.opts.Run, true)
}

// tell puts into the result what a look showed.
func (s *sweep) tell(f *found) {
	s.res.Kept, s.res.Later, s.res.LaterAt, s.res.Unreadable = f.kept, f.later, f.laterAt, f.unreadable
}

// remove removes what was found. It is publish.ErrLate when there was no time for all of it.
func (s *sweep) remove(ctx context.Context, began publish.Reading, f *found) error {
	for _, a := range f.archives {
		if s.inARow >= maxRefused { // and so would be the others
			s.res.Locked.add(a.Size)
			continue
		}
		if s.refused[layout.ArchiveKey(a.SHA256)] {
			continue
		}
		ok, err := s.delete(ctx, began, layout.ArchiveKey(a.SHA256))
		if err != nil {
			return err
		}
		if ok {
			s.res.Freed.add(a.Size)
		} else {
			s.res.Locked.add(a.Size)
		}
	}
	for _, id := range f.removed {
		if ok, err := s.delete(ctx, began, layout.RemovedKey(id)); err != nil {
			return err
		} else if ok {
			s.res.Forgotten++
		}
	}
	for _, run := range f.marks {
		if _, err := s.delete(ctx, began, layout.PruningKey(run)); err != nil {
			return err
		}
	}
	return nil
}

// delete removes one object, and reports whether it was not refused.
func (s *sweep) delete(ctx context.Context, began publish.Reading, key string) (bool, error) {
	open, err := publish.Within(ctx, s.opts.Clock, began, func(ctx context.Context) error { return s.store.Delete(ctx, key) })
	s.uncertain = s.uncertain || open
	switch {
	case err == nil:
		s.inARow = 0
		return true, nil
	case remote.IsRefusal(err):
		if s.refused == nil {
			s.refused = map[string]bool{}
		}
		s.refused[key] = true
		s.inARow++
		if len(s.res.Refused) < maxRefused {
			s.res.Refused = append(s.res.Refused, Refusal{key, err})
		}
		return false, nil
	}
	return false, err
}
