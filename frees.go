package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

func freesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "frees", Usage: "read from the remotes what it takes to say what removing a snapshot would free"}
}

// A freed is what removing a snapshot from a place would free there in the end: the archives that no other snapshot needs which the place lists.
type freed struct {
	Place string `json:"place"` // name
	Bytes int64  `json:"bytes"`
}

// A freeing finds that out. What a snapshot needs never changes, so it is kept; what is neither kept nor in the local store is read only
// if that is asked for, since it may be thousands of requests.
type freeing struct {
	kept    layout.Keeper // nil if there is no place for it
	read    bool
	near    []layout.Store // those on this machine's own account
	workers int

	needs map[manifest.ID][]publish.Need
}

func (s *session) freeing(places []*place) *freeing {
	f := &freeing{kept: s.keeper(), read: s.c.Bool("frees"), workers: s.limits.workers, needs: map[manifest.ID][]publish.Need{}}
	for _, p := range places {
		if s.isLocal(p) {
			f.near = append(f.near, p.Store)
		}
	}
	return f
}

// errNotKept says that something would have to be read.
var errNotKept = errors.New("not kept")

// at returns what removing each snapshot of a place would free there; nil where that is not known.
func (f *freeing) at(ctx context.Context, c *layout.Catalog, p *place) (map[manifest.ID]int64, error) {
	type user struct {
		id     manifest.ID
		shared bool
	}
	users := map[publish.Need]user{}
	all := map[manifest.ID]int64{}
	for _, id := range c.IDs {
		if !isListed(c, id, p.Store) {
			continue
		}
		needs, err := f.of(ctx, c, id)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, remote.ErrUnavailable):
			return nil, err
		case err != nil: // such as of a damaged manifest: what that needs, nobody knows
			return nil, nil
		}
		all[id] = 0
		for _, need := range needs { // each once
			_, shared := users[need]
			users[need] = user{id, shared}
		}
	}
	for need, u := range users {
		if !u.shared {
			all[u.id] += need.Size
		}
	}
	return all, nil
}

// of returns what a snapshot needs.
func (f *freeing) of(ctx context.Context, c *layout.Catalog, id manifest.ID) ([]publish.Need, error) {
	if needs, ok := f.needs[id]; ok {
		return needs, nil
	}
	if f.kept != nil {
		if needs, ok := parseNeeds(f.kept.Get(needsName(id))); ok {
			f.needs[id] = needs
			return needs, nil
		}
	}
	places := slices.DeleteFunc(c.Where(id), func(p layout.Store) bool { return !f.read && !slices.Contains(f.near, p) })
	if len(places) == 0 {
		return nil, errNotKept
	}
	needs, err := readNeeds(ctx, f.kept, id, f.workers, places...)
	if err == nil {
		f.needs[id] = needs
	}
	return needs, err
}

func needsName(id manifest.ID) string { return "needs " + id.String() }

// readNeeds reads what a snapshot needs, and keeps it.
func readNeeds(ctx context.Context, kept layout.Keeper, id manifest.ID, workers int, places ...layout.Store) (needs []publish.Need, err error) {
	snap, err := layout.OpenSnapshot(ctx, id, workers, places...)
	if err != nil {
		return nil, err
	}
	for need, err := range publish.Needs(ctx, snap) {
		if err != nil {
			return nil, err
		}
		needs = append(needs, need)
	}
	slices.SortFunc(needs, func(a, b publish.Need) int { return bytes.Compare(a.SHA256[:], b.SHA256[:]) })
	needs = slices.Compact(needs)
	if kept != nil {
		kept.Put(needsName(id), appendNeeds(nil, needs))
	}
	return needs, nil
}

// appendNeeds encodes needs: for each its hash and, in eight bytes, its size.
func appendNeeds(data []byte, needs []publish.Need) []byte {
	for _, need := range needs {
		data = append(data, need.SHA256[:]...)
		data = binary.BigEndian.AppendUint64(data, uint64(need.Size))
	}
	return data
}

// parseNeeds decodes what appendNeeds made. Every snapshot needs something, so nothing is no such thing.
func parseNeeds(data []byte) (needs []publish.Need, ok bool) {
	const each = len(manifest.Hash{}) + 8
	if len(data) == 0 || len(data)%each != 0 {
		return nil, false
	}
	for ; len(data) > 0; data = data[each:] {
		h := len(manifest.Hash{})
		needs = append(needs, publish.Need{SHA256: manifest.Hash(data[:h]), Size: int64(binary.BigEndian.Uint64(data[h:each]))})
	}
	return needs, true
}

// frees returns what removing each snapshot would free at some of the places, as far as that is known. That a remote did not answer is a warning:
// the rest is as good.
func (s *session) frees(ctx context.Context, c *layout.Catalog, places, at []*place) (map[manifest.ID][]freed, error) {
	f := s.freeing(places)
	frees := map[manifest.ID][]freed{}
	for _, p := range at {
		if !slices.Contains(c.Answered, p.Store) {
			continue
		}
		all, err := f.at(ctx, c, p)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.warn("what removing a snapshot from %s would free is not known: %s", p.name, explain(err))
			continue
		}
		for id, n := range all {
			frees[id] = append(frees[id], freed{p.name, n})
		}
	}
	return frees, nil
}
