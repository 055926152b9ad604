package sqlitedb_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// An image opens as its application will, in either mode, and is as it was afterwards, with nothing beside it.
func TestRehearse(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		path := build(t, "PRAGMA journal_mode="+mode, table, fill)
		content := func() string {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		before := content()
		why, err := sqlitedb.Rehearse(t.Context(), path)
		if why != "" || err != nil {
			t.Errorf("%s: %q, %v", mode, why, err)
		}
		if content() != before {
			t.Errorf("%s: the file was changed", mode)
		}
		left, err := filepath.Glob(path + "-*")
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left %q (%v)", mode, left, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	write(t, empty, "")
	if why, err := sqlitedb.Rehearse(t.Context(), empty); why != "" || err != nil {
		t.Errorf("empty: %q, %v", why, err)
	}
	noise := filepath.Join(t.TempDir(), "noise.db")
	write(t, noise, strings.Repeat("noise", 4096))
	if why, err := sqlitedb.Rehearse(t.Context(), noise); !strings.Contains(why, "not a database") || err != nil {
		t.Errorf("noise: %q, %v", why, err)
	}
	if why, err := sqlitedb.Rehearse(t.Context(), filepath.Join(t.TempDir(), "none.db")); why != "" || err == nil {
		t.Errorf("no file: %q, %v", why, err)
	}
}

// A query returns its one value as it is, and whatever else it returns is refused. It changes nothing.
func TestQueryValue(t *testing.T) {
	path := build(t, "CREATE TABLE v(i INTEGER, r REAL, s TEXT, at TIMESTAMP, b BLOB)", "INSERT INTO v VALUES(42, 2.5, 'x', '2026-01-02', x'0102')", "CREATE TABLE w(x)", "INSERT INTO w VALUES(1),(2)")
	for query, want := range map[string]any{
		"SELECT i FROM v":                              int64(42),
		"SELECT i FROM v;\n":                           int64(42),
		"SELECT i FROM v -- the answer":                int64(42),
		"SELECT r FROM v":                              2.5,
		"SELECT s FROM v":                              "x",
		"SELECT at FROM v":                             "2026-01-02",
		"SELECT max(at) FROM v":                        "2026-01-02",
		"SELECT b FROM v":                              "\x01\x02",
		"WITH a AS (SELECT 7) SELECT * FROM a":         int64(7),
		"SELECT user_version FROM pragma_user_version": int64(0),
		"VALUES(3)":                                    int64(3),
	} {
		got, err := sqlitedb.QueryValue(t.Context(), path, query)
		if b, ok := got.([]byte); ok {
			got = string(b)
		}
		if err != nil || got != want {
			t.Errorf("%s: %#v (%v), want %#v", query, got, err, want)
		}
	}
	for query, want := range map[string]string{
		"SELECT x FROM w":             "several rows",
		"SELECT x FROM w WHERE x > 2": "no row",
		"SELECT NULL":                 "NULL",
		"SELECT 1, 2":                 "2 values",
		"SELECT x FROM nosuch":        "no such table: nosuch",
		"DELETE FROM w":               "syntax error",
		"":                            "syntax error",
	} {
		got, err := sqlitedb.QueryValue(t.Context(), path, query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %#v, %v, want %s", query, got, err, want)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	write(t, empty, "")
	if _, err := sqlitedb.QueryValue(t.Context(), empty, "SELECT 1"); !errors.Is(err, sqlitedb.ErrNotOneValue) {
		t.Errorf("of an empty file: %v", err)
	}
}
