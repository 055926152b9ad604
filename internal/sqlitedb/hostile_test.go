package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// edit changes the schema of a database behind SQLite's back.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	visit(t, path, "PRAGMA writable_schema=ON",
		fmt.Sprintf("UPDATE sqlite_schema SET sql=replace(sql,'%s','%s')", strings.ReplaceAll(old, "'", "''"), strings.ReplaceAll(new, "'", "''")))
}

// A check that takes minutes, or any time that somebody likes, ends when it is told to: an index over an expression is computed for every row.
func TestCheckThatNeverEnds(t *testing.T) {
	path := build(t, "CREATE TABLE t(a)", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000) INSERT INTO t SELECT i FROM n", "CREATE INDEX i ON t(abs(a))")
	edit(t, path, "abs(a)", "abs(a)+0*length(replace(hex(zeroblob(200000)),'0','12'))")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	result, _, err := sqlitedb.Check(ctx, path, sqlitedb.Full)
	if !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		t.Errorf("%q, %v", result, err)
	}
}

// What a schema asks for is not done when it costs memory beyond the size of the database.
func TestCheckThatWantsMemory(t *testing.T) {
	path := build(t, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1),(2),(3)", "CREATE INDEX i ON t(abs(a))")
	edit(t, path, "abs(a)", "length(hex(zeroblob(400000000)))")
	result, detail, err := sqlitedb.Check(t.Context(), path, sqlitedb.Full)
	if err != nil || result == sqlitedb.OK || !strings.Contains(detail, "too big") {
		t.Errorf("%s: %q, %v", result, detail, err)
	}
	if runtime.GOOS == "linux" {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			var kib int
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 && kib > 700<<10 {
				t.Errorf("%d MiB were in use", kib>>10)
			}
		}
	}
}

// A value as large as the database may hold is checked.
func TestCheckOfLargeValues(t *testing.T) {
	sound(t, build(t, "CREATE TABLE t(a)", "INSERT INTO t VALUES(randomblob(9000000))", "CREATE INDEX i ON t(a)"))
}

// Nothing that a schema names is run, and nothing is written: not a trigger, a view in the place of a table, a function with effects, or a
// virtual table that looks elsewhere.
func TestHostileSchemas(t *testing.T) {
	for name, change := range map[string][2]string{
		"view for a table":     {"CREATE TABLE t(a)", "CREATE VIEW t AS SELECT load_extension('escaped.so')"},
		"endless view":         {"CREATE TABLE t(a)", "CREATE VIEW t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n"},
		"extension in index":   {"abs(a)", "load_extension('escaped.so')"},
		"file in index":        {"abs(a)", "writefile('escaped','x')"},
		"pragma in view":       {"CREATE TABLE t(a)", "CREATE VIEW t AS SELECT * FROM pragma_wal_checkpoint"},
		"virtual table":        {"CREATE TABLE t(a)", "CREATE VIRTUAL TABLE t USING csv(filename='escaped')"},
		"pages of another":     {"CREATE TABLE t(a)", "CREATE VIRTUAL TABLE t USING sqlite_dbpage"},
		"trigger":              {"CREATE TABLE t(a)", "CREATE TRIGGER t AFTER SELECT ON t BEGIN SELECT load_extension('escaped.so'); END"},
		"function in default":  {"CREATE TABLE t(a)", "CREATE TABLE t(a DEFAULT (load_extension('escaped.so')))"},
		"generated column":     {"CREATE TABLE t(a)", "CREATE TABLE t(a, b AS (load_extension('escaped.so')))"},
		"attached":             {"CREATE TABLE t(a)", "CREATE VIEW t AS SELECT * FROM other.t"},
		"two statements":       {"CREATE TABLE t(a)", "CREATE TABLE t(a); ATTACH 'escaped' AS x; CREATE TABLE x.t(a)"},
		"control characters":   {"CREATE TABLE t(a)", "CREATE TABLE t(\"\x1b[2J\nFAKE\")"},
		"no SQL":               {"CREATE TABLE t(a)", "DROP TABLE t"},
		"a check that is long": {"CREATE TABLE t(a)", "CREATE TABLE t(a CHECK (" + strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900) + "))"},
	} {
		t.Run(name, func(t *testing.T) {
			path := build(t, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1),(2)", "CREATE INDEX i ON t(abs(a))")
			edit(t, path, change[0], change[1])
			dir := filepath.Dir(path)
			before := photograph(t, dir)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			result, detail, err := sqlitedb.Check(ctx, path, sqlitedb.Full)
			if err != nil || (result == sqlitedb.OK) != (detail == "") {
				t.Errorf("%s: %q, %v", result, detail, err)
			}
			if _, err := sqlitedb.ImageFacts(ctx, path); ctx.Err() != nil {
				t.Errorf("the facts: %v", err)
			}
			equal(t, photograph(t, dir), before)
			if _, err := os.Lstat("escaped"); err == nil {
				t.Error("something was written to the working directory")
			}
			t.Log(result, detail)
		})
	}
}

// A name that looks like a part of a URI is a name.
func TestImageNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.db?mode=rwc", "a#b.db", "%61.db", "a%00b.db", "a&vfs=unix-none.db", "file:a.db", ":memory:", "a b.db", "-a.db"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(build(t, table, fill))
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(data))
		sound(t, path)
		data[len(data)/2] ^= 0xff
		write(t, path, string(data[:len(data)-1]))
		if result, _, err := sqlitedb.Check(t.Context(), path, sqlitedb.Full); result != sqlitedb.Corrupt || err != nil {
			t.Errorf("%q: %s, %v", name, result, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 9 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}
