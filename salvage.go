package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// findAnywhere opens the snapshot that a reference names for reading from every place that answers: one that does not list it may have some of its
// archives all the same.
func (s *session) findAnywhere(ctx context.Context, text string) (*layout.Snapshot, []*place, error) {
	snap, has, err := s.find(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	places, c, _, err := s.everywhere(ctx)
	if err != nil {
		return nil, nil, err
	}
	all := has
	for _, p := range places {
		if !isListed(c, snap.ID, p.Store) {
			all = append(all, p)
		}
	}
	if snap, err = layout.OpenSnapshot(ctx, snap.ID, s.limits.workers, stores(all)...); err != nil {
		return nil, nil, err
	}
	snap.AlsoDescribed(s.neighbours(c, snap.ID, all))
	return snap, all, nil
}

// maxNeighbours is how many other snapshots are asked for the description of an archive.
const maxNeighbours = 16

// neighbours returns what looks for the description of an archive in the snapshots before and after one, the nearest first. They lean on the same archives.
// It is for one goroutine at a time.
func (s *session) neighbours(c *layout.Catalog, id manifest.ID, places []*place) func(context.Context, manifest.Hash) (*manifest.Archive, error) {
	ids := slices.DeleteFunc(slices.Clone(c.IDs), func(other manifest.ID) bool { return other == id })
	far := func(other manifest.ID) time.Duration { return id.Stamp.Time().Sub(other.Stamp.Time()).Abs() }
	slices.SortStableFunc(ids, func(a, b manifest.ID) int { return cmp.Compare(far(a), far(b)) })
	ids = ids[:min(len(ids), maxNeighbours)]
	opened := map[manifest.ID]*layout.Snapshot{}
	return func(ctx context.Context, h manifest.Hash) (*manifest.Archive, error) {
		for _, other := range ids {
			if opened[other] == nil {
				snap, err := layout.OpenSnapshot(ctx, other, 1, stores(places)...)
				if err != nil {
					continue
				}
				opened[other] = snap
			}
			if a, err := opened[other].Archive(ctx, h); err == nil {
				return a, nil
			}
		}
		return nil, fs.ErrNotExist
	}
}

// maxLostShown is how many files are named that did not come back, without -v.
const maxLostShown = 20

// printSalvaged says what did not come back. There is nothing to say unless that was asked for.
func (s *session) printSalvaged(r *restore.Salvaged) {
	if r == nil {
		return
	}
	if r.Whole {
		s.say("  nothing is lost")
		return
	}
	for _, g := range r.Unknown {
		before := "to the end"
		if g.Before != "" {
			before = "and what comes before " + oneLine(g.Before)
		}
		s.warn("what describes the snapshot is damaged: %s %s is not known, and did not come back", oneLine(g.First), before)
	}
	for i, f := range r.Lost {
		if i == maxLostShown && !s.verbose {
			s.warn("and %s more (-v lists them, --json too)", count(r.LostCount-maxLostShown, "file"))
			return
		}
		s.warn("lost: %s", describeLost(f))
	}
}

// describeLost says what of a file is lost, and where the rest is.
func describeLost(f restore.Lost) string {
	text := oneLine(f.Path)
	switch {
	case f.As == "" && f.Bytes > 0:
		text += ": all of it"
	case f.As == "":
		text += ": " + oneLine(f.Why)
	case f.Bytes == 0:
		text += fmt.Sprintf(": %s; it is in %s", oneLine(f.Why), oneLine(f.As))
	default:
		text += fmt.Sprintf(": %s of %s, %s; the rest is in %s, with zeros there", size(f.Bytes), size(f.Size), lostWhere(f), oneLine(f.As))
	}
	return text
}

// lostWhere names the pages or bytes that are lost.
func lostWhere(f restore.Lost) string {
	what, runs := "bytes", [][2]int64{}
	for _, r := range f.Ranges {
		runs = append(runs, [2]int64{r[0], r[0] + r[1] - 1})
	}
	if len(f.Pages) > 0 {
		what, runs = "pages", f.Pages
	}
	var list []string
	for i, r := range runs {
		if i == handful {
			list = append(list, fmt.Sprintf("and %d runs more", len(runs)-handful))
			break
		}
		list = append(list, fmt.Sprintf("%d to %d", r[0], r[1]))
	}
	return what + " " + strings.Join(list, ", ")
}
