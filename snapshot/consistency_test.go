//go:build unix

package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// settle waits until what was just written counts as having been at rest.
func settle() { time.Sleep(50 * time.Millisecond) }

func level(t *testing.T, sources ...snapshot.Source) manifest.Consistency {
	t.Helper()
	return snaptest.Take(t, snaptest.Local(t), snapshot.Options{}, sources...).Head.Consistency
}

// What nobody touches is the state at one instant.
func TestConsistencyOfWhatRests(t *testing.T) {
	dir := t.TempDir()
	snaptest.OddTree{Seed: 300}.Make(t, dir)
	other := filepath.Join(t.TempDir(), "file")
	snaptest.WriteFile(t, other, 100, snaptest.Random, 1)
	settle()
	if c := level(t, snaptest.Directory("a", dir), snapshot.Source{Name: "b", Path: other}); c.Level != manifest.Transactional || c.SkewUS != 0 {
		t.Errorf("%+v", c)
	}
}

// One database, with files that are read after its pin and were not changed since.
func TestConsistencyOfOneDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	database(t, path, 4096, true)
	snaptest.WriteFile(t, filepath.Join(dir, "z"), 100, snaptest.Random, 1)
	settle()
	if c := level(t, snapshot.Source{Name: "db", Path: path}); c.Level != manifest.Transactional {
		t.Errorf("a database alone: %+v", c)
	}
}

// Databases are pinned at one instant, in whatever mode, wherever they lie, also one that nobody has open.
func TestConsistencyOfManyDatabases(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "c.db")
	database(t, filepath.Join(dir, "a.db"), 4096, true)
	database(t, filepath.Join(dir, "b.db"), 4096, false)
	must(t, database(t, filepath.Join(dir, "cold.db"), 4096, true).Close())
	database(t, other, 4096, true)
	settle()
	if c := level(t, snaptest.Directory("data", dir), snapshot.Source{Name: "db", Path: other}); c.Level != manifest.Transactional || c.SkewUS != 0 {
		t.Errorf("%+v", c)
	}
}

// A file that is changed after it was read, and before a database is pinned that the walk meets later, is not of the same
// instant as the database. (This one has no name by which it is found before the walk.)
func TestConsistencyOfWhatWasReadBefore(t *testing.T) {
	dir := t.TempDir()
	first, db := filepath.Join(dir, "a.json"), filepath.Join(dir, "zettel")
	snaptest.WriteFile(t, first, 100, snaptest.Random, 1)
	snaptest.WriteFile(t, filepath.Join(dir, "b"), snaptest.Behind, snaptest.Random, 1)
	app := database(t, db, 4096, false)
	settle()
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() {
		must(t, os.WriteFile(first, []byte(`{"rows":2002}`), 0o600))
		_, err := app.Exec("INSERT INTO t VALUES(9000, 'later')")
		must(t, err)
	}}
	c := snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", dir)).Head.Consistency
	if c.Level != manifest.Stable || c.SkewUS == 0 {
		t.Errorf("%+v, where a file is older than the database", c)
	}
}

// The same for a file that was gone when it was to be read.
func TestConsistencyOfWhatVanished(t *testing.T) {
	dir := t.TempDir()
	snaptest.WriteFile(t, filepath.Join(dir, "b"), snaptest.Behind, snaptest.Random, 1)
	snaptest.WriteFile(t, filepath.Join(dir, "z"), 1, snaptest.Random, 1)
	settle()
	gate := &snaptest.Gate{Target: snaptest.Local(t), Meanwhile: func() { must(t, os.Remove(filepath.Join(dir, "z"))) }}
	c := snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", dir)).Head.Consistency
	if c.Level != manifest.Stable || c.SkewUS == 0 {
		t.Errorf("%+v", c)
	}
}
