package data_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/bench/data"
	"lifeboat/internal/sqlitedb"
)

// A bulky database is sound and of the size that was asked for, and what is touched is not what it was.
func TestBulk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bulk")
	const size = 4 << 20
	if err := data.Bulk(dir, size, data.Mix{Noise: 30, Text: 40}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bulk.sqlite")
	sum := func() (rows, total int64, check string) {
		t.Helper()
		db, err := sqlitedb.OpenApp(path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		scan(t, db, `SELECT count(*) FROM bulk`, &rows)
		scan(t, db, `SELECT sum(length(replace(hex(body), '0', ''))) FROM bulk`, &total)
		scan(t, db, `PRAGMA integrity_check`, &check)
		return rows, total, check
	}
	rows, before, check := sum()
	if rows < 60 || check != "ok" {
		t.Errorf("%d rows, %s", rows, check)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < size || info.Size() > size*5/4 {
		t.Errorf("%v, %v", info.Size(), err)
	}
	if err := data.Touch(path, 10, 1); err != nil {
		t.Fatal(err)
	}
	if _, after, check := sum(); after == before || check != "ok" {
		t.Errorf("after a touch it is the same, or is not sound: %s", check)
	}
}

func scan(t *testing.T, db *sql.DB, query string, dst any) {
	t.Helper()
	if err := db.QueryRow(query).Scan(dst); err != nil {
		t.Fatal(err)
	}
}
