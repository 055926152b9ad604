package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// A shape is what a snapshot consists of.
type shape struct {
	extents  int
	archives map[manifest.Hash]bool // that hold content
	tables   map[manifest.Hash]bool // that hold maps or tables
	lines    int64                  // bytes of the tables and maps, as they are read
}

// shapeOf reads the tables of a snapshot.
func shapeOf(ctx context.Context, s *layout.Snapshot) (*shape, error) {
	sh := &shape{archives: map[manifest.Hash]bool{}, tables: map[manifest.Hash]bool{}}
	for _, t := range []manifest.Table{s.Head.Files, s.Head.Archives} {
		for _, p := range t.Pieces {
			sh.tables[s.Head.Roots[p.Archive].SHA256] = true
			sh.lines += p.Len
		}
	}
	for f, err := range s.Files(ctx) {
		if err != nil {
			return nil, err
		}
		for _, m := range f.Maps {
			sh.tables[m.Archive] = true
			sh.lines += m.Len
		}
		for e, err := range s.Extents(ctx, f) {
			if err != nil {
				return nil, err
			}
			if sh.extents++; !e.IsZeros() {
				sh.archives[e.Archive] = true
			}
		}
	}
	return sh, nil
}

// A fetched is what one restore took.
type fetched struct {
	seconds        float64
	content, table int   // requests for archives that hold content, and for others
	most           int   // for one archive with content
	bytes          int64 // that were asked for
}

// restoreOnce restores a snapshot into a directory that is removed again, after look, if there is one.
func restoreOnce(ctx context.Context, id manifest.ID, s *shop, sh *shape, scratch string, look func(dir string) error) (f fetched, err error) {
	dir := filepath.Join(scratch, "restored")
	defer os.RemoveAll(dir)
	c := s.counting
	c.mu.Lock()
	clear(c.requests)
	c.mu.Unlock()
	before := c.downloaded.Load()
	began := time.Now()
	snap, err := layout.OpenSnapshot(ctx, id, 2, s.Store)
	if err != nil {
		return f, err
	}
	res, err := restore.Run(ctx, snap, restore.Options{Target: dir})
	if err != nil {
		return f, err
	}
	f.seconds = time.Since(began).Seconds()
	if !res.IntegrityOK {
		return f, fmt.Errorf("what was restored is not sound: %s", res.IntegrityError)
	}
	f.bytes = c.downloaded.Load() - before
	for h := range sh.archives {
		n := c.requests[layout.ArchiveKey(h)]
		f.content += n
		f.most = max(f.most, n)
	}
	for h := range sh.tables {
		f.table += c.requests[layout.ArchiveKey(h)]
	}
	if look != nil {
		return f, look(dir)
	}
	return f, nil
}

// open reads what a snapshot consists of.
func (l *life) open(ctx context.Context, id manifest.ID, s *shop) (*shape, error) {
	snap, err := layout.OpenSnapshot(ctx, id, 2, s.Store)
	if err != nil {
		return nil, err
	}
	return shapeOf(ctx, snap)
}

// isState reports that what was restored is not the state.
func (l *life) isState(dir string) error {
	want, _, err := look(l.state(), nil)
	if err != nil {
		return err
	}
	got, _, err := look(dir, nil)
	if err != nil {
		return err
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d files were restored, not %d", len(got), len(want))
	}
	for path, sums := range want {
		if !slices.Equal(sums, got[path]) {
			return fmt.Errorf("%s was restored to other content", path)
		}
	}
	return nil
}
