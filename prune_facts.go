package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/remote"
)

// pruneFacts gathers what rules look at. A manifest is read once, from wherever that is cheapest: its name says that it is the same everywhere.
type pruneFacts struct {
	places []*place
	known  map[manifest.ID]prune.Snapshot
}

// of returns the snapshots of one store. What is pinned or proven is so if it is there.
func (f *pruneFacts) of(ctx context.Context, p *place) (list []prune.Snapshot, err error) {
	entries, err := p.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := p.Pins(ctx)
	if err != nil {
		return nil, err
	}
	proven, err := p.Proven(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.readAll(ctx, p, entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		s := f.known[e.ID]
		s.Pinned, s.Proven = pins[e.ID], proven[e.ID.Stamp]
		list = append(list, s)
	}
	return list, nil
}

// readers is how many manifests are read at once: each takes a round trip.
const readers = 16

// readAll makes the snapshots of a store known.
func (f *pruneFacts) readAll(ctx context.Context, p *place, entries []layout.Entry) error {
	read := make([]*prune.Snapshot, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, e := range entries {
		if _, ok := f.known[e.ID]; ok {
			continue
		}
		g.Go(func() error {
			s, err := f.read(ctx, p, e.ID)
			read[i] = &s
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, s := range read {
		if s != nil {
			f.known[entries[i].ID] = *s
		}
	}
	return nil
}

func (f *pruneFacts) read(ctx context.Context, p *place, id manifest.ID) (prune.Snapshot, error) {
	var head *manifest.Head
	var err error
	for _, store := range append(f.near(p), p.Store) {
		if head, _, err = store.Manifest(ctx, id); err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return prune.Snapshot{}, context.Cause(ctx)
	case errors.Is(err, remote.ErrUnavailable):
		return prune.Snapshot{}, err // it may be readable the next time
	case err != nil:
		return prune.Snapshot{ID: id, Unreadable: true}, nil
	}
	s := prune.Snapshot{ID: id, Kind: head.Kind, State: head.State}
	if head.Kind == manifest.Backup { // an adopted one never had them
		s.Without = withoutOf(head)
	}
	for _, problem := range head.Problems {
		s.Corrupt = s.Corrupt || problem.Kind == layout.ProblemCorrupt
	}
	return s, nil
}

// withoutOf names the sources that a snapshot left out.
func withoutOf(head *manifest.Head) string {
	var names []string
	for _, o := range head.Omitted {
		names = append(names, oneLine(o.Source))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// near returns the directories among the other places, which cost little to ask.
func (f *pruneFacts) near(p *place) (stores []layout.Store) {
	for _, other := range f.places {
		if other != p && other.dir != "" && !other.gone() {
			stores = append(stores, other.Store)
		}
	}
	return stores
}

// onlyNeededBy returns how many bytes the archives have that snapshots of a store need, and no other of it.
func (f *pruneFacts) onlyNeededBy(ctx context.Context, p *place, goes, stay []manifest.ID) (bytes int64, err error) {
	if len(goes) == 0 {
		return 0, nil
	}
	sizes := map[manifest.Hash]int64{}
	each := func(ids []manifest.ID, do func(publish.Need)) error {
		for _, id := range ids {
			snap, err := layout.OpenSnapshot(ctx, id, 1, append(f.near(p), p.Store)...)
			if err == nil {
				for need, needErr := range publish.Needs(ctx, snap) {
					if err = needErr; err != nil {
						break
					}
					do(need)
				}
			}
			if ctx.Err() != nil || errors.Is(err, remote.ErrUnavailable) {
				return err // of one that can't be read, the sweep tells
			}
		}
		return nil
	}
	if err := each(goes, func(n publish.Need) { sizes[n.SHA256] = n.Size }); err != nil {
		return 0, err
	}
	if err := each(stay, func(n publish.Need) { delete(sizes, n.SHA256) }); err != nil {
		return 0, err
	}
	for _, n := range sizes {
		bytes += n
	}
	return bytes, nil
}

// remoteLists returns what says of a snapshot of the local store which remote lacks it, "" if none does. A remote from which it was removed
// does not lack it. When a remote is not reached, all that is not known to be elsewhere stays.
func (s *session) remoteLists(ctx context.Context, plan prunePlan, places []*place) (func(manifest.ID) string, error) {
	var local *place
	for _, set := range plan.sets {
		if set.local != nil {
			local = set.place
		}
	}
	if local == nil {
		return func(manifest.ID) string { return "" }, nil
	}
	type listing struct {
		name string
		has  map[manifest.ID]bool // nil if that is not known
	}
	var lists []listing
	for _, p := range places {
		if p == local || p.name == safetyName && p.dir != "" && strings.HasPrefix(p.dir, local.dir) {
			continue
		}
		has, err := hadBy(ctx, p)
		if ctx.Err() != nil {
			return func(manifest.ID) string { return "" }, context.Cause(ctx)
		}
		if err != nil {
			has = nil
		}
		lists = append(lists, listing{p.name, has})
	}
	return func(id manifest.ID) string {
		for _, l := range lists {
			if !l.has[id] {
				return fmt.Sprintf("%s does not have it", l.name)
			}
		}
		return ""
	}, nil
}

// hadBy returns the snapshots that a store lists, and those that were removed from it.
func hadBy(ctx context.Context, p *place) (map[manifest.ID]bool, error) {
	had, err := listed(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	removed, err := p.Removed(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range removed {
		had[e.ID] = true
	}
	return had, nil
}
