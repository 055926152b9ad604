//go:build unix

package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A slowStore takes archives out of a spool when it is told to.
type slowStore struct {
	mu     sync.Mutex
	queued []manifest.Hash
}

func (s *slowStore) stored(a *manifest.Archive) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = append(s.queued, a.SHA256)
	return nil
}

// take has it take everything that is queued.
func (s *slowStore) take(spool *localstore.Spool) {
	s.mu.Lock()
	queued := s.queued
	s.queued = nil
	s.mu.Unlock()
	for _, h := range queued {
		spool.Sent(0, h)
	}
}

// oneMiB is where archives end in these tests.
const oneMiB = 1 << 20

// Writers to a database with a rollback journal can commit while the capture waits for the network: it is copied first. Where there is no room for a
// copy, it is not pinned before there is room for it in the spool, and once it is pinned, nothing is waited for.
func TestRollbackJournalDoesNotWait(t *testing.T) {
	t.Run("copied", func(t *testing.T) { waitForNetwork(t, t.TempDir(), false) })
	t.Run("no room for a copy", func(t *testing.T) {
		scratch := t.TempDir()
		smallDisk(t, scratch, oneMiB)
		waitForNetwork(t, scratch, true)
	})
}

func waitForNetwork(t *testing.T, scratch string, noCopy bool) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		snaptest.WriteFile(t, filepath.Join(dir, name), 4*oneMiB, snaptest.Random, uint64(name[0]))
	}
	app := database(t, filepath.Join(dir, "c.db"), 4096, false)
	busy := "PRAGMA busy_timeout=5000" // for the moment of the copy: what waits for the network goes on only after the commit
	if noCopy {
		busy = "PRAGMA busy_timeout=0"
	}
	_, err := app.Exec(busy)
	must(t, err)
	_, err = app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<30) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	settle()
	store := &slowStore{}
	local := snaptest.Local(t)
	waits := 0
	var spool *localstore.Spool
	spool = local.Spool(localstore.SpoolOptions{Max: 7 * oneMiB, Largest: oneMiB, Outlets: 1, Waits: func(waiting bool) {
		if !waiting {
			return
		}
		waits++
		if _, err := app.Exec("INSERT INTO t(body) VALUES('while the capture waits')"); err != nil {
			t.Errorf("the application cannot commit while the capture waits for the network: %v", err)
		}
		go store.take(spool)
	}})
	opts := snaptest.Fill(spool, snapshot.Options{Stored: store.stored, ArchiveLimit: oneMiB, Scratch: scratch})
	res, err := snapshot.Take(t.Context(), []snapshot.Source{snaptest.Directory("d", dir)}, opts)
	must(t, err)
	if waits == 0 || !spool.Bypassed() {
		t.Errorf("it waited %d times; archives were let go: %v", waits, spool.Bypassed())
	}
	if res.Head.State != manifest.Complete || res.Head.Stats.WriterBlockMS > res.Head.Stats.PinMS {
		t.Errorf("state %s, stats %+v", res.Head.State, res.Head.Stats)
	}
	if heldUp(t, res.Head, "c.db") != noCopy {
		t.Errorf("problems %+v", res.Head.Problems)
	}
	snaptest.Empty(t, scratch)
}

// heldUp reports whether the only problem of a snapshot is that writers to this database had to wait. Any other is an error.
func heldUp(t *testing.T, head *manifest.Head, name string) bool {
	t.Helper()
	for _, p := range head.Problems {
		if p.Kind != "held_up" || p.Path != "d/"+name || head.ProblemCount != 1 {
			t.Errorf("problem %+v", p)
		}
	}
	return head.ProblemCount > 0
}

// Commits that keep coming are not kept waiting for longer than max_block but for the last look at the pages, and that is said.
func TestHeldUp(t *testing.T) {
	dir := t.TempDir()
	app := database(t, filepath.Join(dir, "app.db"), 512, false)
	_, err := app.Exec("PRAGMA synchronous=0; CREATE TABLE pair(a INTEGER, b INTEGER); INSERT INTO pair VALUES(0,0)")
	must(t, err)
	_, err = app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := app.Exec("UPDATE pair SET a=a+1, b=b-1"); err != nil {
				stopped <- err
				return
			}
		}
	}()
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{MaxBlock: time.Nanosecond}, snaptest.Directory("d", dir))
	close(stop)
	must(t, <-stopped)
	if !heldUp(t, res.Head, "app.db") || res.Head.State != manifest.Complete || !strings.Contains(res.Head.Problems[0].Detail, "max_block is 1ns") {
		t.Errorf("state %s, problems %+v", res.Head.State, res.Head.Problems)
	}
	restored := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	if result, detail, err := sqlitedb.Check(t.Context(), filepath.Join(restored, "d", "app.db"), sqlitedb.Full); err != nil || result != sqlitedb.OK {
		t.Errorf("%s, %v: %s", result, err, detail)
	}
	for f, err := range snaptest.Open(t, res.ID, local.Store).Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if f.SQLite != nil && f.SQLite.Read != "slices" {
			t.Errorf("%s was read: %s", f.Path, f.SQLite.Read)
		}
	}
}

// One of which there is no room for a copy and that does not fit into the spool is not pinned while the network is waited for, whether it is a source or in
// one: the capture fails.
func TestRollbackJournalThatDoesNotFit(t *testing.T) {
	scratch := t.TempDir()
	smallDisk(t, scratch, oneMiB)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.db")
	app := database(t, path, 4096, false)
	_, err := app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<100) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	for _, source := range []snapshot.Source{snaptest.Directory("d", dir), {Name: "d", Path: path}} {
		local := snaptest.Local(t)
		spool := local.Spool(localstore.SpoolOptions{Max: 8 * oneMiB, Largest: oneMiB, Outlets: 1})
		_, err = snapshot.Take(t.Context(), []snapshot.Source{source}, snaptest.Fill(spool, snapshot.Options{ArchiveLimit: oneMiB, Scratch: scratch}))
		var full *localstore.FullError
		if !errors.As(err, &full) || full.Need < 10*oneMiB*9/10 || !strings.Contains(err.Error(), path) {
			t.Errorf("Take = %v", err)
		}
		must(t, spool.Abandon(t.Context()))
		snaptest.NoLitter(t, local.Path())
		_, err = app.Exec("PRAGMA busy_timeout=0; INSERT INTO t(body) VALUES('x')")
		must(t, err)
	}
}

// The time that writers could not commit is in the manifest; of a database in WAL mode there is none.
func TestWriterBlock(t *testing.T) {
	for _, wal := range []bool{true, false} {
		dir := t.TempDir()
		db := database(t, filepath.Join(dir, "app.db"), 512, wal)
		_, err := db.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
		must(t, err)
		stats := snaptest.Take(t, snaptest.Local(t), snapshot.Options{}, snaptest.Directory("d", dir)).Head.Stats
		if wal && stats.WriterBlockMS != 0 || !wal && stats.WriterBlockMS != stats.PinMS || stats.PinMS == 0 {
			t.Errorf("in WAL mode %v: %+v", wal, stats)
		}
	}
}

// A pin that is older than it may be ends, though its reader is waiting for room that never comes; so does the capture.
func TestMaxPin(t *testing.T) {
	snaptest.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "live.db")
	app := database(t, path, 4096, true)
	_, err := app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<100) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	var mu sync.Mutex
	var passed time.Duration
	local, scratch := snaptest.Local(t), t.TempDir()
	spool := local.Spool(localstore.SpoolOptions{Max: 3 * oneMiB, Largest: oneMiB, Outlets: 1, Waits: func(bool) {
		mu.Lock()
		defer mu.Unlock()
		passed = 2 * time.Hour
	}})
	opts := snaptest.Fill(spool, snapshot.Options{ArchiveLimit: oneMiB, MaxPin: time.Hour, Scratch: scratch, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(passed)
	}})
	_, err = snapshot.Take(t.Context(), []snapshot.Source{{Name: "db", Path: path}}, opts)
	var limit *snapshot.PinLimitError
	if !errors.As(err, &limit) || limit.Path != path || limit.MaxPin != time.Hour || limit.Held < 2*time.Hour {
		t.Errorf("Take = %v", err)
	}
	snaptest.Empty(t, scratch)
	must(t, spool.Abandon(t.Context()))
	snaptest.NoLitter(t, local.Path())
	var busy, log, done int
	must(t, app.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done))
	if busy != 0 {
		t.Error("somebody still holds the database")
	}
}

// A copy of a database with a hot journal has no room: the capture fails, and nothing of the source is reported as unreadable.
func TestNoRoomForACopy(t *testing.T) {
	scratch := t.TempDir()
	smallDisk(t, scratch, 1<<20)
	dir := t.TempDir()
	path := filepath.Join(dir, "hot.db")
	app := database(t, path, 4096, false)
	_, err := app.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<40) INSERT INTO t(body) SELECT randomblob(100000) FROM n")
	must(t, err)
	must(t, app.Close())
	// A journal that a crash has left: a header and no pages. It is hot, and the database is the same without it.
	must(t, os.WriteFile(path+"-journal", append([]byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"), make([]byte, 504)...), 0o600))
	time.Sleep(2100 * time.Millisecond) // it must have been left alone for a while before a copy of it can be one state
	before := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	for _, source := range []snapshot.Source{snaptest.Directory("d", dir), {Name: "d", Path: path}} {
		_, err = snapshot.Take(t.Context(), []snapshot.Source{source}, snaptest.Fill(local, snapshot.Options{Scratch: scratch}))
		if err == nil || !isFull(err) {
			t.Errorf("Take = %v", err)
		}
		snaptest.Empty(t, scratch)
		snaptest.NoLitter(t, local.Path())
		same(t, before, snaptest.Walk(t, dir), 0)
	}
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir)) // with room
	if res.Head.State != manifest.Complete || res.Head.Sources[0].Databases != 1 {
		t.Errorf("state %s, %+v, problems %+v", res.Head.State, res.Head.Sources, res.Head.Problems)
	}
	snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
}
