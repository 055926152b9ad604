package sqlitedb_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// A situation is a database and what lies beside it.
type situation struct {
	name string
	// make leaves the database at path, with rows rows in table t as a reader must see them.
	make  func(t *testing.T, path string)
	rows  string
	found sqlitedb.Found
}

const (
	wal    = "PRAGMA journal_mode=wal"
	manual = "PRAGMA wal_autocheckpoint=0"
	table  = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"
	fill   = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n"
	more   = "INSERT INTO t(v) VALUES('one more')"
)

var situations = []situation{
	{"empty", func(t *testing.T, path string) { write(t, path, "") }, "none", sqlitedb.FoundEmpty},
	{"empty beside a journal and a log", func(t *testing.T, path string) {
		write(t, path, "")
		write(t, path+"-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and more")
		write(t, path+"-wal", "\x37\x7f\x06\x82 and more")
	}, "none", sqlitedb.FoundEmpty},
	{"rollback, closed", func(t *testing.T, path string) { visit(t, path, table, fill) }, "3000", sqlitedb.FoundRollback},
	{"rollback, open", func(t *testing.T, path string) { start(t, path, table, fill) }, "3000", sqlitedb.FoundRollback},
	{"rollback, spent journal", func(t *testing.T, path string) { visit(t, path, "PRAGMA journal_mode=persist", table, fill) }, "3000", sqlitedb.FoundRollback},
	{"rollback, journal cut short", func(t *testing.T, path string) { visit(t, path, "PRAGMA journal_mode=truncate", table, fill) }, "3000", sqlitedb.FoundRollback},
	{"rollback, in a transaction", func(t *testing.T, path string) { start(t, path, table, fill, "BEGIN IMMEDIATE", "DELETE FROM t") }, "3000", sqlitedb.FoundRollback},
	{"rollback, hot journal", hotJournal, "3000", sqlitedb.FoundHotJournal},
	{"rollback, empty log left over", func(t *testing.T, path string) {
		visit(t, path, table, fill)
		write(t, path+"-wal", "")
	}, "3000", sqlitedb.FoundRollback},
	{"wal, cold", func(t *testing.T, path string) { visit(t, path, wal, table, fill) }, "3000", sqlitedb.FoundColdWAL},
	{"wal, cold, empty log left over", func(t *testing.T, path string) {
		visit(t, path, wal, table, fill)
		write(t, path+"-wal", "")
	}, "3000", sqlitedb.FoundColdWAL},
	{"wal, open, everything in the log", func(t *testing.T, path string) { start(t, path, wal, manual, table, fill, more) }, "3001", sqlitedb.FoundLiveWAL},
	{"wal, open, checkpointed", func(t *testing.T, path string) {
		start(t, path, wal, table, fill, "PRAGMA wal_checkpoint(TRUNCATE)")
	}, "3000", sqlitedb.FoundLiveWAL},
	{"wal, in a transaction", func(t *testing.T, path string) { start(t, path, wal, manual, table, fill, "BEGIN IMMEDIATE", more) }, "3000", sqlitedb.FoundLiveWAL},
	{"wal, crashed", func(t *testing.T, path string) { start(t, path, wal, manual, table, fill, more).kill() }, "3001", sqlitedb.FoundCrashedWAL},
	{"wal, log without -shm", func(t *testing.T, path string) {
		start(t, path, wal, manual, table, fill, more).kill()
		if err := os.Remove(path + "-shm"); err != nil {
			t.Fatal(err)
		}
	}, "3001", sqlitedb.FoundCrashedWAL},
	{"wal, -shm without a log", func(t *testing.T, path string) {
		visit(t, path, wal, table, fill)
		write(t, path+"-shm", strings.Repeat("\x00", 32768))
	}, "3000", sqlitedb.FoundColdWAL},
}

// hotJournal crashes in the middle of a transaction, some of whose pages are in the file already.
func hotJournal(t *testing.T, path string) {
	a := start(t, path, table, fill, "PRAGMA cache_size=5", "BEGIN", "UPDATE t SET v='spoilt' WHERE id > 700", "DELETE FROM t WHERE id > 2500")
	a.kill()
	if info, err := os.Stat(path + "-journal"); err != nil || info.Size() < 1000 {
		t.Fatalf("there is no hot journal: %v", err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Reading changes nothing: not a byte, a time or a name, whoever reads and however the source was left.
func TestFootprint(t *testing.T) {
	for _, reader := range readers(t) {
		for _, s := range situations {
			t.Run(reader.name+", "+s.name, func(t *testing.T) {
				dir := open(t, t.TempDir())
				path := filepath.Join(dir, "app.db")
				s.make(t, path)
				age(t, dir)
				before := photograph(t, dir)

				out := filepath.Join(reader.dir(t), "image.db")
				if err := reader.capture(t, path, out, filepath.Dir(out)); err != nil {
					t.Fatal(err)
				}
				p := pin(t, path)
				if got := p.Found(); got != s.found && (runtime.GOOS == "linux" || s.found != sqlitedb.FoundCrashedWAL) {
					t.Errorf("found %s, not %s", got, s.found)
				}
				p.Close()
				equal(t, photograph(t, dir), before)
				equal(t, list(t, filepath.Dir(out)), []string{out}) // which is the scratch directory too
				if s.rows == "none" {
					same(t, out, path)
					return
				}
				sound(t, out)
				if n := inspect(t, out, "SELECT count(*) FROM t WHERE v<>'spoilt'"); n != s.rows {
					t.Errorf("captured %s rows, not %s", n, s.rows)
				}
			})
		}
	}
}

// A reader is the user who captures.
type reader struct {
	name    string
	capture func(t *testing.T, args ...string) error // as runCapture
	dir     func(t *testing.T) string                // a new directory that it may write to
}

func owner() reader {
	return reader{"owner", func(_ *testing.T, args ...string) error { return runCapture(args) }, func(t *testing.T) string { return t.TempDir() }}
}

// open makes a temporary directory, and the one above it that testing makes, passable for other users.
func open(t *testing.T, dir string) string {
	t.Helper()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// age makes files look as if they had been left alone for an hour, so that nobody waits for that.
func age(t *testing.T, dir string) {
	t.Helper()
	for _, file := range list(t, dir) {
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// photograph describes everything in a directory, and the directory. Of a -shm only that it is there: its read
// marks are what every reader moves, and after a crash its first reader makes it anew.
func photograph(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range append(list(t, dir), dir) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		text := info.Mode().String()
		if !strings.HasSuffix(file, "-shm") {
			text += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
			if info.Mode().IsRegular() {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				text += fmt.Sprintf(" %x", sha256.Sum256(data))
			}
		}
		all[file] = text
	}
	return all
}

func list(t *testing.T, dir string) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths
}
