package sqlitedb_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// Why nothing may be left beside a database that is put into the place of another: SQLite knows what belongs to a database by name alone.
// Each of these is left by an application that crashed; another database, which is sound, is laid over its own. The next program that
// opens it finds rows of the old one. With nothing beside it, it finds the new one.
func TestStaleSidecarsBringTheOldDatabaseBack(t *testing.T) {
	const superJournal = "-mj0A1B2C9D4"
	fill := func(mark string) string {
		return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000) INSERT INTO t SELECT i, '" + mark + "'||hex(randomblob(50)) FROM n"
	}
	inLog := func(t *testing.T, path string) { start(t, path, wal, manual, table, fill("old")).kill() }
	inJournal := func(t *testing.T, path string) {
		start(t, path, table, fill("old"), "PRAGMA cache_size=5", "BEGIN", "UPDATE t SET v='spoilt'").kill()
	}
	remove := func(t *testing.T, name string) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	others := map[string][]byte{} // the new database, by its journal mode
	for _, mode := range []string{"wal", "delete"} {
		data, err := os.ReadFile(build(t, "PRAGMA journal_mode="+mode, table, fill("new")))
		if err != nil {
			t.Fatal(err)
		}
		others[mode] = data
	}
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		left []string // what lies beside the new database
		old  bool     // the old rows come back
	}{
		{"log and -shm", inLog, []string{"-shm", "-wal"}, true},
		{"log", func(t *testing.T, path string) { inLog(t, path); remove(t, path+"-shm") }, []string{"-wal"}, true},
		{"journal", inJournal, []string{"-journal"}, true},
		{"journal with its super-journal", func(t *testing.T, path string) {
			inJournal(t, path)
			sign(t, path+"-journal", path+superJournal)
			write(t, path+superJournal, path+"-journal\x00")
		}, []string{"-journal", superJournal}, true},
		// The super-journal makes the difference: without it, the transaction is taken for committed.
		{"journal without its super-journal", func(t *testing.T, path string) {
			inJournal(t, path)
			sign(t, path+"-journal", path+superJournal)
		}, []string{"-journal"}, false},
		// These alone do nothing, but are not ours to judge.
		{"-shm", func(t *testing.T, path string) { inLog(t, path); remove(t, path+"-wal") }, []string{"-shm"}, false},
		{"super-journal", func(t *testing.T, path string) { write(t, path+superJournal, path+"-journal\x00") }, []string{superJournal}, false},
		{"nothing", func(*testing.T, string) {}, nil, false},
	} {
		for mode, data := range others {
			t.Run(test.name+", "+mode, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "app.db")
				test.make(t, path)
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
				sound(t, path)

				var names []string
				for _, file := range list(t, filepath.Dir(path)) {
					if file != path {
						names = append(names, strings.TrimPrefix(file, path))
					}
				}
				slices.Sort(names)
				equal(t, names, test.left)
				err := sqlitedb.Unbothered(path)
				if (err == nil) != (len(test.left) == 0) {
					t.Errorf("unbothered: %v", err)
				}
				for _, suffix := range test.left {
					if err != nil && !strings.Contains(err.Error(), filepath.Base(path)+suffix) {
						t.Errorf("%s is not named: %v", suffix, err)
					}
				}

				// The danger.
				old := ask(t, path, "mode=rw", "SELECT count(*) FROM t WHERE v NOT LIKE 'new%'")
				if (old != "0") != test.old {
					t.Errorf("%s old rows", old)
				}
				// That it is averted when they go first.
				for _, suffix := range test.left {
					if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := sqlitedb.Unbothered(path); err != nil {
					t.Error(err)
				}
				equal(t, ask(t, path, "mode=rw", "SELECT count(*) FROM t WHERE v LIKE 'new%'"), "1000")
				sound(t, path)
			})
		}
	}
}

// Each name that SQLite may look for is found, whatever it is, and no other.
func TestUnbothered(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.db")
	for _, name := range []string{"app.db-waL", "app.db-wal2", "app.db-mj", "app.db-mjFFFFFF9", "app.db-mjolnir01", "app.db-mj0a1b2c9d4", "-wal",
		"other.db-wal", "app.db-wal-wal", "xapp.db-journal", "app.db.gz", "app.dbx-wal"} {
		write(t, filepath.Join(dir, name), "")
	}
	for _, there := range []bool{false, true} {
		if err := sqlitedb.Unbothered(path); err != nil {
			t.Errorf("there %v: %v", there, err)
		}
		write(t, path, "")
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal", "-mj0A1B2C9D4", "-mj0A1B2C3D"} {
		name := path + suffix
		for kind, make := range map[string]func() error{
			"empty file":    func() error { return os.WriteFile(name, nil, 0) },
			"directory":     func() error { return os.Mkdir(name, 0o755) },
			"dangling link": func() error { return os.Symlink("nowhere", name) },
		} {
			if err := make(); err != nil {
				t.Fatal(err)
			}
			if err := sqlitedb.Unbothered(path); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
				t.Errorf("%s, %s: %v", suffix, kind, err)
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Chdir(dir)
	write(t, "app.db-wal", "")
	if err := sqlitedb.Unbothered("app.db"); err == nil {
		t.Error("nothing was found by a relative name")
	}
	if err := sqlitedb.Unbothered(filepath.Join(dir, "absent", "app.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where there is no directory: %v", err)
	}
}
