package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// readAllAfter is how long a backup trusts what it proves without reading. Disks forget.
const readAllAfter = 30 * 24 * time.Hour

// A leaning is what a new snapshot is compared with, and where the archives are that it may lean on.
type leaning struct {
	base *snapshot.Base // nil for nothing
	here map[manifest.Hash]int64
	next *durable.File // the base of the snapshot after it; nil for none
}

func (l *leaning) close() {
	l.base.Close()
	if l.next != nil {
		l.next.Discard()
	}
}

// lean decides what a new snapshot of the sources is compared with. That there is nothing is no failure: everything is stored. What is known of those
// that are left out now is carried on to the next one.
func (s *session) lean(ctx context.Context, w *writable, c *layout.Catalog, spool *localstore.Spool, sources []snapshot.Source, omitted []manifest.Omission) (l *leaning, err error) {
	l = &leaning{}
	if l.next, err = w.local.NextBase(); err != nil {
		s.detail("the next backup will have nothing to be compared with: %v", err)
	}
	full := s.c.Bool("full")
	if full && len(omitted) == 0 {
		return l, nil
	}
	_, owed, err := w.local.Owed(ctx)
	if err != nil {
		l.close()
		return nil, err
	}
	if l.base = s.openBase(ctx, w, c, owed, sourceNames(sources, omitted)); l.base == nil || full {
		return l, nil
	}
	l.base.Limit = spool.ArchiveLimit()
	if err := s.findArchives(ctx, w, l, slices.ContainsFunc(l.base.IDs(), func(id manifest.ID) bool { return isOwed(owed, id) })); err != nil {
		l.close()
		return nil, err
	}
	spool.Lean(l.needed(w, c))
	return l, nil
}

// sourceNames returns the names of the sources of an application.
func sourceNames(sources []snapshot.Source, omitted []manifest.Omission) (names []string) {
	for _, src := range sources {
		names = append(names, src.Name)
	}
	for _, o := range omitted {
		names = append(names, o.Source)
	}
	return names
}

// needed returns the archives that must stay here until the snapshot is committed, however short space is: those that may be nowhere else, and
// those that describe it.
func (l *leaning) needed(w *writable, c *layout.Catalog) (list []manifest.Hash) {
	elsewhere := len(w.remotes) > 0 && len(w.late)+len(w.failed) == 0
	for _, id := range l.base.IDs() {
		where := c.Where(id)
		for _, r := range w.remotes {
			elsewhere = elsewhere && slices.Contains(where, r.Store)
		}
	}
	for i := range l.base.Archives {
		a := &l.base.Archives[i]
		if l.here[a.SHA256] == a.Size && (!elsewhere || a.Source == "") {
			list = append(list, a.SHA256)
		}
	}
	return list
}

// openBase opens the base. One that is lost, or not of a snapshot that is listed, is made anew from what is stored of the sources of these names.
func (s *session) openBase(ctx context.Context, w *writable, c *layout.Catalog, owed []layout.Entry, names []string) *snapshot.Base {
	base, err := snapshot.OpenBase(w.local.BasePath())
	if err == nil && len(c.Where(base.ID)) == 0 && !isOwed(owed, base.ID) {
		base.Close()
		err = fmt.Errorf("%s: it is of snapshot %s, which is not there", w.local.BasePath(), base.ID.Stamp)
	}
	if err == nil {
		return base
	}
	ids := s.newestOf(ctx, c, names)
	if len(ids) == 0 {
		return nil
	}
	s.note("what the last snapshot stored is read from its archives' indexes, since this machine does not remember it")
	s.detail("%v", err)
	if base, err = s.rebuildBase(ctx, w, c, ids); err != nil {
		s.detail("everything is stored again: %v", err)
		return nil
	}
	return base
}

// maxHeads is how many snapshots are looked into for the newest that have the sources.
const maxHeads = 200

// newestOf returns the newest snapshot that a new one may be compared with, and those before it in which there are sources that it lacks.
func (s *session) newestOf(ctx context.Context, c *layout.Catalog, names []string) (ids []manifest.ID) {
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	heads := 0
	for _, id := range slices.Backward(c.IDs) {
		if len(missing) == 0 || heads == maxHeads {
			break
		}
		if s.fromFuture(id.Stamp) {
			continue
		}
		heads++
		head, err := c.Head(ctx, id)
		if err != nil || head.Kind != manifest.Backup {
			continue
		}
		before := len(missing)
		for _, src := range head.Sources {
			delete(missing, src.Name)
		}
		if len(missing) < before {
			ids = append(ids, id)
		}
	}
	return ids
}

// fromFuture reports a stamp that does not count before its time has come.
func (s *session) fromFuture(stamp manifest.Stamp) bool {
	return stamp.Time().After(s.now().Add(maxFuture))
}

func (s *session) rebuildBase(ctx context.Context, w *writable, c *layout.Catalog, ids []manifest.ID) (*snapshot.Base, error) {
	snaps := make([]*layout.Snapshot, len(ids))
	for i, id := range ids {
		var err error
		if snaps[i], err = layout.OpenSnapshot(ctx, id, s.limits.workers, append([]layout.Store{w.local.Store}, c.Where(id)...)...); err != nil {
			return nil, err
		}
	}
	f, err := w.local.NextBase()
	if err != nil {
		return nil, err
	}
	defer f.Discard()
	if err := snapshot.RebuildBase(ctx, f, snaps[0], snaps[1:]...); err != nil {
		return nil, err
	}
	if err := w.local.KeepBase(f); err != nil {
		return nil, err
	}
	return snapshot.OpenBase(w.local.BasePath())
}

// findArchives says which archives of the base may be leaned on: those that are here, since the remotes will get them from here, and those
// that may be leaned on at every remote. A remote that does not answer now has what it had.
func (s *session) findArchives(ctx context.Context, w *writable, l *leaning, owed bool) error {
	var err error
	if l.here, err = archivesAt(ctx, w.local.Store); err != nil {
		return err
	}
	everywhere := len(w.remotes) > 0 && (len(w.late)+len(w.failed) == 0 || !owed)
	if !slices.ContainsFunc(l.base.Archives, func(a snapshot.BaseArchive) bool { return l.here[a.SHA256] != a.Size }) {
		everywhere = false // nobody will be asked
	}
	var there []*publish.Present
	for _, r := range w.remotes {
		if !everywhere {
			break
		}
		present, err := publish.Look(ctx, r.Store, w.local.Store)
		if err != nil {
			s.detail("what %s has is not known, so nothing is leaned on that is not here: %v", r.name, err)
			everywhere = false
		}
		there = append(there, present)
	}
	l.base.LeanOn(func(a *snapshot.BaseArchive) bool {
		if l.here[a.SHA256] == a.Size {
			return true
		}
		if a.Source == "" { // what describes a snapshot is always here as long as some remote lacks it
			return false
		}
		for _, present := range there {
			if !everywhere {
				break
			}
			has, err := present.Has(ctx, a.SHA256, a.Size)
			everywhere = everywhere && err == nil
			if !has {
				return false
			}
		}
		return everywhere
	})
	return nil
}

func archivesAt(ctx context.Context, store layout.Store) (map[manifest.Hash]int64, error) {
	list := map[manifest.Hash]int64{}
	for a, err := range store.ListArchives(ctx) {
		if err != nil {
			return nil, err
		}
		list[a.SHA256] = a.Size
	}
	return list, nil
}

// options completes the options of a capture.
func (l *leaning) options(ctx context.Context, sources []snapshot.Source, opts snapshot.Options, local *localstore.Store, spool *localstore.Spool, readAll bool, now time.Time) snapshot.Options {
	opts.Base = l.base
	last := now.Sub(l.base.ReadAll(sources))
	opts.ReadAll = readAll || last > readAllAfter || last < -maxFuture // by a clock that was wrong
	if l.next != nil {
		opts.NextBase = l.next
	}
	opts.Leans = func(archives []*manifest.Archive) {
		for _, a := range archives {
			info, err := local.Stat(ctx, layout.ArchiveKey(a.SHA256)) // for want of space it may have gone
			if err != nil || info.Size != a.Size {
				spool.LeansAway()
				return
			}
		}
	}
	return opts
}

// keepBase keeps what the next snapshot is compared with.
func (s *session) keepBase(w *writable, l *leaning, res *snapshot.Result) {
	if l.next == nil {
		return
	}
	err := res.NextBase
	if err == nil {
		err = w.local.KeepBase(l.next)
	}
	if err != nil {
		s.detail("the next backup will be compared with an older one, or with nothing: %v", err)
	}
}
