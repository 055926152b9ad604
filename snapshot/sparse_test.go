//go:build linux

package snapshot_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// bytesRead returns how much this process has read so far, from whatever it was.
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("NOT CHECKED: that holes are not read: %v", err)
	}
	if _, err := fmt.Sscanf(string(data), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The holes of a file are neither read, nor stored, nor written; they only go through its SHA-256.
func TestHolesCostNothing(t *testing.T) {
	size := int64(4 << 30)
	if testing.Short() {
		size = 1 << 30
	}
	if s := os.Getenv("LIFEBOAT_TEST_SPARSE"); s != "" { // in GiB
		if _, err := fmt.Sscan(s, &size); err != nil {
			t.Fatal(err)
		}
		size <<= 30
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "sparse")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, size))
	data := map[int64][]byte{}
	for i, off := range []int64{12_345, size/3 + 777, size/2 - size/2%(1<<20), size - 1_000_001} {
		data[off] = bytes.Repeat([]byte{byte(i + 1), 0xa7, 0}, 250_000)
		write(t, path, off, data[off])
	}
	if blocksOf(t, path) > size/2 {
		t.Skip("NOT CHECKED: this file system has no holes")
	}
	local := snaptest.Local(t)
	before := bytesRead(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	captured := bytesRead(t) - before
	before = bytesRead(t)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	restored := bytesRead(t) - before
	got := filepath.Join(target, "d", "sparse")
	f, err := os.Open(got)
	must(t, err)
	defer f.Close()
	for off, want := range data {
		b := make([]byte, len(want)+2)
		_, err := f.ReadAt(b, off-1)
		must(t, err)
		if !bytes.Equal(b, append(append([]byte{0}, want...), 0)) {
			t.Errorf("at %d there is something else", off)
		}
	}
	fi, err := f.Stat()
	must(t, err)
	blocks := blocksOf(t, got)
	t.Logf("%d GiB with %d holes between 3 MB of data: capture read %d MiB, restore %d MiB; stored %d KiB; the restored file takes %d KiB",
		size>>30, len(data)+1, captured>>20, restored>>20, res.Head.Stats.StoredBytes>>10, blocks>>10)
	if limit := int64(32 << 20); fi.Size() != size || captured > limit || restored > limit || blocks > limit || res.Head.Stats.StoredBytes > limit {
		t.Errorf("a file of %d bytes: capture read %d bytes, restore %d, stored are %d, it takes %d now", fi.Size(), captured, restored, res.Head.Stats.StoredBytes, blocks)
	}
}

// A database full of zeros, as secure_delete makes it, is stored and restored as holes.
func TestSparseDatabase(t *testing.T) {
	dir := t.TempDir()
	db := openDatabase(t, filepath.Join(dir, "x.db"))
	for _, q := range []string{"PRAGMA secure_delete=ON", "CREATE TABLE t(b)", "INSERT INTO t VALUES(randomblob(40000000))", "DELETE FROM t", "INSERT INTO t VALUES('" + strings.Repeat("x", 100_000) + "')"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	must(t, db.Close())
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	if a, b := read(t, filepath.Join(dir, "x.db")), read(t, filepath.Join(target, "d", "x.db")); !bytes.Equal(a, b) {
		t.Error("the database is another one")
	}
	if blocks := blocksOf(t, filepath.Join(target, "d", "x.db")); blocks > 4<<20 || res.Head.Stats.Bytes < 40_000_000 {
		t.Errorf("%d bytes take %d bytes of disk", res.Head.Stats.Bytes, blocks)
	}
}
