package sqlitedb_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// Who has a lock on a database is told, and who has none is not.
func TestLockers(t *testing.T) {
	who := func(path string, want ...*app) {
		t.Helper()
		var pids []int
		for _, a := range want {
			pids = append(pids, a.cmd.Process.Pid)
		}
		slices.Sort(pids)
		got, err := sqlitedb.Lockers(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, pids) {
			t.Errorf("%v, not %v", got, pids)
		}
	}
	path := filepath.Join(t.TempDir(), "rollback.db")
	reader := start(t, path, table, fill)
	who(path) // idle
	reader.do("BEGIN")
	reader.do("SELECT count(*) FROM t")
	who(path, reader)
	writer := start(t, path, "BEGIN IMMEDIATE")
	who(path, reader, writer) // whose locks lie side by side
	reader.do("COMMIT")
	who(path, writer)
	writer.do("ROLLBACK")
	who(path)

	path = filepath.Join(t.TempDir(), "wal.db")
	idle := start(t, path, wal, table)
	who(path, idle)
	idle.close()
	who(path)
	only := start(t, path, exclusive, more)
	who(path, only)
	only.close()

	// The lock of a descriptor has no process.
	path = filepath.Join(t.TempDir(), "ours.db")
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if pids, err := sqlitedb.Lockers(path); !slices.Equal(pids, []int{0}) || err != nil {
		t.Errorf("ours: %v, %v", pids, err)
	}
	// And it is still there.
	if pids, err := sqlitedb.Lockers(path); !slices.Equal(pids, []int{0}) || err != nil {
		t.Errorf("ours, again: %v, %v", pids, err)
	}

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if pids, err := sqlitedb.Lockers(link); len(pids) > 0 || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a symbolic link: %v, %v", pids, err)
	}
	if _, err := sqlitedb.Lockers(link + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
