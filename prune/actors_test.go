package prune_test

import (
	"context"
	"fmt"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/remote"
	"lifeboat/transfer"
)

// writes makes snapshots, some in full, and some that lean on archives of the newest one that is listed.
func writes(s *shop) func(*actor) error {
	return func(a *actor) error {
		w, ctx, at := a.w, context.Background(), a.at_(s)
		present, err := publish.Look(ctx, at)
		if err != nil {
			return err
		}
		var needs []string
		add := func(name string) {
			for _, n := range needs {
				if n == name {
					return
				}
			}
			needs = append(needs, name)
		}
		if w.chance(2, 3) {
			base, err := newestOf(ctx, at)
			if err != nil {
				return err
			}
			for _, n := range base {
				if ok, err := present.Has(ctx, n.SHA256, n.Size); err != nil {
					return err
				} else if ok && w.chance(1, 2) {
					add(w.called(n.SHA256))
				}
			}
		}
		for range 1 + w.pick(2) {
			name := names[w.pick(len(names))]
			n := need(name)
			ok, err := present.Has(ctx, n.SHA256, n.Size)
			if err != nil {
				return err
			}
			if !ok && w.chance(2, 3) || w.chance(1, 4) {
				if err := putArchive(ctx, at, n); err != nil {
					return err
				}
			}
			add(name)
		}
		snap := tinySnapshot(w.now, needs...)
		w.needs[snap.id] = snap.needs
		open, err := layout.OpenSnapshot(ctx, snap.id, 1, snap.place())
		if err != nil {
			return err
		}
		w.note("%s commits %s with %v", a.name, short(snap.id), needs)
		for range 1 + w.pick(3) { // later runs
			opts := publish.Options{Clock: machineClock{a}}
			if w.chance(1, 2) { // who has looked at the store for another reason uses that
				if opts.Looked, err = publish.LookBy(ctx, opts.Clock, at); err != nil {
					continue
				}
			}
			err = publish.Commit(ctx, open, at, opts, func(ctx context.Context, list []publish.Need) error {
				for _, n := range list {
					if err := putArchive(ctx, at, n); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				w.commits++
				return nil
			}
		}
		return err
	}
}

func putArchive(ctx context.Context, at layout.Store, n publish.Need) error {
	return at.PutSmall(ctx, layout.ArchiveKey(n.SHA256), content(nameOf[n.SHA256]), remote.PutOptions{})
}

func newestOf(ctx context.Context, at layout.Store) ([]publish.Need, error) {
	entries, err := at.Snapshots(ctx)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	snap, err := layout.OpenSnapshot(ctx, entries[len(entries)-1].ID, 1, at)
	if err != nil {
		return nil, nil // damaged: in full
	}
	var list []publish.Need
	for n, err := range publish.Needs(ctx, snap) {
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// prunes removes snapshots, all but the newest few or any one, and sweeps.
func prunes(s *shop) func(*actor) error {
	return func(a *actor) error {
		w, ctx, at := a.w, context.Background(), a.at_(s)
		entries, err := at.Snapshots(ctx)
		if err != nil {
			return err
		}
		var ids []manifest.ID
		if keep := 1 + w.pick(3); len(entries) > keep && w.chance(1, 2) {
			for _, e := range entries[:len(entries)-keep] {
				ids = append(ids, e.ID)
			}
		} else if len(entries) > 0 && w.chance(1, 2) {
			ids = append(ids, entries[w.pick(len(entries))].ID)
		}
		if len(ids) > 0 {
			r, err := prune.Remove(ctx, at, machineClock{a}, ids...)
			w.removals += len(r.Removed)
			if err != nil {
				return err
			}
		}
		w.events++
		opts := prune.Options{Readers: 1, Clock: machineClock{a}, Run: fmt.Sprintf("%s-%d", a.name, w.events)}
		if w.broken == ignoreUnreadable {
			opts.DropUnreadable = sortedIDs(s.unreadable)
		}
		_, err = prune.Sweep(ctx, at, opts)
		return err
	}
}

// pushes copies a snapshot to another store.
func pushes(from, to *shop) func(*actor) error {
	return func(a *actor) error {
		w, ctx := a.w, context.Background()
		source, target := a.at_(from), a.at_(to)
		entries, err := source.Snapshots(ctx)
		if err != nil || len(entries) == 0 {
			return err
		}
		id := entries[len(entries)-1-w.pick(min(2, len(entries)))].ID
		snap, err := layout.OpenSnapshot(ctx, id, 1, source)
		if err != nil {
			return err
		}
		opts := transfer.Options{Concurrency: 1, Clock: machineClock{a}, Alone: false}
		if w.chance(1, 2) {
			if opts.Looked, err = publish.LookBy(ctx, opts.Clock, target); err != nil {
				return err
			}
			opts.Listed = opts.Looked.Survey().Archives
		}
		if _, err := transfer.Copy(ctx, snap, []layout.Store{source}, target, opts); err != nil {
			return err
		}
		w.pushed++
		return nil
	}
}

// undoes brings a removed snapshot back.
func undoes(s *shop) func(*actor) error {
	return func(a *actor) error {
		w, ctx, at := a.w, context.Background(), a.at_(s)
		removed, err := at.Removed(ctx)
		if err != nil || len(removed) == 0 {
			return err
		}
		id := removed[len(removed)-1-w.pick(min(3, len(removed)))].ID
		if _, err := prune.Undo(ctx, at, id, []layout.Store{at}, transfer.Options{Concurrency: 1, Clock: machineClock{a}}); err != nil {
			return err
		}
		w.undone++
		return nil
	}
}

// vandalises makes a manifest unreadable, or those that are readable again.
func vandalises(s *shop) func(*actor) error {
	return func(a *actor) error {
		if ids := sortedIDs(s.listed); len(s.unreadable) == 0 && len(ids) > 0 && a.w.chance(1, 2) {
			id := ids[a.w.pick(len(ids))]
			s.unreadable[id] = true
			a.w.note("unreadable: %s", short(id))
			return nil
		}
		clear(s.unreadable)
		return nil
	}
}

// A rule is one that is broken on purpose, by what the code sees and does through its store and its clock. The code is always the program's own.
type rule string

const (
	none             rule = ""
	noCopies         rule = "1: no copy of the manifest in removed/"
	noMark           rule = "2: a prune leaves no mark"
	noEnd            rule = "2: a prune goes on deleting for any time"
	noAge            rule = "2: young archives are deleted"
	leanOnAnything   rule = "3: a writer leans on whatever is there"
	noWaiting        rule = "4: a writer does not wait for a prune"
	oldListing       rule = "4: a writer commits any time after its listing"
	ignoreUnreadable rule = "5: a manifest that cannot be read is passed over"
)

// writer reports an actor that commits.
func (a *actor) writer() bool { return !strings.HasPrefix(a.name, "pruner") }

// frozen reports a machine whose clock makes no time pass.
func (r rule) frozen(a *actor) bool {
	return r == noEnd && !a.writer() || r == oldListing && a.writer()
}

// swallows reports an object that is not stored.
func (r rule) swallows(a *actor, key string) bool {
	return r == noCopies && strings.HasPrefix(key, "removed/") || r == noMark && strings.HasPrefix(key, "pruning/")
}

// shows returns an object as a listing shows it.
func (r rule) shows(a *actor, info remote.Info) (remote.Info, bool) {
	archive := strings.HasPrefix(info.Key, "archives/")
	switch {
	case r == noAge && !a.writer() && archive:
		info.ModTime = beginning.AddDate(-1, 0, 0)
	case r == leanOnAnything && a.writer() && archive:
		info.ModTime = a.w.now
	case r == noWaiting && a.writer() && strings.HasPrefix(info.Key, "pruning/"):
		return info, false
	}
	return info, true
}
