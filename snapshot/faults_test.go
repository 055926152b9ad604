//go:build unix

package snapshot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A small application that needs every kind of archive: data, maps, tables.
type small struct {
	sources []snapshot.Source
	scratch string
	trees   map[string]map[string]snaptest.Entry
}

func newSmall(t *testing.T) *small {
	t.Helper()
	root := t.TempDir()
	s := &small{scratch: filepath.Join(root, "scratch"), trees: map[string]map[string]snaptest.Entry{}}
	must(t, os.Mkdir(s.scratch, 0o700))
	for _, name := range []string{"a", "b"} {
		dir := filepath.Join(root, name)
		snaptest.OddTree{Seed: 400, Entries: 10}.Make(t, dir)
		s.sources = append(s.sources, snaptest.Directory(name, dir))
	}
	must(t, database(t, filepath.Join(root, "a", "app.db"), 4096, true).Close())
	if !underRace {
		scattered(t, filepath.Join(root, "b", "mapped.db"))
	}
	for _, name := range []string{"a", "b"} {
		s.trees[name] = snaptest.Walk(t, filepath.Join(root, name))
	}
	settle()
	return s
}

// scattered makes a database in which pages of zeros alternate with others, which needs maps although it is small.
func scattered(t *testing.T, path string) {
	t.Helper()
	db := database(t, path, 4096, false)
	for _, q := range []string{
		"PRAGMA secure_delete=ON",
		"CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1100) INSERT INTO big SELECT i, printf('%.*c', 3900, 'x') FROM n",
		"DELETE FROM big WHERE id%2=0",
	} {
		_, err := db.Exec(q)
		must(t, err)
	}
	must(t, db.Close())
}

// attempt captures with faults, looks at what is there then, and captures again without.
func (s *small) attempt(t *testing.T, ctx context.Context, faults *snaptest.Faults) error {
	t.Helper()
	local := snaptest.Local(t)
	opts := snapshot.Options{Scratch: s.scratch}
	res, err := snapshot.Take(ctx, s.sources, snaptest.Fill(snaptest.FaultyTarget{Target: local, Faults: faults}, opts))
	snaptest.Empty(t, s.scratch)
	snaptest.NoLitter(t, local.Path())
	if err != nil && !errors.Is(err, snaptest.ErrFault) && !errors.Is(err, context.Canceled) {
		t.Errorf("Take = %v, which is not the fault", err)
	}
	listed := snaptest.ValidateAll(t, local.Store)
	if err == nil {
		if len(listed) != 1 || listed[0].ID != res.ID || res.Head.State != manifest.Complete {
			t.Errorf("success, and %d snapshots; state %s", len(listed), res.Head.State)
		}
		s.whole(t, res.ID, local)
		return nil
	}
	opts.Stamp = "20260203T040506Z"
	snaptest.Validate(t, snaptest.Take(t, local, opts, s.sources...).ID, local.Store)
	return err
}

func (s *small) whole(t *testing.T, id manifest.ID, local *localstore.Store) {
	t.Helper()
	target := snaptest.Restore(t, id, restore.Options{}, local.Store)
	for name, tree := range s.trees {
		same(t, tree, snaptest.Walk(t, filepath.Join(target, name)), specialBits)
	}
}

// Whatever the store fails at, nothing is listed that does not validate, nothing is left behind, and the next run succeeds.
func TestTakeWithFaults(t *testing.T) {
	snaptest.NoLeaks(t)
	s := newSmall(t)
	res := snaptest.Take(t, snaptest.Local(t), snapshot.Options{}, s.sources...)
	if n := res.Head.Stats.ArchivesNew; n != 4 && !underRace {
		t.Fatalf("%d archives; want two of data, one of maps, one of tables", n)
	}
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error { return s.attempt(t, t.Context(), f) })
}

func TestTakeCancelled(t *testing.T) {
	snaptest.NoLeaks(t)
	s := newSmall(t)
	snaptest.EachCancel(t, func(t *testing.T, ctx context.Context, f *snaptest.Faults) error { return s.attempt(t, ctx, f) })
}

// Cancelled while a large source is being read, and before anything began.
func TestTakeCancelledWhileReading(t *testing.T) {
	snaptest.NoLeaks(t)
	scratch := t.TempDir()
	dir := t.TempDir()
	snaptest.WriteFile(t, filepath.Join(dir, "a"), snaptest.Behind, snaptest.Random, 1)
	db := filepath.Join(t.TempDir(), "live.db")
	app := database(t, db, 4096, true)
	sources := []snapshot.Source{snaptest.Directory("data", dir), {Name: "db", Path: db}}
	for _, early := range []bool{true, false} {
		local := snaptest.Local(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		if early {
			cancel(snaptest.ErrFault)
		}
		gate := &snaptest.Gate{Target: local, Meanwhile: func() { cancel(snaptest.ErrFault) }}
		_, err := snapshot.Take(ctx, sources, snaptest.Fill(gate, snapshot.Options{Scratch: scratch}))
		if !errors.Is(err, snaptest.ErrFault) {
			t.Errorf("Take = %v", err)
		}
		snaptest.Empty(t, scratch)
		snaptest.NoLitter(t, local.Path())
		if list := snaptest.ValidateAll(t, local.Store); len(list) > 0 {
			t.Errorf("%d snapshots", len(list))
		}
		cancel(nil)
	}
	var busy, log, done int
	must(t, app.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done))
	if busy != 0 {
		t.Error("somebody still holds the database")
	}
}

// Scratch space that cannot be used is an error, and not a smaller snapshot.
func TestTakeWithoutScratch(t *testing.T) {
	local := snaptest.Local(t)
	_, err := snapshot.Take(t.Context(), []snapshot.Source{snaptest.Directory("d", t.TempDir())},
		snaptest.Fill(local, snapshot.Options{Scratch: filepath.Join(t.TempDir(), "absent")}))
	if err == nil {
		t.Error("Take without scratch space succeeded")
	}
}
