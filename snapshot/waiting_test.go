//go:build unix

package snapshot_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A walk is a capture of a directory that is stopped while it reads a file, behind which the database comes that the test is about.
type walk struct {
	dir       string
	meanwhile func()
	opts      snapshot.Options
	source    func(*snapshot.Source)
}

// take returns what was captured, and how many rows of the application's table late are in the database of a name.
func (w walk) take(t *testing.T, local *localstore.Store, name string) (*snapshot.Result, int) {
	t.Helper()
	gate := &snaptest.Gate{Target: local, Meanwhile: w.meanwhile}
	source := snaptest.Directory("d", w.dir)
	if w.source != nil {
		w.source(&source)
	}
	res := snaptest.Take(t, gate, w.opts, source)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	rows := -1
	if path := filepath.Join(target, "d", name); exists(path) {
		must(t, openDatabase(t, path).QueryRow("SELECT count(*) FROM late").Scan(&rows))
	}
	return res, rows
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// newWalk makes the directory and a database in it, which is open.
func newWalk(t *testing.T, name string, wal bool) (walk, *sql.DB) {
	t.Helper()
	w := walk{dir: t.TempDir()}
	snaptest.WriteFile(t, filepath.Join(w.dir, "b"), snaptest.Behind, snaptest.Random, 1)
	db := database(t, filepath.Join(w.dir, name), 4096, wal)
	execute(t, db, "CREATE TABLE late(x)")
	settle()
	return w, db
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.Exec(statement)
	must(t, err)
}

// pinned reports whether somebody reads a database in WAL mode: its log cannot be emptied then.
func pinned(t *testing.T, db *sql.DB) bool {
	t.Helper()
	var busy, log, done int
	execute(t, db, "PRAGMA busy_timeout=0")
	must(t, db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done))
	return busy != 0
}

// A database that is in use is of the instant at which the capture began, although the walk comes to it later, and so are files that were not
// changed since.
func TestPinnedBeforeTheWalk(t *testing.T) {
	for _, wal := range []bool{true, false} {
		w, db := newWalk(t, "z.db", wal)
		w.meanwhile = func() { execute(t, db, "INSERT INTO late VALUES(1)") }
		res, rows := w.take(t, snaptest.Local(t), "z.db")
		if c := res.Head.Consistency; rows != 0 || c.Level != manifest.Transactional || res.Head.ProblemCount > 0 {
			t.Errorf("in WAL mode %v: %d rows, %+v, %+v", wal, rows, c, res.Head.Problems)
		}
	}
}

// One that has no name that databases have, and nothing beside it, is found by what the base knows.
func TestPinnedAsTheBaseSays(t *testing.T) {
	w, db := newWalk(t, "zettel", false)
	late := func() { execute(t, db, "INSERT INTO late VALUES(1)") }
	w.meanwhile = late
	local := snaptest.Local(t)
	base := filepath.Join(t.TempDir(), "base")
	keep := func() *os.File {
		f, err := os.Create(base)
		must(t, err)
		w.opts.NextBase = f
		return f
	}
	f := keep()
	if res, rows := w.take(t, local, "zettel"); rows != 1 || res.Head.Consistency.Level == manifest.Transactional {
		t.Errorf("%d rows, %+v", rows, res.Head.Consistency)
	}
	must(t, f.Close())
	b, err := snapshot.OpenBase(base)
	must(t, err)
	defer b.Close()
	b.LeanOn(func(*snapshot.BaseArchive) bool { return true })
	w.opts.Base, w.opts.NextBase, w.opts.ReadAll = b, nil, true // or else "b" is not read
	w.opts.Stamp = manifest.StampOf(snaptest.Stamp.Time().Add(time.Second))
	snaptest.WriteFile(t, filepath.Join(w.dir, "b"), snaptest.Behind, snaptest.Random, 2)
	settle()
	if res, rows := w.take(t, local, "zettel"); rows != 1 || res.Head.Consistency.Level != manifest.Transactional {
		t.Errorf("with a base: %d rows, %+v", rows, res.Head.Consistency)
	}
}

// What is left out is not pinned, and what is in the way of its walk is let go when that is over.
func TestNotPinnedBeforeTheWalk(t *testing.T) {
	for name, source := range map[string]func(*snapshot.Source){
		"excluded":      func(s *snapshot.Source) { s.Exclude = []string{"/z/*.db"} },
		"in one":        func(s *snapshot.Source) { s.Exclude = []string{"z"} },
		"in a cache":    func(s *snapshot.Source) { s.ExcludeCaches = true },
		"gone":          nil,
		"pinned at all": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := walk{dir: t.TempDir(), source: source}
			snaptest.WriteFile(t, filepath.Join(w.dir, "b"), snaptest.Behind, snaptest.Random, 1)
			z := filepath.Join(w.dir, "z")
			must(t, os.Mkdir(z, 0o755))
			must(t, os.WriteFile(filepath.Join(z, "CACHEDIR.TAG"), []byte("Signature: 8a477f597d28d172789f06886806bc55"), 0o644))
			db := database(t, filepath.Join(z, "z.db"), 4096, true)
			execute(t, db, "CREATE TABLE late(x)")
			var was bool
			w.meanwhile = func() {
				execute(t, db, "INSERT INTO late VALUES(1)")
				was = pinned(t, db)
				if name == "gone" {
					must(t, os.Rename(z, filepath.Join(t.TempDir(), "z")))
				}
			}
			w.take(t, snaptest.Local(t), "z/z.db")
			if was == (source != nil) {
				t.Errorf("pinned: %v", was)
			}
			if pinned(t, db) {
				t.Error("it is pinned still")
			}
		})
	}
}

// Another database that took the place of one that waits is captured, and not the one that was pinned.
func TestReplacedWhileItWaits(t *testing.T) {
	w, db := newWalk(t, "z.db", true)
	w.meanwhile = func() {
		other := filepath.Join(t.TempDir(), "other.db")
		o := database(t, other, 4096, true)
		execute(t, o, "CREATE TABLE late(x)")
		execute(t, o, "INSERT INTO late VALUES(1), (2), (3)")
		must(t, o.Close())
		must(t, db.Close())
		must(t, os.Rename(other, filepath.Join(w.dir, "z.db")))
		for _, beside := range []string{"-wal", "-shm"} { // as the application removes them that puts another in its place
			os.Remove(filepath.Join(w.dir, "z.db"+beside))
		}
	}
	res, rows := w.take(t, snaptest.Local(t), "z.db")
	if rows != 3 || res.Head.State != manifest.Complete {
		t.Errorf("%d rows, %s, %+v", rows, res.Head.State, res.Head.Problems)
	}
}

// A database does not wait for longer than for a part of max_pin: it is let go, and pinned when the walk comes to it, which is no failure.
func TestLetGoWhileItWaits(t *testing.T) {
	w, db := newWalk(t, "z.db", true)
	var passed atomic.Int64
	w.opts = snapshot.Options{MaxPin: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }}
	w.meanwhile = func() {
		execute(t, db, "INSERT INTO late VALUES(1)")
		if !pinned(t, db) {
			t.Error("it is not pinned")
		}
		passed.Store(int64(16 * time.Minute))
		for pinned(t, db) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	res, rows := w.take(t, snaptest.Local(t), "z.db")
	if c := res.Head.Consistency; rows != 1 || c.Level != manifest.Stable || c.SkewUS == 0 || res.Head.State != manifest.Complete {
		t.Errorf("%d rows, %+v, %s", rows, c, res.Head.State)
	}
}

// Without the permission to write, the barrier is not to be had: that is said, and the snapshot is complete.
func TestBarrierWithoutPermission(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	dir := t.TempDir()
	openBank(t, dir, "wal")
	for _, name := range branches {
		for _, beside := range []string{"", "-wal", "-shm"} {
			must(t, os.Chmod(filepath.Join(dir, name+beside), 0o444))
		}
	}
	for range 100 {
		res := snaptest.Take(t, snaptest.Local(t), snapshot.Options{Tries: -1, Barrier: true}, snaptest.Directory("d", dir))
		apart := res.Head.ProblemCount == 1 && res.Head.Problems[0].Kind == "apart" && res.Head.Problems[0].Path == "d/north.db"
		if res.Head.State != manifest.Complete || res.Barrier != 0 || apart != (res.Head.Consistency.Level == manifest.Stable) {
			t.Fatalf("%s, %+v, %+v", res.Head.State, res.Head.Consistency, res.Head.Problems)
		}
		if apart {
			t.Log(res.Head.Problems[0].Detail)
			return
		}
	}
	t.Error("databases that were pinned one after the other were never of two instants")
}
