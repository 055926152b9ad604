//go:build unix

package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// outlast waits until what was just written proves something: a change in these seconds could have the same time.
func outlast() { time.Sleep(2100 * time.Millisecond) }

// A database in a rollback mode that is a source, and was not changed, is neither copied nor read: there is no room for a copy, and writers are not
// held up for want of it. One that was changed is.
func TestUnchangedIsNotCopied(t *testing.T) {
	scratch, path := t.TempDir(), filepath.Join(t.TempDir(), "app.db")
	smallDisk(t, scratch, oneMiB)
	t.Parallel()
	app := database(t, path, 4096, false)
	_, err := app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<40) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	outlast()
	c := newChain(t, snapshot.Source{Name: "d", Path: path})
	if first := c.take(snapshot.Options{}); first.Head.Stats.NewBytes < 4*oneMiB {
		t.Fatalf("the first stored %d bytes", first.Head.Stats.NewBytes)
	}
	for _, changed := range []bool{false, false, true} {
		if changed {
			_, err := app.Exec("UPDATE t SET body='one' WHERE id=30")
			must(t, err)
		}
		want := content(t, path)
		res := c.take(snapshot.Options{Scratch: scratch})
		if heldUp(t, res.Head, "app.db") != changed || res.Head.State != manifest.Complete {
			t.Errorf("changed: %v; state %s, problems %+v", changed, res.Head.State, res.Head.Problems)
		}
		_, err := app.Exec("BEGIN IMMEDIATE; ROLLBACK")
		must(t, err)
		target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
		if got := content(t, filepath.Join(target, "d", "app.db")); got != want {
			t.Errorf("restored is %s, want %s", got, want)
		}
	}
}

// What changed is noticed though its size and its time of modification were put back, also in the middle of a database; and so is another file of
// the same size and time under the same name.
func TestUnchangedIsProved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, db, other := filepath.Join(dir, "file"), filepath.Join(dir, "db"), filepath.Join(t.TempDir(), "other")
	snaptest.WriteFile(t, file, 1<<20, snaptest.Random, 1)
	snaptest.WriteFile(t, other, 1<<20, snaptest.Random, 2)
	must(t, database(t, db, 4096, false).Close())
	outlast()
	c := newChain(t, snaptest.Directory("d", dir), snapshot.Source{Name: "s", Path: db})
	c.take(snapshot.Options{})
	change := func(path string, do func()) {
		t.Helper()
		fi, err := os.Stat(path)
		must(t, err)
		do()
		must(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		if now, err := os.Stat(path); err != nil || now.Size() != fi.Size() || !now.ModTime().Equal(fi.ModTime()) {
			t.Fatalf("%s can be told by its size or time: %v", path, err)
		}
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"a byte of a file", func() { change(file, func() { poke(t, file, 700_000) }) }},
		{"a page of a database", func() { change(db, func() { poke(t, db, 100_000) }) }},
		{"another file", func() { change(file, func() { must(t, os.Rename(other, file)) }) }},
	} {
		step.do()
		want := snaptest.Walk(t, dir)
		res := c.take(snapshot.Options{})
		target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
		same(t, want, snaptest.Walk(t, filepath.Join(target, "d")), 0)
		if got := snaptest.Walk(t, filepath.Join(target, "s")); got["db"].SHA256 != want["db"].SHA256 {
			t.Errorf("after %s the source has another database", step.name)
		}
	}
}

// poke changes a byte of a file.
func poke(t *testing.T, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	must(t, err)
	b[0]++
	_, err = f.WriteAt(b[:], off)
	must(t, err)
}
