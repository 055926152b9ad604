package sqlitedb_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

const (
	wal       = "PRAGMA journal_mode=wal"
	manual    = "PRAGMA wal_autocheckpoint=0"
	exclusive = "PRAGMA locking_mode=EXCLUSIVE"
	table     = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"
	fill      = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n"
	more      = "INSERT INTO t(v) VALUES('one more')"
)

// gone is an application that came, ran statements, and ended in order.
func gone(statements ...string) maker {
	return func(t *testing.T, path string) *app {
		visit(t, path, statements...)
		return nil
	}
}

// running is one that is still there.
func running(statements ...string) maker {
	return func(t *testing.T, path string) *app { return start(t, path, statements...) }
}

// crashed is one that ended where it stood.
func crashed(statements ...string) maker {
	return func(t *testing.T, path string) *app {
		start(t, path, statements...).kill()
		return nil
	}
}

// then goes on after m.
func (m maker) then(do func(t *testing.T, path string)) maker {
	return func(t *testing.T, path string) *app {
		a := m(t, path)
		do(t, path)
		return a
	}
}

// beside adds what lies beside the database.
func (m maker) beside(suffix, content string) maker {
	return m.then(func(t *testing.T, path string) { write(t, path+suffix, content) })
}

// without removes it.
func (m maker) without(suffix string) maker {
	return m.then(func(t *testing.T, path string) {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	})
}

// holding is a file that no application made.
func holding(content string) maker {
	return func(t *testing.T, path string) *app {
		write(t, path, content)
		return nil
	}
}

// How a database may have been left: what lies beside it, and who has it open.
var situations = []state{
	{name: "zero-length", make: holding(""), rows: none, found: sqlitedb.FoundEmpty, read: sqlitedb.ReadUnlocked},
	{name: "zero-length, beside a journal and a log", make: holding("").beside("-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and more").beside("-wal", "\x37\x7f\x06\x82 and more"),
		rows: none, found: sqlitedb.FoundEmpty, read: sqlitedb.ReadUnlocked},
	{name: "rollback, closed", make: gone(table, fill), rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
	{name: "rollback, open", make: running(table, fill), rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
	{name: "rollback, spent journal", make: gone("PRAGMA journal_mode=persist", table, fill), rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
	{name: "rollback, journal cut short", make: gone("PRAGMA journal_mode=truncate", table, fill), rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
	{name: "rollback, in a transaction", make: running(table, fill, "BEGIN IMMEDIATE", "DELETE FROM t"), rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
	{name: "rollback, hot journal", make: hotJournal, rows: "3000", found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy},
	{name: "rollback, empty log left over", make: gone(table, fill).beside("-wal", ""), rows: "3000", found: sqlitedb.FoundRollback, read: sqlitedb.ReadUnlocked},
	{name: "wal, cold", make: gone(wal, table, fill), rows: "3000", found: sqlitedb.FoundColdWAL, read: sqlitedb.ReadUnlocked},
	{name: "wal, cold, empty log left over", make: gone(wal, table, fill).beside("-wal", ""), rows: "3000", found: sqlitedb.FoundColdWAL, read: sqlitedb.ReadUnlocked},
	{name: "wal, open, everything in the log", make: running(wal, manual, table, fill, more), rows: "3001", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
	{name: "wal, open, checkpointed", make: running(wal, table, fill, "PRAGMA wal_checkpoint(TRUNCATE)"), rows: "3000", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
	{name: "wal, open, closed during the capture", make: running(wal, manual, table, fill, more), pinned: (*app).close, rows: "3001", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
	{name: "wal, in a transaction", make: running(wal, manual, table, fill, "BEGIN IMMEDIATE", more), rows: "3000", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
	{name: "wal, crashed", make: crash, rows: "3001", found: sqlitedb.FoundCrashedWAL, read: sqlitedb.ReadLocked, shm: anew},
	{name: "wal, log without -shm", make: crash.without("-shm"), rows: "3001", found: sqlitedb.FoundCrashedWAL, read: sqlitedb.ReadCopy},
	{name: "wal, -shm without a log", make: gone(wal, table, fill).beside("-shm", strings.Repeat("\x00", 32768)), rows: "3000", found: sqlitedb.FoundColdWAL, read: sqlitedb.ReadUnlocked},
}

// Databases that nobody else can read now.
var exclusives = []state{
	{name: "locking_mode=EXCLUSIVE, wal", make: running(exclusive, wal, table, fill), fails: locked},
	{name: "locking_mode=EXCLUSIVE, rollback", make: running(exclusive, table, fill), fails: locked},
	{name: "rollback, a transaction that spilled into the file", make: running(table, fill, "PRAGMA cache_size=5", "BEGIN", "UPDATE t SET v='spoilt'"), fails: locked},
}

// crash leaves a database with a row in its log.
var crash = crashed(wal, manual, table, fill, more)

// hotJournal crashes in the middle of a transaction, some of whose pages are in the file already.
var hotJournal = crashed(table, fill, "PRAGMA cache_size=5", "BEGIN", "UPDATE t SET v='spoilt' WHERE id > 700", "DELETE FROM t WHERE id > 2500").then(func(t *testing.T, path string) {
	if info, err := os.Stat(path + "-journal"); err != nil || info.Size() < 1000 {
		t.Fatalf("there is no hot journal: %v", err)
	}
})

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a transaction over several databases leaves when it crashes. It is committed by the removal of its super-journal: so it is rolled back if
// that is still there, by the name that the journal has for it or, when that name means nothing here because the application runs in a
// container, beside the database.
var superJournals = func() (all []state) {
	const name = "app.db-mj0A1B2C9D4"
	const container = "/a/directory/of/a/container/"
	leave := func(recorded func(dir string) string, exists string) maker {
		return hotJournal.then(func(t *testing.T, path string) {
			dir := filepath.Dir(path)
			sign(t, path+"-journal", recorded(dir))
			if err := os.Mkdir(filepath.Join(dir, "other"), 0o755); err != nil {
				t.Fatal(err)
			}
			if exists != "" {
				write(t, filepath.Join(dir, exists), path+"-journal\x00")
			}
		})
	}
	return []state{
		{name: "hot journal, super-journal where it says", make: leave(func(dir string) string { return filepath.Join(dir, "other", name) }, "other/"+name),
			rows: "3000", found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy},
		{name: "hot journal, super-journal beside the database", make: leave(func(string) string { return container + name }, name),
			knows: func(t *testing.T, copied string) { // where the super-journal is
				sign(t, copied+"-journal", filepath.Join(filepath.Dir(copied), name))
				write(t, filepath.Join(filepath.Dir(copied), name), copied+"-journal\x00")
			},
			rows: "3000", found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy},
		{name: "hot journal, super-journal gone", make: leave(func(dir string) string { return filepath.Join(dir, name) }, ""),
			found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy, quick: sqlitedb.Corrupt}, // it was committed, before all of it was written
		{name: "hot journal, super-journal out of sight", make: leave(func(string) string { return container + name }, ""),
			fails: "which tells whether a transaction was committed"},
		// A first transaction that crashed leaves no database at all.
		{name: "hot journal of the first transaction", make: crashed("PRAGMA cache_size=5", "BEGIN", table, fill).then(func(t *testing.T, path string) {
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Fatalf("nothing was written before the crash: %v", err)
			}
		}), rows: none, found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy},
	}
}()

// sign ends a journal with the name of a super-journal, as writeSuperJournal in SQLite's pager.c does.
func sign(t *testing.T, journal, name string) {
	t.Helper()
	f, err := os.OpenFile(journal, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sum uint32
	for _, b := range []byte(name) {
		sum += uint32(b)
	}
	record := binary.BigEndian.AppendUint32(nil, 0x40000000/4096+1)
	record = append(record, name...)
	record = binary.BigEndian.AppendUint32(record, uint32(len(name)))
	record = binary.BigEndian.AppendUint32(record, sum)
	record = append(record, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"...)
	if _, err := f.Write(record); err != nil {
		t.Fatal(err)
	}
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
