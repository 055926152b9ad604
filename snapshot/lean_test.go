//go:build unix

package snapshot_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/snapshot"
)

// A leaning is a chain of snapshots of one file of chunks, each of which has a place in the order in which they change.
type leaning struct {
	*chain
	path  string
	order []int
}

const leanChunk = 64 << 10

// newLeaning begins one whose archives have four chunks each, and whose rules go by no size.
func newLeaning(t *testing.T, chunks int) *leaning {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &leaning{newChain(t, snaptest.Directory("data", dir)), filepath.Join(dir, "file"), nil}
	l.scale = 1 << 20
	snaptest.WriteFile(t, l.path, int64(chunks)*leanChunk, snaptest.Random, 1)
	for turn := range 4 { // the first of each four, then the second, so that all archives lose alike
		for i := turn; i < chunks; i += 4 {
			l.order = append(l.order, i)
		}
	}
	return l
}

// change changes the next n chunks, and returns how many were stored by the snapshot after that.
func (l *leaning) change(n int) int {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_RDWR, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	random := rand.New(rand.NewPCG(uint64(len(l.order)), 1))
	b := make([]byte, leanChunk)
	for _, i := range l.order[:n] {
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		if _, err := f.WriteAt(b, int64(i)*leanChunk); err != nil {
			l.t.Fatal(err)
		}
	}
	l.order = l.order[n:]
	stored := int(l.take(snapshot.Options{ArchiveLimit: 4 * leanChunk}).Head.Stats.NewBytes / leanChunk)
	l.t.Logf("%d chunks changed, %d were stored", n, stored)
	return stored
}

// What lives in archives that have become thin moves on, and no more of it at a time than seven tenths of what was new in the snapshot before, in which
// what moved on was not new.
func TestThinArchivesMoveOnInParts(t *testing.T) {
	l := newLeaning(t, 256)
	l.change(0)
	if n := l.change(64 + 64); n != 128 {
		t.Fatalf("%d chunks were stored after 128 had changed", n)
	}
	if n := l.change(32); n != 32 { // half of them live everywhere
		t.Errorf("%d chunks were stored after 32 had changed and no archive was thin", n)
	}
	if n := l.change(20); n < 20+20 || n > 20+23 { // 32 archives have one chunk of four, and so much room is there
		t.Errorf("%d chunks were stored, of which 20 had changed and 22 might move on", n)
	}
	if n := l.change(1); n < 1+10 || n > 1+14 {
		t.Errorf("%d chunks were stored, of which one had changed and 14 might move on; what moved on before counts as new", n)
	}
	snaptest.ValidateAll(t, l.local.Store)
}

// Small archives of which there are more than sixteen become one, in parts as well: no more of them at a time than may move on.
func TestSmallArchivesBecomeOneInParts(t *testing.T) {
	l := newLeaning(t, 64)
	l.scale = 100 // an archive of one chunk counts as 6.5 MiB, one of four as more than 8, and 10 chunks as 64
	l.change(0)
	for range 17 {
		if n := l.change(1); n != 1 {
			t.Fatalf("%d chunks were stored after one had changed", n)
		}
	}
	if n := l.change(1); n != 1+10 {
		t.Errorf("%d chunks were stored, of which one had changed and 10 might move on", n)
	}
	if n := l.change(1); n != 1 {
		t.Errorf("%d chunks were stored after one had changed, and few archives are small", n)
	}
	snaptest.ValidateAll(t, l.local.Store)
}

// Archives that are small because their content compresses well, and that are as full as they can be, stay: joined, they would be as many and as small again,
// with each snapshot.
func TestFullArchivesAreNotSmall(t *testing.T) {
	l := newLeaning(t, 256)
	l.scale = 1
	snaptest.WriteFile(t, l.path, 256*leanChunk, snaptest.Repeating, 2)
	l.change(0)
	if n := l.change(0); n != 0 {
		t.Errorf("%d chunks were stored after none had changed", n)
	}
	if n := l.change(3); n != 3 {
		t.Errorf("%d chunks were stored after three had changed", n)
	}
	snaptest.ValidateAll(t, l.local.Store)
}
