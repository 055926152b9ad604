package prune

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// found is what a look at a store showed.
type found struct {
	archives []layout.ArchiveInfo // that may be removed
	removed  []manifest.ID        // whose copies may be dropped
	marks    []string             // of prunes that are long over

	kept, later Amount
	laterAt     time.Time
	unreadable  []BadManifest
}

// look lists manifests, then those of removed snapshots, then archives. The order matters: a snapshot that is removed in the meantime is in the
// one listing or in the other, and what is stored in the meantime is young.
//
// Ages are those at the time before. The store's clock is asked, so this machine's does not matter.
func (s *sweep) look(ctx context.Context, marks bool) (*found, error) {
	f := &found{}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	age := func(t time.Time) time.Duration { return now.Sub(t) }
	if marks {
		list, err := s.store.Marks(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if age(m.ModTime) > publish.Grace {
				f.marks = append(f.marks, m.Run)
			}
		}
	}
	snapshots, err := s.store.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	removed, err := s.store.Removed(ctx)
	if err != nil {
		return nil, err
	}
	var archives []layout.ArchiveInfo
	for a, err := range s.store.ListArchives(ctx) {
		if err != nil {
			return nil, err
		}
		archives = append(archives, a)
	}

	listed := map[manifest.ID]bool{}
	for _, e := range snapshots {
		listed[e.ID] = true
	}
	var young []layout.Entry // removed snapshots that still need what they need
	for _, e := range removed {
		switch {
		case age(e.ModTime) <= publish.Grace:
			young = append(young, e)
		case age(e.ModTime) > 2*publish.Grace && !listed[e.ID]:
			f.removed = append(f.removed, e.ID)
		}
	}
	needed := map[manifest.Hash]bool{}
	places := append(slices.Clip(s.opts.Near), s.store, s.store.OfRemoved()) // the last has it when it was removed just now
	if err := s.mark(ctx, f, snapshots, false, places, func(_ layout.Entry, h manifest.Hash) { needed[h] = true }); err != nil {
		return nil, err
	}
	until := map[manifest.Hash]time.Time{} // removed snapshots need these until then
	places = append(slices.Clip(s.opts.Near), s.store.OfRemoved(), s.store)
	if err := s.mark(ctx, f, young, true, places, func(e layout.Entry, h manifest.Hash) { until[h] = latest(until[h], e.ModTime.Add(publish.Grace)) }); err != nil {
		return nil, err
	}
	for _, a := range archives {
		free := latest(until[a.SHA256], a.ModTime.Add(publish.Grace))
		switch {
		case needed[a.SHA256]:
			f.kept.add(a.Size)
		case !free.Before(now):
			f.later.add(a.Size)
			f.laterAt = latest(f.laterAt, free)
		default:
			f.archives = append(f.archives, a)
		}
	}
	if blocked(f.unreadable) {
		f.archives, f.removed = nil, nil
	}
	return f, nil
}

// mark passes what snapshots need to need. A manifest that cannot be read is noted.
func (s *sweep) mark(ctx context.Context, f *found, snapshots []layout.Entry, removed bool, places []layout.Store, need func(layout.Entry, manifest.Hash)) error {
	ids := make([]manifest.ID, len(snapshots))
	for i, e := range snapshots {
		ids[i] = e.ID
	}
	failed := map[manifest.ID]error{}
	if s.opts.Readers > 1 {
		failed = s.names.Load(ctx, ids, s.opts.Readers, places...)
	}
	for _, e := range snapshots {
		err := failed[e.ID]
		var names iter.Seq[manifest.Hash]
		if err == nil {
			names, err = s.names.Of(ctx, e.ID, places...)
		}
		switch {
		case err == nil:
			for h := range names {
				need(e, h)
			}
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, remote.ErrUnavailable) && !remote.IsRefusal(err):
			return err // the next one may be reached
		}
		f.unreadable = append(f.unreadable, BadManifest{ID: e.ID, Removed: removed, Dropped: slices.Contains(s.opts.DropUnreadable, e.ID), Err: err})
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// blocked reports that what some snapshot needs is not known.
func blocked(list []BadManifest) bool {
	return slices.ContainsFunc(list, func(u BadManifest) bool { return !u.Dropped })
}
