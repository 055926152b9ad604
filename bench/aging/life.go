package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/snapshot"
)

// A life is a program's state and its snapshots, day after day, in two stores: one keeps the newest snapshot alone, the other has a history.
type life struct {
	workload
	live  int64  // bytes of the state when it begins
	meant int64  // bytes that it stands for
	dir   string // everything lies below it

	clock  *clock
	shops  []*shop
	keep   []prune.Policy
	heads  map[manifest.ID]*manifest.Head
	newest manifest.ID
	seen   sight
	step   int
}

// The policies of the two stores.
var (
	newestOnly = prune.Policy{Last: 1}
	history    = prune.Policy{Daily: 7, Weekly: 4, Monthly: 6}
)

func newLife(w workload, dir string, live, meant int64) (*life, error) {
	l := &life{workload: w, live: live, meant: meant, dir: dir, clock: &clock{time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)}, heads: map[manifest.ID]*manifest.Head{}}
	l.keep = []prune.Policy{newestOnly, history}
	for range l.keep {
		l.shops = append(l.shops, newShop(l.clock))
	}
	if err := os.Mkdir(l.state(), 0o755); err != nil {
		return nil, err
	}
	return l, w.make(l.state(), live)
}

func (l *life) state() string { return filepath.Join(l.dir, "state") }

// base is where the base of the snapshot number n lies.
func (l *life) base(n int) string { return filepath.Join(l.dir, fmt.Sprintf("base-%d", n)) }

// scale is how many times the state that is meant is as large.
func (l *life) scale() int64 { return max(1, l.meant/l.live) }

// A stage is what happened from one snapshot to the next.
type stage struct {
	changed  amount
	uploaded int64
	tables   int64 // of that
	took     *manifest.Head
	stored   []int64 // in each store, after it was pruned
}

// next goes to the next snapshot.
func (l *life) next(ctx context.Context) (s stage, err error) {
	if l.step > 0 {
		if err := l.change(l.state(), l.step-1); err != nil {
			return s, err
		}
		l.clock.now = l.clock.now.Add(24 * time.Hour / time.Duration(l.perDay))
	}
	l.step++
	if l.seen, s.changed, err = look(l.state(), l.seen); err != nil {
		return s, err
	}
	counting := l.shops[0].counting
	before, tables := counting.uploaded.Load(), counting.tables.Load()
	if s.took, err = l.take(ctx); err != nil {
		return s, err
	}
	s.uploaded, s.tables = counting.uploaded.Load()-before, counting.tables.Load()-tables
	for i, shop := range l.shops {
		if l.step%max(1, l.perDay/24) == 0 {
			if err := l.prune(ctx, shop, l.keep[i]); err != nil {
				return s, err
			}
		}
		n, err := shop.stored(ctx)
		if err != nil {
			return s, err
		}
		s.stored = append(s.stored, n)
	}
	return s, nil
}

// sources are the directories of the state.
func (l *life) sources() (list []snapshot.Source, err error) {
	entries, err := os.ReadDir(l.state())
	for _, e := range entries {
		list = append(list, snapshot.Source{Name: e.Name(), Path: filepath.Join(l.state(), e.Name())})
	}
	return list, err
}

// options are those of every snapshot.
func (l *life) options(shops ...*shop) snapshot.Options {
	return snapshot.Options{App: "aging", Stamp: manifest.StampOf(l.clock.now), Target: &target{shops, l.clock}, Scratch: l.dir,
		ArchiveLimit: l.archiveLimit(), Now: func() time.Time { return l.clock.now }}
}

// take takes a snapshot that leans on the one before.
func (l *life) take(ctx context.Context) (*manifest.Head, error) {
	sources, err := l.sources()
	if err != nil {
		return nil, err
	}
	opts := l.options(l.shops...)
	if len(l.heads) > 0 {
		base, err := snapshot.OpenBase(l.base(len(l.heads)))
		if err != nil {
			return nil, err
		}
		defer base.Close()
		if err := l.lean(ctx, base); err != nil {
			return nil, err
		}
		opts.Base, opts.Previous = base, &l.newest
	}
	next, err := os.Create(l.base(len(l.heads) + 1))
	if err != nil {
		return nil, err
	}
	defer next.Close()
	opts.NextBase = next
	res, err := snapshot.Take(ctx, sources, opts)
	if err != nil {
		return nil, err
	}
	if res.Head.State != manifest.Complete {
		return nil, fmt.Errorf("the snapshot is not complete: %v", res.Head.Problems)
	}
	l.newest, l.heads[res.ID] = res.ID, res.Head
	if err := errors.Join(res.NextBase, next.Close()); err != nil {
		return nil, err
	}
	return res.Head, os.RemoveAll(l.base(len(l.heads) - 1))
}

// archiveLimit is where archives end.
func (l *life) archiveLimit() int64 { return (32 << 20) / l.scale() }

// lean decides what the next snapshot leans on.
func (l *life) lean(ctx context.Context, base *snapshot.Base) error {
	var there []*publish.Present
	for _, s := range l.shops {
		p, err := publish.Look(ctx, s.Store)
		if err != nil {
			return err
		}
		there = append(there, p)
	}
	var failed error
	base.Scale, base.Limit = l.scale(), l.archiveLimit()
	base.LeanOn(func(a *snapshot.BaseArchive) bool {
		for _, p := range there {
			has, err := p.Has(ctx, a.SHA256, a.Size)
			failed = errors.Join(failed, err)
			if !has {
				return false
			}
		}
		return true
	})
	return failed
}

// full takes a snapshot that leans on nothing, into a store of its own.
func (l *life) full(ctx context.Context) (manifest.ID, *shop, error) {
	s := newShop(l.clock)
	sources, err := l.sources()
	if err != nil {
		return manifest.ID{}, nil, err
	}
	res, err := snapshot.Take(ctx, sources, l.options(s))
	if err != nil {
		return manifest.ID{}, nil, err
	}
	return res.ID, s, nil
}

// prune removes from a store what its policy does not keep, and what nothing needs any more.
func (l *life) prune(ctx context.Context, s *shop, keep prune.Policy) error {
	entries, err := s.Snapshots(ctx)
	if err != nil {
		return err
	}
	var list []prune.Snapshot
	for _, e := range entries {
		list = append(list, prune.Snapshot{ID: e.ID, Kind: l.heads[e.ID].Kind, State: l.heads[e.ID].State})
	}
	decisions, err := keep.Decide(list, l.clock.now, time.UTC)
	if err != nil {
		return err
	}
	var goes []manifest.ID
	for _, d := range decisions {
		if !d.Keep {
			goes = append(goes, d.ID)
		}
	}
	if _, err := prune.Remove(ctx, s.Store, l.clock, goes...); err != nil {
		return err
	}
	res, err := prune.Sweep(ctx, s.Store, prune.Options{Clock: l.clock})
	if err == nil && (res.Blocked() || len(res.Refused) > 0) {
		err = errors.New("not everything was removed")
	}
	return err
}
