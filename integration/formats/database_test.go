package formats_test

import (
	"database/sql"
	"testing"

	_ "lifeboat/internal/sqlitedb" // the driver
)

// sampleDatabase makes a database with some rows, and returns a function that runs a statement in it.
func sampleDatabase(t testing.TB, path string) func(statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	run := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE entry(n INTEGER, note TEXT)")
	run("INSERT INTO entry WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3000) SELECT i, printf('%0200d', i) FROM n")
	return run
}
