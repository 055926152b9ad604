//go:build unix

package restore_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A counted store counts requests for bytes, by key.
type counted struct {
	remote.Store
	opened chan string
}

func (c counted) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	c.opened <- key
	return c.Store.Open(ctx, key, off, n)
}

// A file that lies scattered over many archives is fetched by one request for each, when all of it is planned at once; and when only a few extents
// are, it comes back the same.
func TestRequestsOfScatteredFile(t *testing.T) {
	const chunk, chunks, increments = 64 << 10, 128, 12
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	snaptest.WriteFile(t, path, chunk*chunks, snaptest.Random, 1)
	local := snaptest.Local(t)
	base := filepath.Join(t.TempDir(), "base")
	var id manifest.ID
	for step := range increments {
		next, err := os.Create(base + ".next")
		if err != nil {
			t.Fatal(err)
		}
		opts := snapshot.Options{Stamp: manifest.StampOf(snaptest.Stamp.Time().Add(time.Duration(step) * time.Minute)), NextBase: next}
		if step > 0 {
			b, err := snapshot.OpenBase(base)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			b.LeanOn(func(*snapshot.BaseArchive) bool { return true })
			opts.Base = b
			change(t, path, chunk, step, 2*increments)
		}
		id = snaptest.Take(t, local, opts, snaptest.Directory("data", dir)).ID
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(base+".next", base); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archives := map[string]bool{}
	snap := snaptest.Open(t, id, local.Store)
	for f, err := range snap.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range snap.Extents(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			archives[layout.ArchiveKey(e.Archive)] = true
		}
	}
	if len(archives) != increments {
		t.Fatalf("the file lies in %d archives, want %d", len(archives), increments)
	}
	for _, memory := range []int64{0, 1000} {
		store := counted{local.Store.Store, make(chan string, 10_000)}
		target := snaptest.Restore(t, id, restore.WithMemory(restore.Options{}, memory), layout.Store{Store: store})
		got, err := os.ReadFile(filepath.Join(target, "data", "file"))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("with %d bytes for plans, the file comes back as another: %v", memory, err)
		}
		close(store.opened)
		requests := 0
		for key := range store.opened {
			if archives[key] {
				requests++
			}
		}
		if memory == 0 && requests != len(archives) || memory > 0 && requests <= len(archives) {
			t.Errorf("with %d bytes for plans: %d requests for %d archives", memory, requests, len(archives))
		}
	}
}

// change overwrites the first bytes of each of the chunks whose turn it is.
func change(t *testing.T, path string, chunk int64, turn, turns int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(turn); i*chunk < info.Size(); i += int64(turns) {
		if _, err := f.WriteAt([]byte{byte(turn), 1, 2, 3}, i*chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
