//go:build unix

package sqlitedb_test

import (
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
)

// Who may not write to a database is told so, and changes nothing.
func TestQuiesceReadOnly(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	for name, make := range map[string]maker{"log": crash, "journal": hotJournal} {
		path := filepath.Join(t.TempDir(), "app.db")
		make(t, path)
		dir := filepath.Dir(path)
		for _, file := range list(t, dir) {
			if err := os.Chmod(file, 0o444); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o755) })
		before := photograph(t, dir)
		if done, note, err := sqlitedb.Quiesce(t.Context(), path); done || note == "" || err != nil {
			t.Errorf("%s: done %v, %q, %v", name, done, note, err)
		}
		equal(t, photograph(t, dir), before)
	}
}
