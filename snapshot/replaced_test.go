//go:build unix

package snapshot_test

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// What a database becomes between two snapshots: compacted, of another page size, of another journal mode, replaced by another database, by noise,
// by a directory. Each comes back as it was; what follows costs again what changed, also where the base was lost meanwhile.
func TestIncrementsOfWhatWasReplaced(t *testing.T) {
	t.Parallel()
	dir, aside := t.TempDir(), t.TempDir()
	path, spare := filepath.Join(dir, "app.sqlite"), filepath.Join(aside, "spare")
	var db *sql.DB
	exec := func(q string) {
		t.Helper()
		_, err := db.Exec(q)
		must(t, err)
	}
	another := func(pageSize int) string {
		must(t, os.RemoveAll(spare))
		other := database(t, spare, pageSize, false)
		must(t, other.Close())
		return spare
	}
	db = database(t, path, 4096, false)
	c := newChain(t, snaptest.Directory("tree", dir), snapshot.Source{Name: "db", Path: path})
	whole := c.take(snapshot.Options{}).Head.Stats.NewBytes
	for i, step := range []struct {
		name string
		do   func()
		most int64 // bytes that it may cost
	}{
		{"a row", func() { exec("UPDATE t SET body='one' WHERE id=1200") }, whole / 20},
		{"VACUUM", func() { exec("DELETE FROM t WHERE id=1"); exec("VACUUM") }, whole * 11 / 10},
		{"a row after VACUUM", func() { exec("UPDATE t SET body='two' WHERE id=1201") }, whole / 2}, // and what little of old archives still lives
		{"another row", func() { exec("UPDATE t SET body='two' WHERE id=1301") }, whole / 20},
		{"a page size", func() { exec("PRAGMA page_size=16384"); exec("VACUUM") }, whole * 12 / 10},
		{"a row of another page size", func() { exec("UPDATE t SET body='three' WHERE id=1202") }, whole / 10},
		{"WAL mode", func() { exec("PRAGMA journal_mode=WAL"); exec("UPDATE t SET body='four' WHERE id=1203") }, whole / 10},
		{"back from WAL mode", func() { exec("PRAGMA journal_mode=DELETE"); exec("UPDATE t SET body='five' WHERE id=1204") }, whole / 10},
		{"another by rename", func() {
			must(t, db.Close())
			must(t, os.Rename(another(4096), path))
		}, whole * 12 / 10},
		{"a row of another", func() { db = openDatabase(t, path); exec("UPDATE t SET body='six' WHERE id=1205") }, whole / 20},
		{"another in place", func() {
			must(t, db.Close())
			data, err := os.ReadFile(another(1024))
			must(t, err)
			must(t, os.WriteFile(path, data, 0o644)) // the same inode
		}, whole * 13 / 10},
		{"noise", func() { snaptest.WriteFile(t, path, 100_000, snaptest.Random, 5) }, 3 * 100_000},
		{"a directory", func() {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o755))
			snaptest.WriteFile(t, filepath.Join(path, "app.sqlite"), 100_000, snaptest.Random, 6)
		}, 3 * 100_000},
		{"a directory, and nothing else", func() {}, 40_000},
		{"a link to a file", func() {
			must(t, os.RemoveAll(path))
			snaptest.WriteFile(t, filepath.Join(dir, "target"), 100_000, snaptest.Random, 7)
			must(t, os.Symlink("target", path))
		}, 3 * 100_000},
		{"a database again", func() {
			must(t, os.Remove(path))
			must(t, os.Rename(another(4096), path))
		}, whole * 12 / 10},
	} {
		step.do()
		c.lost = i%2 == 1
		res := c.take(snapshot.Options{})
		if n := res.Head.Stats.NewBytes; n > step.most {
			t.Errorf("%s: stored %d bytes, want at most %d; all was %d", step.name, n, step.most, whole)
		}
		target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
		if fi, err := os.Lstat(path); err == nil && fi.Mode().IsRegular() && step.name != "noise" {
			want := contentOf(t, path)
			for _, restored := range []string{"db/app.sqlite", "tree/app.sqlite"} {
				if got := contentOf(t, filepath.Join(target, restored)); got != want {
					t.Errorf("%s: %s has %s, want %s", step.name, restored, got, want)
				}
			}
		} else {
			same(t, snaptest.Walk(t, dir), snaptest.Walk(t, filepath.Join(target, "tree")), 0)
		}
	}
	for _, res := range []*snapshot.Result{c.all[0], c.all[8], c.all[len(c.all)-1]} {
		snaptest.Validate(t, res.ID, c.local.Store)
	}
}

// contentOf returns what the application sees in a database, to the byte.
func contentOf(t *testing.T, path string) string {
	t.Helper()
	text := content(t, path)
	db := openDatabase(t, path)
	defer db.Close()
	list, err := db.Query("SELECT id, body FROM t ORDER BY id")
	must(t, err)
	defer list.Close()
	digest := sha256.New()
	for list.Next() {
		var id int64
		var body []byte
		must(t, list.Scan(&id, &body))
		fmt.Fprintf(digest, "%d %x\n", id, body)
	}
	must(t, list.Err())
	return fmt.Sprintf("%s, %x", text, digest.Sum(nil))
}
