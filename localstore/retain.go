package localstore

import (
	"context"
	"fmt"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Retain drops local copies of snapshots that are safe elsewhere: of those for which elsewhere reports true, all but the newest
// keep. Others stay. Then archives go that no snapshot in the store needs, such as those of a backup that was cut short. The caller holds the lock
// of the store, so nobody else is writing to it. It returns how many bytes were freed.
func (s *Store) Retain(ctx context.Context, keep int, elsewhere func(manifest.ID) bool) (freed int64, err error) {
	entries, err := s.Snapshots(ctx)
	if err != nil {
		return 0, err
	}
	needed := map[manifest.Hash]bool{}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if elsewhere(e.ID) {
			if keep--; keep < 0 {
				if err := s.Delete(ctx, layout.ManifestKey(e.ID)); err != nil {
					return freed, err
				}
				freed += e.Size
				continue
			}
		}
		if err := s.mark(ctx, e.ID, needed); err != nil {
			return freed, fmt.Errorf("archives are left as they are, since what snapshot %s needs is not known: %w", e.ID.Stamp, err)
		}
	}
	for a, err := range s.ListArchives(ctx) {
		if err != nil {
			return freed, err
		}
		if needed[a.SHA256] {
			continue
		}
		if err := s.Delete(ctx, layout.ArchiveKey(a.SHA256)); err != nil {
			return freed, err
		}
		freed += a.Size
	}
	return freed, nil
}

// mark adds the archives that a snapshot needs.
func (s *Store) mark(ctx context.Context, id manifest.ID, needed map[manifest.Hash]bool) error {
	snap, err := layout.OpenSnapshot(ctx, id, 1, s.Store)
	if err != nil {
		return err
	}
	for _, r := range snap.Head.Roots {
		needed[r.SHA256] = true
	}
	for a, err := range snap.Archives(ctx) {
		if err != nil {
			return err
		}
		needed[a.SHA256] = true
	}
	return nil
}
