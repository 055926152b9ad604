package localstore

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Collected is what Collect did, in bytes of archives.
type Collected struct {
	Freed   int64
	Later   int64     // that only removed snapshots need, which can still be put back
	LaterAt time.Time // when all of Later may go; zero if it is nothing
}

// CollectOptions are what Collect goes by.
type CollectOptions struct {
	Now    time.Time     // by the clock of the store
	Grace  time.Duration // for how long removed snapshots can be put back
	Drop   []manifest.ID // whose manifests may be unreadable, and which are lost then
	DryRun bool          // count only
}

// Collect removes the archives that no snapshot here needs, that is owed to no remote, and that was not removed within the grace; and what
// describes snapshots that were removed longer ago. A manifest that can't be read stops it, unless it is to be dropped. The caller holds the lock of the store, so nobody else is writing to it.
func (s *Store) Collect(ctx context.Context, opts CollectOptions) (c Collected, err error) {
	needed, err := s.needed(ctx, func(id manifest.ID) bool { return !slices.Contains(opts.Drop, id) })
	if err != nil {
		return c, err
	}
	removed, err := s.Removed(ctx)
	if err != nil {
		return c, err
	}
	until := map[manifest.Hash]time.Time{}
	var gone []manifest.ID
	for _, e := range removed {
		end := e.ModTime.Add(opts.Grace)
		if end.Before(opts.Now) {
			gone = append(gone, e.ID)
			continue
		}
		own := map[manifest.Hash]bool{}
		if err := mark(ctx, e.ID, own, s.OfRemoved(), s.Store); err != nil {
			if ctx.Err() != nil {
				return c, context.Cause(ctx)
			}
			if !errors.Is(err, fs.ErrNotExist) && !isDamaged(err) {
				return c, err
			}
			gone = append(gone, e.ID) // nobody can put it back
		}
		for h := range own {
			if end.After(until[h]) {
				until[h] = end
			}
		}
	}
	for a, err := range s.ListArchives(ctx) {
		end := until[a.SHA256]
		switch {
		case err != nil:
			return c, err
		case needed[a.SHA256]:
			continue
		case !end.IsZero():
			c.Later += a.Size
			if end.After(c.LaterAt) {
				c.LaterAt = end
			}
			continue
		case !opts.DryRun:
			if err := s.Delete(ctx, layout.ArchiveKey(a.SHA256)); err != nil {
				return c, err
			}
		}
		c.Freed += a.Size
	}
	if opts.DryRun {
		return c, nil
	}
	for _, id := range gone {
		if err := s.Delete(ctx, layout.RemovedKey(id)); err != nil {
			return c, err
		}
	}
	return c, nil
}

// isDamaged reports that what describes a snapshot is not what it should be.
func isDamaged(err error) bool {
	return errors.Is(err, layout.ErrDamaged) || errors.Is(err, manifest.ErrInvalid) || errors.Is(err, layout.ErrDigest) || errors.As(err, new(*archive.DamageError))
}
