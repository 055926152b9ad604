// Package heal finds what a store has lost of the snapshots that it lists: archives that are missing, or are not as long as they should be. It says
// which files that touches; package transfer puts back what some other store has.
//
// It costs nothing that a backup does not do anyway. Every backup lists the store; what its snapshots need is remembered from when they were made
// (Needs), or read once. Only where the two do not agree is anything else asked for.
package heal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A Loss is an object that a store does not have as snapshots need it which it lists.
type Loss struct {
	Key       string
	SHA256    manifest.Hash
	Size      int64 // that it should have, in bytes
	Has       int64 // that it has, unless it is missing
	Missing   bool
	Manifest  bool          // it is a manifest, and not an archive
	Snapshots []manifest.ID // that need it, oldest first
}

// Need returns the archive that is lost.
func (l *Loss) Need() publish.Need { return publish.Need{SHA256: l.SHA256, Size: l.Size} }

// Why says what is wrong.
func (l *Loss) Why() string {
	if l.Missing {
		return "it is not in the store"
	}
	return fmt.Sprintf("it has %d bytes, and should have %d", l.Has, l.Size)
}

// Confirm looks at each loss by itself, and returns those that are real. A listing takes time: it may show a snapshot that was
// published meanwhile, and not the archives that came before it.
func Confirm(ctx context.Context, store layout.Store, losses []*Loss) ([]*Loss, error) {
	real := make([]bool, len(losses))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookers)
	for i, l := range losses {
		g.Go(func() (err error) {
			real[i], err = l.confirm(ctx, store)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var list []*Loss
	for i, l := range losses {
		if real[i] {
			list = append(list, l)
		}
	}
	return list, nil
}

// lookers is how many objects are looked at at once.
const lookers = 8

func (l *Loss) confirm(ctx context.Context, store layout.Store) (bool, error) {
	info, err := store.Stat(ctx, l.Key)
	if errors.Is(err, fs.ErrNotExist) {
		l.Missing = true
		return !l.Manifest, nil // a manifest that is gone was removed
	}
	if err != nil {
		return false, err
	}
	l.Missing, l.Has = false, info.Size
	return info.Size != l.Size, nil
}

// Touched is what losses mean for one snapshot in one store.
type Touched struct {
	Files     []string // that have something in the object, in order; at most MaxFiles
	Count     int64    // of them
	Describes bool     // the object holds a part of what describes the snapshot: without it, files may not even be known
}

// MaxFiles is how many files are named for one object and snapshot.
const MaxFiles = 10_000

// Touch says which files of a snapshot losses touch. A loss that the snapshot does not need after all has no entry. When what describes the snapshot
// cannot be read from the places that it was opened from, the error says so, and what was found until then is returned.
func Touch(ctx context.Context, snap *layout.Snapshot, losses []*Loss) (map[*Loss]*Touched, error) {
	all := map[*Loss]*Touched{}
	byHash := map[manifest.Hash]*Loss{}
	for _, l := range losses {
		if l.Manifest {
			all[l] = &Touched{Describes: true}
			continue
		}
		byHash[l.SHA256] = l
	}
	for _, r := range snap.Head.Roots {
		if l := byHash[r.SHA256]; l != nil {
			all[l] = &Touched{Describes: true}
		}
	}
	for a, err := range snap.Archives(ctx) {
		if err != nil {
			return all, err
		}
		if l := byHash[a.SHA256]; l != nil && all[l] == nil {
			all[l] = &Touched{}
		}
	}
	var unknown error
	for f, err := range snap.Files(ctx) {
		if err != nil {
			return all, err
		}
		err := touch(ctx, snap, f, func(h manifest.Hash) {
			t := all[byHash[h]]
			if t == nil {
				return
			}
			t.Count++
			if len(t.Files) < MaxFiles {
				t.Files = append(t.Files, f.Path)
			}
		})
		if ctx.Err() != nil || errors.Is(err, remote.ErrUnavailable) {
			return all, err
		}
		if unknown == nil && err != nil { // a map; the next file may fare better
			unknown = fmt.Errorf("%q: %w", f.Path, err)
		}
	}
	return all, unknown
}

// touch calls fn with each archive that a file is in, once.
func touch(ctx context.Context, snap *layout.Snapshot, f *manifest.File, fn func(manifest.Hash)) error {
	seen := map[manifest.Hash]bool{}
	use := func(h manifest.Hash) {
		if !seen[h] {
			seen[h] = true
			fn(h)
		}
	}
	for _, m := range f.Maps {
		use(m.Archive)
	}
	for e, err := range snap.Extents(ctx, f) {
		if err != nil {
			return err
		}
		if !e.IsZeros() {
			use(e.Archive)
		}
	}
	return nil
}
