package publish

import (
	"context"
	"fmt"
	"iter"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Names remembers which archives manifests name. They never change, so each is read once. It holds 80 bytes for each archive, and 4 for
// each time that one is named. The zero value is empty.
type Names struct {
	of       map[manifest.ID][]int32 // indexes into archives
	index    map[manifest.Hash]int32
	archives []manifest.Hash
}

// Of yields the archives that a snapshot needs. Its manifest is read from the first of the places that has it whole; it is checked
// against its name, so it does not matter which one that is.
func (n *Names) Of(ctx context.Context, id manifest.ID, places ...layout.Store) (iter.Seq[manifest.Hash], error) {
	list, ok := n.of[id]
	if !ok {
		var err error
		if list, err = n.read(ctx, id, places); err != nil {
			return nil, err
		}
		if n.of == nil {
			n.of = map[manifest.ID][]int32{}
		}
		n.of[id] = list
	}
	return func(yield func(manifest.Hash) bool) {
		for _, i := range list {
			if !yield(n.archives[i]) {
				return
			}
		}
	}, nil
}

func (n *Names) read(ctx context.Context, id manifest.ID, places []layout.Store) (list []int32, err error) {
	snap, err := layout.OpenSnapshot(ctx, id, 1, places...)
	if err != nil {
		return nil, err
	}
	for a, err := range Needs(ctx, snap) {
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", id.Stamp, err)
		}
		list = append(list, n.intern(a.SHA256))
	}
	return list, nil
}

func (n *Names) intern(h manifest.Hash) int32 {
	i, ok := n.index[h]
	if !ok {
		if n.index == nil {
			n.index = map[manifest.Hash]int32{}
		}
		i = int32(len(n.archives))
		n.archives = append(n.archives, h)
		n.index[h] = i
	}
	return i
}

// A Need is an archive that a snapshot needs.
type Need struct {
	SHA256 manifest.Hash
	Size   int64 // bytes
}

// Needs yields the archives that a snapshot needs: those that describe it, and those that its files are in.
func Needs(ctx context.Context, snap *layout.Snapshot) iter.Seq2[Need, error] {
	return func(yield func(Need, error) bool) {
		for _, r := range snap.Head.Roots {
			if !yield(Need{r.SHA256, r.Size}, nil) {
				return
			}
		}
		for a, err := range snap.Archives(ctx) {
			if err != nil {
				yield(Need{}, err)
				return
			}
			if !yield(Need{a.SHA256, a.Size}, nil) {
				return
			}
		}
	}
}
