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

// Databases that are in use are of the instant at which the capture began, although the walk comes to them later, and so are files that were not
// changed since.
func TestPinnedBeforeTheWalk(t *testing.T) {
	w, db := newWalk(t, "z.db", true)
	other := database(t, filepath.Join(w.dir, "z2.db"), 4096, false)
	settle()
	w.meanwhile = func() {
		execute(t, db, "INSERT INTO late VALUES(1)")
		execute(t, other, "DELETE FROM t")
	}
	res, rows := w.take(t, snaptest.Local(t), "z.db")
	if c := res.Head.Consistency; rows != 0 || c.Level != manifest.Transactional || res.Head.ProblemCount > 0 {
		t.Errorf("%d rows, %+v, %+v", rows, c, res.Head.Problems)
	}
}

// One that has no name that databases have, and nothing beside it, is found by what the base knows. If it is what the base has, it is let go at once and is of
// the instant all the same: so is a file that was read before the walk came to it, and changed since.
func TestPinnedAsTheBaseSays(t *testing.T) {
	t.Parallel()
	w, db := newWalk(t, "zettel", false)
	early := filepath.Join(w.dir, "a")
	must(t, os.WriteFile(early, []byte("early"), 0o600))
	c := newChain(t, snaptest.Directory("d", w.dir))
	outlast()
	for i, step := range []struct {
		meanwhile func()
		level     manifest.Level
	}{
		{func() {}, manifest.Stable},
		{func() { must(t, os.WriteFile(early, []byte("late"), 0o600)) }, manifest.Transactional},
		{func() { execute(t, db, "INSERT INTO late VALUES(1)") }, manifest.Transactional},
	} {
		snaptest.WriteFile(t, filepath.Join(w.dir, "b"), snaptest.Behind, snaptest.Random, uint64(10+i))
		settle()
		c.gate = step.meanwhile
		res := c.take(snapshot.Options{})
		var rows int
		restored := filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store), "d", "zettel")
		must(t, openDatabase(t, restored).QueryRow("SELECT count(*) FROM late").Scan(&rows))
		if rows != 0 || res.Head.Consistency.Level != step.level {
			t.Errorf("step %d: %d rows, %+v", i, rows, res.Head.Consistency)
		}
	}
}

// What is left out is not pinned, and what was pinned and is in the way of no walk is let go when that is over.
func TestNotPinnedBeforeTheWalk(t *testing.T) {
	w := walk{dir: t.TempDir(), source: func(s *snapshot.Source) { s.Exclude, s.ExcludeCaches = []string{"/excluded/*.db", "within"}, true }}
	snaptest.WriteFile(t, filepath.Join(w.dir, "b"), snaptest.Behind, snaptest.Random, 1)
	dbs := map[string]*sql.DB{}
	for _, name := range []string{"cache", "excluded", "gone", "pinned", "within"} {
		dir := filepath.Join(w.dir, name)
		must(t, os.Mkdir(dir, 0o755))
		dbs[name] = database(t, filepath.Join(dir, "z.db"), 4096, true)
		execute(t, dbs[name], "CREATE TABLE late(x)")
	}
	must(t, os.WriteFile(filepath.Join(w.dir, "cache", "CACHEDIR.TAG"), []byte("Signature: 8a477f597d28d172789f06886806bc55"), 0o644))
	w.meanwhile = func() {
		for name, db := range dbs {
			execute(t, db, "INSERT INTO late VALUES(1)")
			if got := pinned(t, db); got != (name == "gone" || name == "pinned") {
				t.Errorf("%s is pinned: %v", name, got)
			}
		}
		must(t, os.Rename(filepath.Join(w.dir, "gone"), filepath.Join(t.TempDir(), "gone")))
	}
	if _, rows := w.take(t, snaptest.Local(t), "pinned/z.db"); rows != 0 {
		t.Errorf("%d rows", rows)
	}
	for name, db := range dbs {
		if pinned(t, db) {
			t.Errorf("%s is pinned still", name)
		}
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
