package swap_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/swap"
)

// rowsOf opens a database as a service does, which makes one where there is none, and counts its rows.
func rowsOf(path string) (n int, err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRow("SELECT count(*) FROM t").Scan(&n)
	return n, err
}

// makeDatabase makes a database with some rows, all of them in the log if there is to be one, and returns its files.
func makeDatabase(t *testing.T, rows int, log bool) map[string][]byte {
	t.Helper()
	path := filepath.Join(fastDir(t), "app.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	run := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE t (n)")
	if log {
		run("PRAGMA journal_mode = WAL")
		run("PRAGMA wal_autocheckpoint = 0")
	}
	for i := range rows {
		run(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
	}
	files := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		data, err := os.ReadFile(path + suffix)
		if suffix == "" || log {
			must(t, err)
			files[suffix] = data
		}
	}
	return files
}

// A service that opens its database after a kill, wherever that was, sees all of the old one, all of the new one, or an error, and
// takes neither from whoever decides afterwards.
func TestServiceIsStartedAfterKill(t *testing.T) {
	const oldRows, newRows = 30, 7
	oldFiles, newFiles := makeDatabase(t, oldRows, true), makeDatabase(t, newRows, false)
	dir := fastDir(t)
	seen := map[string]int{}
	for k, more := 0, true; more; k++ {
		for _, undo := range []bool{false, true} {
			what := fmt.Sprintf("killed at %d, undo: %t", k, undo)
			w := &world{t: t, sc: &scene{}, root: filepath.Join(dir, fmt.Sprint(k, undo))}
			db := filepath.Join(w.app(), "app.db")
			for suffix, data := range oldFiles {
				write(t, db+suffix, string(data))
			}
			s, err := swap.Begin(w.journals(), swap.Info{}, []string{w.app()})
			must(t, err)
			staged := filepath.Join(s.Work(w.app()), "new", "app.db")
			write(t, staged, string(newFiles[""]))
			more = w.run(k, func(fn step) {
				s.SetStep(fn)
				must(t, s.Commit([]swap.Member{{Target: db, Staged: staged, Database: true}}))
			})
			n, err := rowsOf(db)
			switch {
			case err != nil:
				seen["an error"]++
			case n == oldRows:
				seen["the old database"]++
			case n == newRows:
				seen["the new database"]++
			default:
				t.Errorf("%s: the service sees %d rows", what, n)
			}
			s = w.reopen(never)
			want := newRows
			switch {
			case s.Record().State == swap.Staging:
				want = oldRows
				must(t, s.Abandon())
			case undo:
				want = oldRows
				must(t, s.Undo())
			default:
				must(t, s.Resume())
			}
			if n, err := rowsOf(db); err != nil || n != want {
				t.Errorf("%s: in the end there are %d rows (%v), want %d", what, n, err, want)
			}
			if strays := s.Record().Strays; len(strays) > 0 {
				t.Errorf("%s: strays %+v", what, strays)
			}
			removeAll(w.root)
		}
	}
	t.Logf("the service saw %v", seen)
	if len(seen) != 3 {
		t.Error("one of the three was never seen")
	}
}
