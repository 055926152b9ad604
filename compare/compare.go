// Package compare finds out what changed between two snapshots. It reads their manifests, and no content.
package compare

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A What says how a path changed.
type What string

const (
	Added    What = "added"
	Removed  What = "removed"
	Changed  What = "changed"  // in content or type
	Metadata What = "metadata" // the content is the same; mode, owner, time or extended attributes are not
)

// A Change is one path that differs. Old and New are its lines; one of them is nil where it was added or removed.
type Change struct {
	What     What
	Old, New *manifest.File
}

// Path returns the path, in both snapshots.
func (c *Change) Path() string {
	if c.New != nil {
		return c.New.Path
	}
	return c.Old.Path
}

// Files yields what differs between the files tables of two snapshots, in their order; with under, only at and below that path. seen is told of every
// path that is in one of them, whether it differs or not; it may be nil. It ends after the first error.
func Files(ctx context.Context, a, b *layout.Snapshot, under string, seen func(old, new *manifest.File)) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		nextA, stopA := iter.Pull2(filesOf(ctx, a, under))
		defer stopA()
		nextB, stopB := iter.Pull2(filesOf(ctx, b, under))
		defer stopB()
		old, errA, _ := nextA()
		now, errB, _ := nextB()
		for old != nil || now != nil || errA != nil || errB != nil {
			switch {
			case errA != nil:
				yield(nil, fmt.Errorf("snapshot %s: %w", a.ID.Stamp, errA))
				return
			case errB != nil:
				yield(nil, fmt.Errorf("snapshot %s: %w", b.ID.Stamp, errB))
				return
			}
			order := 0
			switch {
			case old == nil:
				order = 1
			case now == nil:
				order = -1
			default:
				order = manifest.ComparePaths(old.Path, now.Path)
			}
			c := &Change{}
			if order <= 0 {
				c.Old = old
				old, errA, _ = nextA()
			}
			if order >= 0 {
				c.New = now
				now, errB, _ = nextB()
			}
			if seen != nil {
				seen(c.Old, c.New)
			}
			if c.What = what(c.Old, c.New); c.What != "" && !yield(c, nil) {
				return
			}
		}
	}
}

// filesOf yields the files of a snapshot at and below a path.
func filesOf(ctx context.Context, s *layout.Snapshot, under string) iter.Seq2[*manifest.File, error] {
	if under == "" {
		return s.Files(ctx)
	}
	return func(yield func(*manifest.File, error) bool) {
		for f, err := range s.FilesFrom(ctx, under) {
			if err == nil && f.Path != under && !strings.HasPrefix(f.Path, under+"/") {
				return // what is below a path stands right behind it
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func what(old, now *manifest.File) What {
	switch {
	case old == nil:
		return Added
	case now == nil:
		return Removed
	case old.Type != now.Type, old.Size != now.Size, old.SHA256 != now.SHA256, old.Link != now.Link:
		return Changed
	case !sameMetadata(old, now):
		return Metadata
	}
	return ""
}

func sameMetadata(a, b *manifest.File) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.User == b.User && a.Group == b.Group && a.ModTime == b.ModTime &&
		slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y manifest.Xattr) bool { return x.Name == y.Name && string(x.Value) == string(y.Value) })
}

// A TableChange is a table of a database whose rows are others. Rows are -1 where there is no such table.
type TableChange struct {
	Name     string
	Old, New int64
}

// Tables returns the tables that have come, gone, or have more or fewer rows than before, by name. Rows that were changed in place do not show.
func Tables(old, now *manifest.SQLite) []TableChange {
	byName := map[string]*TableChange{}
	gather := func(s *manifest.SQLite, set func(*TableChange, int64)) {
		if s == nil {
			return
		}
		for _, t := range s.Tables {
			c := byName[t.Name]
			if c == nil {
				c = &TableChange{t.Name, -1, -1}
				byName[t.Name] = c
			}
			set(c, t.Rows)
		}
	}
	gather(old, func(c *TableChange, n int64) { c.Old = n })
	gather(now, func(c *TableChange, n int64) { c.New = n })
	var list []TableChange
	for _, c := range byName {
		if c.Old != c.New {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b TableChange) int { return strings.Compare(a.Name, b.Name) })
	return list
}
