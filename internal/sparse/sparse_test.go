package sparse_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/sparse"
)

// What Walk passes is what the file holds, in order, holes included, whatever the caller takes for its size, and an error ends it.
func TestWalk(t *testing.T) {
	const hole, size = 3 << 20, 7<<20 + 5
	want := make([]byte, size)
	copy(want, "at the beginning")
	copy(want[hole+100:], bytes.Repeat([]byte("data "), 100_000))
	path := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off, data := range map[int64][]byte{0: []byte("at the beginning"), hole + 100: bytes.Repeat([]byte("data "), 100_000)} {
		if _, err := f.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	canTell := sparse.NextData(f, 1<<20, size) > 1<<20
	for _, taken := range []int64{size, 0, hole, size + 1<<20} {
		var got []byte
		holes := false
		err := sparse.Walk(f, taken, func(off int64, part []byte, hole bool) error {
			if off != int64(len(got)) || len(part) == 0 || len(part) > 1<<20 || hole && bytes.Count(part, []byte{0}) != len(part) {
				t.Errorf("a part of %d bytes at %d, after %d bytes; a hole: %t", len(part), off, len(got), hole)
			}
			holes = holes || hole
			got = append(got, part...)
			return nil
		})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("taken for %d bytes: %d bytes of %d, %v", taken, len(got), size, err)
		}
		if taken == size && holes != canTell {
			t.Errorf("holes: %t; they can be told from data: %t", holes, canTell)
		}
	}
	stop := errors.New("stop")
	if err := sparse.Walk(f, size, func(int64, []byte, bool) error { return stop }); err != stop {
		t.Errorf("the error of fn is returned as %v", err)
	}
}
