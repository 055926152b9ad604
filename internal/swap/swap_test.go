package swap_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"lifeboat/internal/swap"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func has(t testing.TB, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("%s: %q, %v; want %q", path, got, err, content)
	}
}

// There and back: a database with a log, whose old state comes back with it.
func TestThereAndBack(t *testing.T) {
	dir := t.TempDir()
	journals, parent := filepath.Join(dir, "journals"), filepath.Join(dir, "app")
	db := filepath.Join(parent, "app.db")
	write(t, db, "old")
	write(t, db+"-wal", "old log")
	info := swap.Info{App: "app", Stamp: "20260102T030405Z", KeepOld: time.Hour, Command: "restore"}
	s, err := swap.Begin(journals, info, []string{parent})
	must(t, err)
	staged := filepath.Join(s.Work(parent), "new", "app.db")
	write(t, staged, "new")
	must(t, s.SetSafety("20260102T030406Z"))
	must(t, s.Commit([]swap.Member{{Source: "db", Target: db, Staged: staged, Database: true}}))
	has(t, db, "new")
	if _, err := os.Lstat(db + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the old log is still there: %v", err)
	}
	write(t, db+"-wal", "new log")

	swaps, err := swap.List(journals)
	must(t, err)
	if len(swaps) != 1 || swaps[0].ID() != s.ID() || !swaps[0].Undoable() {
		t.Fatalf("listed: %v", swaps)
	}
	s = swaps[0]
	if r := s.Record(); r.State != swap.Done || r.Safety != "20260102T030406Z" || !reflect.DeepEqual(r.Info, info) || r.Ended.Before(r.Started) {
		t.Errorf("the record says %+v", r)
	}
	must(t, s.Undo())
	has(t, db, "old")
	has(t, db+"-wal", "old log")
	has(t, filepath.Join(s.Work(parent), "undone", "0", "app.db"), "new")
	has(t, filepath.Join(s.Work(parent), "undone", "0", "app.db-wal"), "new log")
	must(t, s.Purge())
	if swaps, err := swap.List(journals); err != nil || len(swaps) != 0 {
		t.Errorf("after the purge: %v, %v", swaps, err)
	}
	if _, err := os.Lstat(s.Work(parent)); !os.IsNotExist(err) {
		t.Errorf("the work directory is still there: %v", err)
	}
}
