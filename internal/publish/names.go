package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
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
		hashes, err := read(ctx, id, places)
		if err != nil {
			return nil, err
		}
		list = n.remember(id, hashes)
	}
	return func(yield func(manifest.Hash) bool) {
		for _, i := range list {
			if !yield(n.archives[i]) {
				return
			}
		}
	}, nil
}

// Load reads what Of will be asked for, of so many snapshots at once: each takes round trips to the places. It returns why those failed that
// could not be read. Once one has found no place that answers, those that nobody has begun with are left to Of.
func (n *Names) Load(ctx context.Context, ids []manifest.ID, atOnce int, places ...layout.Store) map[manifest.ID]error {
	var mu sync.Mutex
	failed := map[manifest.ID]error{}
	var unanswered atomic.Bool
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, id := range ids {
		if _, ok := n.known(&mu, id); ok {
			continue
		}
		g.Go(func() error {
			if unanswered.Load() {
				return nil
			}
			hashes, err := read(ctx, id, places)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[id] = err
				if errors.Is(err, remote.ErrUnavailable) && !remote.IsRefusal(err) {
					unanswered.Store(true)
				}
				return nil
			}
			n.remember(id, hashes)
			return nil
		})
	}
	g.Wait()
	return failed
}

func (n *Names) known(mu *sync.Mutex, id manifest.ID) (list []int32, ok bool) {
	mu.Lock()
	defer mu.Unlock()
	list, ok = n.of[id]
	return list, ok
}

func (n *Names) remember(id manifest.ID, hashes []manifest.Hash) []int32 {
	list := make([]int32, len(hashes))
	for i, h := range hashes {
		list[i] = n.intern(h)
	}
	if n.of == nil {
		n.of = map[manifest.ID][]int32{}
	}
	n.of[id] = list
	return list
}

func read(ctx context.Context, id manifest.ID, places []layout.Store) (hashes []manifest.Hash, err error) {
	snap, err := layout.OpenSnapshot(ctx, id, 1, places...)
	if err != nil {
		return nil, err
	}
	for a, err := range Needs(ctx, snap) {
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", id.Stamp, err)
		}
		hashes = append(hashes, a.SHA256)
	}
	return hashes, nil
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
