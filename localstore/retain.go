package localstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Retain drops local copies of snapshots that are safe elsewhere: of those for which elsewhere reports true, all but the newest
// keep that "latest" may mean: one that is incomplete or corrupt takes the place of none that is good, and of a source that some of these left
// out, so many more stay that have it. Others stay, and so do those that are pinned, which do not count. Then archives go that no snapshot in the store needs, such as those of a backup that was cut short. The caller holds the lock
// of the store, so nobody else is writing to it. It returns how many bytes were freed.
func (s *Store) Retain(ctx context.Context, keep int, elsewhere func(manifest.ID) bool) (freed int64, err error) {
	entries, err := s.Snapshots(ctx)
	if err != nil {
		return 0, err
	}
	pinned, err := s.Pins(ctx)
	if err != nil {
		return 0, err
	}
	drop := map[manifest.ID]bool{}
	lacking := map[string]int{} // how many more are to stay that have a source
	for _, e := range slices.Backward(entries) {
		if pinned[e.ID] || !elsewhere(e.ID) {
			continue
		}
		if keep <= 0 && len(lacking) == 0 {
			drop[e.ID] = true
			continue
		}
		head := s.good(ctx, e.ID)
		switch {
		case keep <= 0:
			drop[e.ID] = head == nil || !makesUp(lacking, head)
		case head != nil:
			keep--
			makesUp(lacking, head)
			for _, o := range head.Omitted {
				lacking[o.Source]++
			}
		}
	}
	needed, err := s.needed(ctx, func(id manifest.ID) bool { return !drop[id] })
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !drop[e.ID] {
			continue
		}
		if err := s.Delete(ctx, layout.ManifestKey(e.ID)); err != nil {
			return freed, err
		}
		freed += e.Size
	}
	swept, err := s.sweepArchives(ctx, needed, nil)
	return freed + swept, err
}

// good returns the head of a snapshot that can be relied upon, or nil. One that cannot be read is none.
func (s *Store) good(ctx context.Context, id manifest.ID) *manifest.Head {
	head, _, err := s.Manifest(ctx, id)
	if err != nil || layout.Unfit(head) != "" {
		return nil
	}
	return head
}

// makesUp reports whether a snapshot has sources that are lacking, and counts them.
func makesUp(lacking map[string]int, head *manifest.Head) (some bool) {
	for _, src := range head.Sources {
		n, ok := lacking[src.Name]
		some = some || ok
		if n > 1 {
			lacking[src.Name] = n - 1
		} else {
			delete(lacking, src.Name)
		}
	}
	return some
}

// collect removes the archives that no snapshot here needs, but none that inUse reports.
func (s *Store) collect(ctx context.Context, inUse func(manifest.Hash) bool) (freed int64, err error) {
	needed, err := s.needed(ctx, nil)
	if err != nil {
		return 0, err
	}
	return s.sweepArchives(ctx, needed, inUse)
}

func (s *Store) sweepArchives(ctx context.Context, needed map[manifest.Hash]bool, inUse func(manifest.Hash) bool) (freed int64, err error) {
	for a, err := range s.ListArchives(ctx) {
		if err != nil {
			return freed, err
		}
		if needed[a.SHA256] || inUse != nil && inUse(a.SHA256) {
			continue
		}
		if err := s.Delete(ctx, layout.ArchiveKey(a.SHA256)); err != nil {
			return freed, err
		}
		freed += a.Size
	}
	return freed, nil
}

// needed returns the archives that the snapshots here need, and those that are owed; with only, of the snapshots that it reports.
func (s *Store) needed(ctx context.Context, only func(manifest.ID) bool) (map[manifest.Hash]bool, error) {
	needed := map[manifest.Hash]bool{}
	entries, err := s.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if only != nil && !only(e.ID) {
			continue
		}
		if err := mark(ctx, e.ID, needed, s.Store); err != nil {
			return nil, fmt.Errorf("archives are left as they are, since what snapshot %s needs is not known: %w", e.ID.Stamp, err)
		}
	}
	owed, entries, err := s.Owed(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if only != nil && !only(e.ID) {
			continue
		}
		err := mark(ctx, e.ID, needed, owed, s.Store)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // what describes it is let go only when a remote has all of it
			return nil, fmt.Errorf("archives are left as they are, since what snapshot %s needs is not known: %w", e.ID.Stamp, err)
		}
	}
	return needed, nil
}

// mark adds the archives that a snapshot needs.
func mark(ctx context.Context, id manifest.ID, needed map[manifest.Hash]bool, places ...layout.Store) error {
	snap, err := layout.OpenSnapshot(ctx, id, 1, places...)
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

// Size returns how many bytes the archives have that the snapshots need which only reports.
func (s *Store) Size(ctx context.Context, only func(manifest.ID) bool) (total int64, err error) {
	needed, err := s.needed(ctx, only)
	if err != nil {
		return 0, err
	}
	for a, err := range s.ListArchives(ctx) {
		if err != nil {
			return 0, err
		}
		if needed[a.SHA256] {
			total += a.Size
		}
	}
	return total, nil
}
