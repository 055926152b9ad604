package sqlitedb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/sqlitedb"
)

func equal(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSidecarOf(t *testing.T) {
	for name, want := range map[string]string{
		"app.db-wal": "app.db", "app.db-shm": "app.db", "app.db-journal": "app.db", "a-wal-wal": "a-wal",
		"app.db-mjA1B2C39D4": "app.db", "app.db-mj000000900": "app.db",
		"app.db": "", "-wal": "", "-mjA1B2C39D4": "", "app.db-mjA1B2C38D4": "", "app.db-mja1b2c39d4": "",
		"app.db-mjA1B2C39D": "", "app.db-mjA1B2C39D4E": "", "app.db-WAL": "", "": "", "9": "",
	} {
		got, ok := sqlitedb.SidecarOf(name)
		if got != want && ok || ok != (want != "") {
			t.Errorf("SidecarOf(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range sqlitedb.Sidecars("d/app.db") {
		if got, ok := sqlitedb.SidecarOf(name); got != "d/app.db" || !ok {
			t.Errorf("SidecarOf(%q) = %q, %v", name, got, ok)
		}
	}
}

func TestIsDatabase(t *testing.T) {
	const magic = "SQLite format 3\x00"
	for n := range len(magic) + 1 {
		if got := sqlitedb.IsDatabase([]byte(magic[:n])); got != (n == len(magic)) {
			t.Errorf("IsDatabase of %d bytes: %v", n, got)
		}
	}
	if !sqlitedb.IsDatabase([]byte(magic + "\x10\x00")) {
		t.Error("a longer header is none")
	}
	for i := range len(magic) {
		b := []byte(magic)
		b[i] ^= 1
		if sqlitedb.IsDatabase(b) {
			t.Errorf("byte %d does not matter", i)
		}
	}
}
