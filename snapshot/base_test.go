//go:build unix

package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/snapshot"
)

// A base of which any byte is another, or missing, or to which some were added, is refused before anything is taken from it.
func TestBaseThatLies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	snaptest.OddTree{Seed: 3, Entries: 5}.Make(t, dir)
	c := newChain(t, snaptest.Directory("data", dir))
	c.take(snapshot.Options{})
	good, err := os.ReadFile(c.base)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, data []byte) {
		t.Helper()
		if err := os.WriteFile(c.base, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := snapshot.OpenBase(c.base)
		if !errors.Is(err, snapshot.ErrNoBase) {
			t.Errorf("%s at %d: %v, want ErrNoBase", what, at, err)
		}
		b.Close()
	}
	stride := max(1, len(good)/500)
	for at := 0; at < len(good); at += stride {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1 << (at % 8)
		refused("flipped", at, bad)
		refused("cut", at, good[:at])
	}
	refused("one more byte", len(good), append(good[:len(good):len(good)], 0))
	refused("twice", len(good), append(good[:len(good):len(good)], good...))
	if err := os.WriteFile(c.base, good, 0o600); err != nil {
		t.Fatal(err)
	}
	c.take(snapshot.Options{})
}
