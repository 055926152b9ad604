package main

import (
	"cmp"
	"context"
	"slices"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// needed returns how much of what lies in a store some listed snapshot needs, in bytes: of each archive with content as large a part as is in use, of
// those that hold tables all, and the manifests.
func needed(ctx context.Context, s layout.Store) (int64, error) {
	entries, err := s.Snapshots(ctx)
	if err != nil {
		return 0, err
	}
	all := map[manifest.Hash]*manifest.Archive{}
	tables := map[manifest.Hash]bool{}
	used := map[manifest.Hash][]manifest.Extent{}
	total := 0.0
	for _, e := range entries {
		total += float64(e.Size)
		snap, err := layout.OpenSnapshot(ctx, e.ID, 1, s)
		if err != nil {
			return 0, err
		}
		for i, r := range snap.Head.Roots {
			all[r.SHA256], tables[r.SHA256] = &snap.Head.Roots[i], true
		}
		for a, err := range snap.Archives(ctx) {
			if err != nil {
				return 0, err
			}
			all[a.SHA256] = a
		}
		for f, err := range snap.Files(ctx) {
			if err != nil {
				return 0, err
			}
			for _, m := range f.Maps {
				tables[m.Archive] = true
			}
			for x, err := range snap.Extents(ctx, f) {
				if err != nil {
					return 0, err
				}
				if !x.IsZeros() {
					used[x.Archive] = append(used[x.Archive], x)
				}
			}
		}
		for h, list := range used {
			used[h] = union(list)
		}
	}
	for h := range tables {
		total += float64(all[h].Size)
	}
	for h, list := range used {
		n := int64(0)
		for _, x := range list {
			n += x.Len
		}
		total += float64(n) / float64(all[h].Data) * float64(all[h].Size)
	}
	return int64(total), nil
}

// union returns the extents of one archive that cover the same bytes and do not overlap.
func union(list []manifest.Extent) []manifest.Extent {
	slices.SortFunc(list, func(a, b manifest.Extent) int { return cmp.Compare(a.Off, b.Off) })
	out := list[:0]
	for _, x := range list {
		if k := len(out) - 1; k >= 0 && x.Off <= out[k].Off+out[k].Len {
			out[k].Len = max(out[k].Len, x.Off+x.Len-out[k].Off)
			continue
		}
		out = append(out, x)
	}
	return out
}
