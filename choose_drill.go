package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// longestUnproven is the pick of the snapshot whose last proof is longest ago.
const longestUnproven = "longest-unproven"

// A drillChoice is what is drilled.
type drillChoice struct {
	id    manifest.ID
	place *place
}

// A drillable is a place that may be drilled, and what was drilled there.
type drillable struct {
	*place
	catalog *layout.Catalog // of this place alone
	proven  map[manifest.Stamp]manifest.Stamp
	last    manifest.Stamp // when any was proven; "" for never
}

// chooseDrill finds out which snapshot is drilled, and where: at the remote that was proven longest ago, and of those that were never, the one that is
// named first. A drill of the local store proves nothing about the day when this machine is gone, so it must be asked for, unless there is
// nothing else.
func (s *session) chooseDrill(ctx context.Context, how drilling, places []*place, c *layout.Catalog, partial error) (drillChoice, error) {
	list, err := s.drillables(ctx, places, c)
	if err == nil && len(list) == 0 && partial != nil {
		err = partial
	}
	if err != nil {
		return drillChoice{}, err
	}
	var first error
	for _, p := range list {
		id, err := s.pickDrill(ctx, how, p)
		if err == nil {
			if p.name == "local" {
				s.warn("this is a drill of the local store: it proves nothing about the day when this machine is gone")
			}
			return drillChoice{id, p.place}, nil
		}
		if ctx.Err() != nil || classify(ctx, err).code != codeNoSnapshot {
			return drillChoice{}, err
		}
		first = cmp.Or(first, err)
	}
	if mayBeThere(ctx, first, partial) {
		return drillChoice{}, partial
	}
	return drillChoice{}, first
}

// drillables returns the places that may be drilled, in the order in which they are asked for a snapshot.
func (s *session) drillables(ctx context.Context, places []*place, c *layout.Catalog) (list []drillable, err error) {
	from := s.c.String("from")
	var named, candidates []*place
	for _, p := range places {
		switch {
		case p.name == safetyName:
		case from != "" && p.name == from:
			named = append(named, p)
		case from == "" && p.name != "local":
			candidates = append(candidates, p)
		}
	}
	if from != "" && len(named) == 0 {
		var names []string
		for _, p := range places {
			if p.name != safetyName {
				names = append(names, p.name)
			}
		}
		return nil, usagef("", "--from %s: there is no such place; there are %s", printable(from), strings.Join(names, ", "))
	}
	if candidates = append(candidates, named...); len(candidates) == 0 {
		candidates = places[:1]
	}
	for _, p := range candidates {
		if !slices.Contains(c.Answered, p.Store) {
			continue
		}
		d := drillable{place: p}
		if d.catalog, err = layout.List(ctx, p.Store); err != nil {
			return nil, err
		}
		if d.proven, err = provenAt(ctx, d.catalog, p); err != nil {
			return nil, err
		}
		for _, at := range d.proven {
			d.last = max(d.last, at)
		}
		list = append(list, d)
	}
	slices.SortStableFunc(list, func(a, b drillable) int { return cmp.Compare(a.last, b.last) })
	return list, nil
}

// provenAt returns when each snapshot was proven last by a drill of a place.
func provenAt(ctx context.Context, c *layout.Catalog, p *place) (map[manifest.Stamp]manifest.Stamp, error) {
	drills, err := c.Drills(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	proven := map[manifest.Stamp]manifest.Stamp{}
	for _, d := range drills { // oldest first
		if d.OK {
			proven[d.Snapshot] = d.At
		}
	}
	return proven, nil
}

// pickDrill chooses a snapshot of one place.
func (s *session) pickDrill(ctx context.Context, how drilling, p drillable) (manifest.ID, error) {
	places := []*place{p.place}
	if how.pick == "" || how.pick == "latest" {
		id, _, _, err := s.resolve(ctx, p.catalog, places, how.ref)
		return id, err
	}
	ids := slices.Clone(p.catalog.IDs) // oldest first
	switch how.pick {
	case "random":
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	case longestUnproven:
		slices.SortStableFunc(ids, func(a, b manifest.ID) int { return cmp.Compare(p.proven[a.Stamp], p.proven[b.Stamp]) })
	}
	now := s.clock(ctx, p.catalog.Answered)
	var skipped []manifest.Skipped
	for _, id := range ids {
		why := "its stamp is in the future"
		if !id.Stamp.Time().After(now.Add(maxFuture)) {
			head, err := p.catalog.Head(ctx, id)
			switch {
			case ctx.Err() != nil:
				return id, context.Cause(ctx)
			case errors.Is(err, remote.ErrUnavailable):
				return id, err
			case err != nil:
				why = err.Error()
			default:
				why = layout.Unfit(head)
			}
		}
		if why == "" {
			return id, nil
		}
		skipped = append(skipped, manifest.Skipped{ID: id, Why: why})
	}
	return manifest.ID{}, noSnapshot(how.pick, p.url, skipped)
}

// stale refuses a snapshot that is older than is allowed; 0 allows any.
func (s *session) stale(ctx context.Context, id manifest.ID, maxAge time.Duration, places ...*place) error {
	if maxAge == 0 {
		return nil
	}
	old := s.clock(ctx, stores(places)).Sub(id.Stamp.Time())
	if old <= maxAge {
		return nil
	}
	return &failure{codeStale, "stale", staleError(id, old, maxAge), "nothing was done; is the backup running? Without --max-age, an old snapshot is taken too"}
}
