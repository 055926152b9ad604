package localstore

import (
	"context"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A Shedder drops from the local store, one thing after the other, what it can do without when space is short: archives
// of no snapshot, then local copies that every remote has, oldest first, then those that some remote has. A snapshot that no remote
// has, or that is pinned, is never touched.
type Shedder struct {
	Store *Store
	// Elsewhere reports whether every remote has a snapshot, and whether some remote has.
	Elsewhere func(manifest.ID) (every, some bool)
	// Dropped is told of each local copy that went.
	Dropped func(manifest.ID)

	began bool
	queue []shedding
}

type shedding struct {
	id    manifest.ID
	every bool
	owed  bool // of which only archives are here
}

// Shed is what SpoolOptions want. What cannot be dropped, for whatever reason, stays, and is not tried again.
func (h *Shedder) Shed(ctx context.Context, inUse func(manifest.Hash) bool) (freed, counted int64, done bool) {
	if !h.began {
		h.began = true
		if h.plan(ctx) != nil {
			return 0, 0, true
		}
		freed, err := h.Store.collect(ctx, inUse)
		return freed, 0, err != nil || len(h.queue) == 0
	}
	if len(h.queue) == 0 {
		return 0, 0, true
	}
	next := h.queue[0]
	h.queue = h.queue[1:]
	if h.drop(ctx, next, inUse) == nil {
		if freed, _ = h.Store.collect(ctx, inUse); !next.every {
			counted = freed
		}
		if h.Dropped != nil && !next.owed {
			h.Dropped(next.id)
		}
	}
	return freed, counted, len(h.queue) == 0
}

func (h *Shedder) plan(ctx context.Context) error {
	entries, err := h.Store.Snapshots(ctx)
	if err != nil {
		return err
	}
	pinned, err := h.Store.Pins(ctx)
	if err != nil {
		return err
	}
	_, owed, err := h.Store.Owed(ctx)
	if err != nil {
		return err
	}
	for _, wantEvery := range []bool{true, false} {
		for _, e := range entries {
			if every, some := h.Elsewhere(e.ID); !pinned[e.ID] && some && every == wantEvery {
				h.queue = append(h.queue, shedding{id: e.ID, every: every})
			}
		}
		for _, e := range owed {
			if every, some := h.Elsewhere(e.ID); some && every == wantEvery {
				h.queue = append(h.queue, shedding{id: e.ID, every: every, owed: true})
			}
		}
	}
	return nil
}

// drop takes a snapshot off the list, so that its archives are no longer needed here. One that some remote lacks is owed from then on.
func (h *Shedder) drop(ctx context.Context, what shedding, inUse func(manifest.Hash) bool) error {
	s := h.Store
	switch {
	case what.owed && what.every:
		return s.Settle(ctx, what.id)
	case what.owed:
		return h.dropRoots(ctx, what.id, inUse)
	case !what.every:
		_, stored, err := s.Manifest(ctx, what.id)
		if err != nil {
			return err
		}
		if err := s.Owe(ctx, what.id, stored); err != nil {
			return err
		}
		if err := s.Delete(ctx, layout.ManifestKey(what.id)); err != nil {
			return err
		}
		return h.dropRoots(ctx, what.id, inUse)
	}
	return s.Delete(ctx, layout.ManifestKey(what.id))
}

// dropRoots removes what describes an owed snapshot, all of which some remote has: so collect knows that nothing here is needed for it.
func (h *Shedder) dropRoots(ctx context.Context, id manifest.ID, inUse func(manifest.Hash) bool) error {
	owed, _, err := h.Store.Owed(ctx)
	if err != nil {
		return err
	}
	head, _, err := owed.Manifest(ctx, id)
	if err != nil {
		return err
	}
	needed, err := h.Store.needed(ctx, func(other manifest.ID) bool { return other != id })
	if err != nil {
		return err
	}
	for _, r := range head.Roots {
		if needed[r.SHA256] || inUse(r.SHA256) {
			continue
		}
		if err := h.Store.Delete(ctx, layout.ArchiveKey(r.SHA256)); err != nil {
			return err
		}
	}
	return nil
}
