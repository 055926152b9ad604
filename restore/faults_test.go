//go:build unix

package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// whole takes a snapshot of what needs every kind of reading: inline extents, maps, databases, several archives.
func whole(t *testing.T) (id manifest.ID, local *localstore.Store, tree map[string]snaptest.Entry) {
	t.Helper()
	dir := filepath.Join(snaptest.TempDir(t), "d")
	snaptest.OddTree{Seed: 11, Entries: 12}.Make(t, dir)
	snaptest.WriteFile(t, filepath.Join(dir, "large"), 3<<20+1, snaptest.ZeroInner, 1)
	db, err := sqlitedb.OpenApp(filepath.Join(dir, "app.db"))
	must(t, err)
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA secure_delete=ON", "CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1100) INSERT INTO big SELECT i, printf('%.*c', 3900, 'x') FROM n",
		"DELETE FROM big WHERE id%2=0"} {
		_, err := db.Exec(q)
		must(t, err)
	}
	must(t, db.Close())
	local = snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	return res.ID, local, snaptest.Walk(t, dir)
}

// attempt restores from a store that fails, and then from one that does not.
func attempt(t *testing.T, ctx context.Context, id manifest.ID, store remote.Store, tree map[string]snaptest.Entry, f *snaptest.Faults) error {
	t.Helper()
	parent := snaptest.TempDir(t)
	target := filepath.Join(parent, "new", "target")
	snap, err := layout.OpenSnapshot(ctx, id, 2, layout.Store{Store: snaptest.FaultyStore(store, f)})
	if err == nil {
		_, err = restore.Run(ctx, snap, restore.Options{Target: target})
	}
	if err == nil {
		same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
		return nil
	}
	if !errors.Is(err, snaptest.ErrFault) && !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, which is not the fault", err)
	}
	snaptest.Empty(t, parent)
	_, err2 := restore.Run(t.Context(), snaptest.Open(t, id, layout.Store{Store: store}), restore.Options{Target: target})
	must(t, err2)
	same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
	return err
}

// Whatever the store fails at, the target is as it was, nothing is left beside it, and the next run succeeds.
func TestRunWithFaults(t *testing.T) {
	snaptest.NoLeaks(t)
	id, local, tree := whole(t)
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
		return attempt(t, t.Context(), id, local.Store.Store, tree, f)
	})
}

func TestRunCancelled(t *testing.T) {
	snaptest.NoLeaks(t)
	id, local, tree := whole(t)
	snaptest.EachCancel(t, func(t *testing.T, ctx context.Context, f *snaptest.Faults) error {
		return attempt(t, ctx, id, local.Store.Store, tree, f)
	})
}

// With a second place that has everything, no single fault is a failure.
func TestRunWithASecondPlace(t *testing.T) {
	snaptest.NoLeaks(t)
	id, local, tree := whole(t)
	faulted := int64(0)
	for _, after := range []bool{false, true} {
		for at := int64(0); ; at++ {
			f := &snaptest.Faults{At: at, After: after}
			target := filepath.Join(snaptest.TempDir(t), "target")
			bad := layout.Store{Store: snaptest.FaultyStore(local.Store.Store, f)}
			_, err := restore.Run(t.Context(), snaptest.Open(t, id, bad, local.Store), restore.Options{Target: target})
			must(t, err)
			same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
			if !f.Hit() {
				break
			}
			faulted++
		}
	}
	t.Logf("%d faults were passed over", faulted)
	if faulted < 10 {
		t.Error("too few to mean anything")
	}
}

// Verify proves what Run would, and keeps nothing.
func TestVerify(t *testing.T) {
	snaptest.NoLeaks(t)
	id, local, tree := whole(t)
	scratch := t.TempDir()
	res, err := restore.Verify(t.Context(), snaptest.Open(t, id, local.Store), restore.VerifyOptions{Scratch: scratch})
	must(t, err)
	if res.Files != int64(len(tree)) || !res.IntegrityOK || len(res.Databases) != 1 || res.Databases[0].Integrity != "ok" {
		t.Errorf("%+v", res)
	}
	snaptest.Empty(t, scratch)
	repeated := 0
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
		var again *restore.Result
		snap, err := layout.OpenSnapshot(t.Context(), id, 2, layout.Store{Store: snaptest.FaultyStore(local.Store.Store, f)})
		if err == nil {
			again, err = restore.Verify(t.Context(), snap, restore.VerifyOptions{Scratch: scratch})
		}
		snaptest.Empty(t, scratch)
		if f.Hit() && err == nil {
			// To read ahead in a table may fail: what is needed is then read alone.
			if repeated++; repeated > 4 || !reflect.DeepEqual(again, res) {
				t.Errorf("Verify is content though the store failed: %+v", again)
			}
		}
		return err
	})
}

// A database that was corrupt when it was captured comes back as it was, and the result says so.
func TestCorruptDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "app.db")
	db, err := sqlitedb.OpenApp(path)
	must(t, err)
	_, err = db.Exec("CREATE TABLE t(a); CREATE INDEX i ON t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT randomblob(100) FROM n")
	must(t, err)
	must(t, db.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("damage", 200)), 20*4096)
	must(t, err)
	must(t, f.Close())
	want := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	taken := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	if layout.Unfit(taken.Head) == "" || taken.Head.State != manifest.Complete {
		t.Errorf("the capture did not notice: %+v", taken.Head.Problems)
	}
	target := filepath.Join(t.TempDir(), "target")
	res, err := restore.Run(t.Context(), snaptest.Open(t, taken.ID, local.Store), restore.Options{Target: target})
	must(t, err)
	same(t, want, snaptest.Walk(t, filepath.Join(target, "d")), 0)
	if res.IntegrityOK || res.IntegrityError == "" || len(res.Databases) != 1 || res.Databases[0].Integrity != "corrupt" || res.Databases[0].Captured != "corrupt" {
		t.Errorf("%+v", res)
	}
}
