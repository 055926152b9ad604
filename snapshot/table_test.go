//go:build unix

package snapshot_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// counting is a target that keeps nothing.
type counting struct {
	mu       sync.Mutex
	archives []*manifest.Archive
	bytes    int64 // of archives and manifests
	manifest int64
}

func (c *counting) Create(context.Context, string) (archive.Object, error) {
	return &counted{io.Discard, c}, nil
}

func (c *counting) Commit(_ context.Context, _ manifest.ID, stored []byte) error {
	c.bytes += int64(len(stored))
	c.manifest = int64(len(stored))
	return nil
}

type counted struct {
	io.Writer
	to *counting
}

func (o *counted) Commit(a *manifest.Archive) error {
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	o.to.archives = append(o.to.archives, a)
	o.to.bytes += a.Size
	return nil
}

func (o *counted) Discard() {}

// A snapshot of nothing new costs the same whatever the size of the store: here the table of archives is that of 100 GiB, which has some 3,200 lines of
// 32 frames. The archives have 64 KiB, a 512th of what is usual, and count as if they had that.
func TestUnchangedInALargeStore(t *testing.T) {
	const (
		archives = 3200
		each     = 64 << 10
		most     = 64 << 10 // bytes
	)
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		snaptest.WriteFile(t, filepath.Join(dir, name), archives/2*each, snaptest.Random, uint64(name[0]))
	}
	base := filepath.Join(t.TempDir(), "base")
	at := snaptest.Stamp.Time()
	take := func() (c *counting, head *manifest.Head) {
		t.Helper()
		at = at.Add(time.Minute)
		c = &counting{}
		next, err := os.Create(base + ".next")
		must(t, err)
		defer next.Close()
		opts := snapshot.Options{Stamp: manifest.StampOf(at), NextBase: next, ArchiveLimit: each}
		if at.Sub(snaptest.Stamp.Time()) > time.Minute {
			opts.Base, err = snapshot.OpenBase(base)
			must(t, err)
			defer opts.Base.Close()
			opts.Base.Scale = 512
			opts.Base.LeanOn(func(*snapshot.BaseArchive) bool { return true })
		}
		res := snaptest.Take(t, c, opts, snaptest.Directory("data", dir))
		must(t, res.NextBase)
		must(t, os.Rename(base+".next", base))
		return c, res.Head
	}
	_, first := take()
	if first.Archives.Count < archives {
		t.Fatalf("the table has %d archives, want %d", first.Archives.Count, archives)
	}
	for range 2 {
		c, head := take()
		if c.bytes > most || head.Stats.NewBytes > 0 || head.Archives.Count < archives {
			t.Errorf("%d bytes were stored, %d of them the manifest, %d archives; the table has %d lines", c.bytes, c.manifest, len(c.archives), head.Archives.Count)
		}
		t.Logf("%d bytes, the table in %d pieces", c.bytes, len(head.Archives.Pieces))
	}
	// A small change makes one line of the table anew, and so one piece or two.
	write(t, filepath.Join(dir, "b"), 12345, []byte("changed"))
	c, head := take()
	if head.Stats.NewBytes < each || c.bytes > 1<<20 {
		t.Errorf("a small change stored %d bytes, in %+v", c.bytes, head.Stats)
	}
	t.Logf("%d bytes for one that changed", c.bytes)
}
