package sqlitedb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// quiesced quiesces what must go through.
func quiesced(t *testing.T, path string) {
	t.Helper()
	if done, note, err := sqlitedb.Quiesce(t.Context(), path); !done || note != "" || err != nil {
		t.Errorf("done %v, %q, %v", done, note, err)
	}
}

// busy quiesces what another process keeps from it.
func busy(t *testing.T, path string, by *app) {
	t.Helper()
	done, note, err := sqlitedb.Quiesce(t.Context(), path)
	var e *sqlitedb.BusyError
	if done || note != "" || !errors.As(err, &e) {
		t.Fatalf("done %v, %q, %v", done, note, err)
	}
	if runtime.GOOS == "linux" && (e.PID != by.cmd.Process.Pid || e.Program == "" || !strings.HasPrefix(filepath.Base(by.cmd.Path), e.Program)) {
		t.Errorf("by process %d (%s), not %d: %v", e.PID, e.Program, by.cmd.Process.Pid, err)
	}
}

// Whatever was left beside a database is in its file afterwards, where it is seen without its log; and an application that has it open
// goes on.
func TestQuiesce(t *testing.T) {
	for _, s := range situations {
		if strings.HasSuffix(s.name, "in a transaction") {
			continue // see TestQuiesceBusy
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "app.db")
			s.make(t, path)
			before := photograph(t, dir)
			if s.rows == none {
				done, note, err := sqlitedb.Quiesce(t.Context(), path)
				if done || note != "the file is empty" || err != nil {
					t.Errorf("done %v, %q, %v", done, note, err)
				}
				equal(t, photograph(t, dir), before)
				return
			}
			quiesced(t, path)
			sound(t, path)
			equal(t, inspect(t, path, "SELECT count(*) FROM t WHERE v<>'spoilt'"), s.rows)
			if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
				t.Errorf("%d bytes are left in the log", info.Size())
			}
			left := 1
			switch {
			case strings.HasPrefix(s.name, "wal, open"):
				left = 3 // the application has them open
			case s.name == "rollback, spent journal", s.name == "rollback, journal cut short", s.name == "rollback, empty log left over":
				left = 2 // which means nothing
			}
			if names := list(t, dir); len(names) != left {
				t.Errorf("%q", names)
			}
			// A database with nothing to play in is not written to.
			if s.name == "rollback, closed" || s.name == "wal, cold" {
				after := photograph(t, dir)
				equal(t, after[path], before[path])
			}
			quiesced(t, path)
		})
	}
}

// A process that is at work in a database is found and named; when it has ended its transaction, it is in the way no more.
func TestQuiesceBusy(t *testing.T) {
	for _, test := range []struct {
		name   string
		holder []string // of the process that is in the way
		writer []string // of another, after that
		ends   string   // with what the holder stops being in the way
	}{
		{"pinned reader", []string{wal, manual, table, fill, "BEGIN", "SELECT count(*) FROM t"}, []string{more}, "COMMIT"},
		{"writer", []string{wal, manual, table, fill, "BEGIN IMMEDIATE"}, nil, "ROLLBACK"},
		{"reader, rollback", []string{table, fill, "BEGIN", "SELECT count(*) FROM t"}, nil, "COMMIT"},
		{"writer, rollback", []string{table, fill, "BEGIN IMMEDIATE"}, nil, "COMMIT"},
		{"exclusive", []string{exclusive, wal, table, fill}, nil, ""},
		{"exclusive, rollback", []string{exclusive, table, fill}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "app.db")
			holder := start(t, path, test.holder...)
			if test.writer != nil {
				start(t, path, test.writer...).kill()
			}
			busy(t, path, holder)
			if test.ends == "" {
				holder.close()
			} else {
				holder.do(test.ends)
			}
			quiesced(t, path)
		})
	}
}

// What can't be quiesced is left as it is, and the reason is told.
func TestQuiesceNot(t *testing.T) {
	noise := strings.Repeat("noise, not pages\n", 1000)
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		note string
	}{
		"foreign":         {func(t *testing.T, path string) { write(t, path, "{}") }, "not a SQLite database"},
		"encrypted, open": {func(t *testing.T, path string) { crash(t, path); overwrite(t, path, noise) }, "not a SQLite database"},
		"magic alone":     {func(t *testing.T, path string) { write(t, path, "SQLite format 3\x00") }, "not a database"},
		"bad page size":   {func(t *testing.T, path string) { write(t, path, "SQLite format 3\x00\x11\x11"+noise) }, "not a database"},
		"directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"super-journal out of sight": {func(t *testing.T, path string) {
			hotJournal(t, path)
			sign(t, path+"-journal", "/a/directory/of/a/container/app.db-mj0A1B2C9D4")
		}, "/a/directory/of/a/container/"},
		"super-journal beside": {func(t *testing.T, path string) {
			hotJournal(t, path)
			sign(t, path+"-journal", "/tmp/app.db-mj0A1B2C9D4")
			write(t, path+"-mj0A1B2C9D4", path+"-journal\x00")
		}, "/tmp/app.db-mj0A1B2C9D4"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			test.make(t, path)
			before := photograph(t, filepath.Dir(path))
			done, note, err := sqlitedb.Quiesce(t.Context(), path)
			if done || !strings.Contains(note, test.note) || err != nil {
				t.Errorf("done %v, %q, %v", done, note, err)
			}
			equal(t, photograph(t, filepath.Dir(path)), before)
		})
	}
	path := filepath.Join(t.TempDir(), "absent.db")
	if done, note, err := sqlitedb.Quiesce(t.Context(), path); done || note != "" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: done %v, %q, %v", done, note, err)
	}
	equal(t, len(list(t, filepath.Dir(path))), 0)
}

// overwrite puts bytes over the beginning of a file.
func overwrite(t *testing.T, path, content string) {
	t.Helper()
	vandal(t, path, func(f *os.File) {
		if _, err := f.WriteAt([]byte(content), 0); err != nil {
			t.Fatal(err)
		}
	})
}

// A schema that SQLite refuses does not keep the log from being played in.
func TestQuiesceDamagedSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	start(t, path, append([]string{wal, manual, table, fill, more}, schema("sql='CREATE TABLE t(' WHERE name='t'")...)...).kill()
	quiesced(t, path)
	equal(t, list(t, filepath.Dir(path)), []string{path})
}

// A super-journal that SQLite finds is heeded: the transaction is rolled back.
func TestQuiesceSuperJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	hotJournal(t, path)
	name := path + "-mj0A1B2C9D4"
	sign(t, path+"-journal", name)
	write(t, name, path+"-journal\x00")
	quiesced(t, path)
	sound(t, path)
	equal(t, inspect(t, path, "SELECT count(*) FROM t WHERE v<>'spoilt'"), "3000")
}

// Waiting ends with its context.
func TestQuiesceIsCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	start(t, path, exclusive, table, fill)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, note, err := sqlitedb.Quiesce(ctx, path); done || note != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("done %v, %q, %v", done, note, err)
	}
}
