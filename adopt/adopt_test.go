//go:build unix

package adopt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/adopt"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An old is a snapshot as the Python tool wrote it.
type old struct {
	dir  string
	meta map[string]any
}

// newOld writes one with a database in WAL mode, a registry and a vector store, and metadata with the paths of another machine.
func newOld(t *testing.T, name string) *old {
	t.Helper()
	o := &old{dir: filepath.Join(t.TempDir(), "snapshots", name)}
	o.sql(t, "db/app.db", "PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES('kept')")
	o.sql(t, "chroma/chroma.sqlite3", "CREATE TABLE c(x)")
	o.write(t, "chroma/segment/data.bin", "vectors")
	o.write(t, "config/projects.json", `{"projects": []}`)
	at := "/elsewhere/backups/snapshots/" + name
	o.meta = map[string]any{"created_at": "2026-01-02T03:04:05+00:00", "backup_root": "/elsewhere/backups", "db_snapshot_path": at + "/db/app.db", "db_size_bytes": 8192,
		"registry_snapshot_path": at + "/config/projects.json", "chroma_snapshot_path": at + "/chroma", "chroma_snapshot_bytes": 8192 + 7, "chroma_snapshot_files": 2,
		"chroma_snapshot_included": true, "vector_store_note": "cold", "later": map[string]any{"a": 1}}
	o.record(t)
	return o
}

func (o *old) path(name string) string { return filepath.Join(o.dir, name) }

func (o *old) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(o.path(name)), 0o755))
	must(t, os.WriteFile(o.path(name), []byte(text), 0o644))
}

func (o *old) sql(t *testing.T, name, statements string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(o.path(name)), 0o755))
	db, err := sqlitedb.OpenApp(o.path(name))
	must(t, err)
	_, err = db.Exec(statements)
	must(t, err)
	must(t, db.Close())
}

// record writes the metadata.
func (o *old) record(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(o.meta)
	must(t, err)
	o.write(t, "backup-metadata.json", string(text))
}

func (o *old) inspect(t *testing.T) *adopt.Found {
	t.Helper()
	f, err := adopt.Inspect(t.Context(), o.dir, adopt.DefaultNames, t.TempDir())
	must(t, err)
	return f
}

func codes(f *adopt.Found) string {
	var list []string
	for _, g := range f.Findings {
		list = append(list, string(g.Code))
	}
	return strings.Join(list, " ")
}

func take(t *testing.T, f *adopt.Found, store *localstore.Store) (*adopt.Outcome, error) {
	t.Helper()
	return adopt.Take(t.Context(), f, store, snapshot.Options{App: snaptest.App, Scratch: t.TempDir()})
}

// What is wrong is found, all of it, and by its code. Nothing outside the directory is looked at, whatever the metadata says.
func TestInspect(t *testing.T) {
	set := func(key string, value any) func(*testing.T, *old) {
		return func(t *testing.T, o *old) { o.meta[key] = value; o.record(t) }
	}
	outside := filepath.Join(t.TempDir(), "outside.db")
	(&old{dir: filepath.Dir(outside)}).sql(t, "outside.db", "CREATE TABLE t(x)")
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, *old)
		codes  string
		taken  string // names of the sources
	}{
		{"sound", func(*testing.T, *old) {}, "", "database registry chroma"},
		{"no paths", func(t *testing.T, o *old) { o.meta = map[string]any{"chroma_snapshot_included": true}; o.record(t) }, "", "database chroma"},
		{"nulls", func(t *testing.T, o *old) {
			for key := range o.meta {
				o.meta[key] = nil
			}
			o.record(t)
		}, "", "database"},
		{"no vector store", set("chroma_snapshot_included", false), "", "database registry"},
		{"included, and there was none", func(t *testing.T, o *old) {
			o.meta["chroma_snapshot_path"], o.meta["chroma_snapshot_files"], o.meta["chroma_snapshot_bytes"] = "", 0, 0
			o.record(t)
		}, "", "database registry"},
		{"relative", set("db_snapshot_path", "db/app.db"), "", "database registry chroma"},
		{"of Windows", set("db_snapshot_path", `C:\backups\snapshots\20260102T030405Z\db\app.db`), "", "database registry chroma"},
		{"outside", set("db_snapshot_path", outside), "db_snapshot_missing", "registry chroma"},
		{"above", set("registry_snapshot_path", "../../x/../config"), "registry_snapshot_missing", "database chroma"},
		{"link to outside", func(t *testing.T, o *old) {
			must(t, os.Remove(o.path("db/app.db")))
			must(t, os.Symlink(outside, o.path("db/app.db")))
		}, "db_snapshot_missing", "registry chroma"},
		{"directory that is a link to outside", func(t *testing.T, o *old) {
			must(t, os.RemoveAll(o.path("db")))
			must(t, os.Symlink(filepath.Dir(outside), o.path("db")))
			o.meta["db_snapshot_path"] = "db/outside.db"
			o.record(t)
		}, "db_snapshot_missing", "registry chroma"},
		{"wrong sizes", func(t *testing.T, o *old) {
			o.meta["db_size_bytes"], o.meta["chroma_snapshot_bytes"], o.meta["chroma_snapshot_files"] = 1, 2, 3
			o.record(t)
		}, "db_size_mismatch chroma_files_mismatch chroma_size_mismatch", "database registry chroma"},
		{"no database in the file", func(t *testing.T, o *old) {
			o.write(t, "db/app.db", strings.Repeat("no database ", 1000)[:8192])
		}, "db_integrity_check_failed", "database registry chroma"},
		{"damaged vector store", func(t *testing.T, o *old) {
			o.write(t, "chroma/chroma.sqlite3", "SQLite format 3\x00"+strings.Repeat("x", 8192-16))
		}, "chroma_integrity_check_failed", "database registry chroma"},
		{"everything gone", func(t *testing.T, o *old) {
			for _, name := range []string{"db", "config", "chroma"} {
				must(t, os.RemoveAll(o.path(name)))
			}
		}, "db_snapshot_missing registry_snapshot_missing chroma_snapshot_missing", ""},
		{"metadata of another shape", func(t *testing.T, o *old) { o.write(t, "backup-metadata.json", "[1, 2]") }, "metadata_invalid_json", "database registry chroma"},
		{"metadata null", func(t *testing.T, o *old) { o.write(t, "backup-metadata.json", "null") }, "metadata_invalid_json", "database registry chroma"},
		{"metadata endless", func(t *testing.T, o *old) {
			o.write(t, "backup-metadata.json", strings.Repeat(" ", 2<<20)+"{}")
		}, "metadata_invalid_json", "database registry chroma"},
		{"metadata gone, registry broken", func(t *testing.T, o *old) {
			must(t, os.Remove(o.path("backup-metadata.json")))
			o.write(t, "config/projects.json", "{")
		}, "metadata_missing registry_invalid_json", "database registry chroma"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOld(t, "20260102T030405Z")
			tt.damage(t, o)
			before := snaptest.Walk(t, o.dir)
			f := o.inspect(t)
			if got := codes(f); got != tt.codes || f.Stamp != "20260102T030405Z" {
				t.Errorf("%s of %s, want %s: %+v", got, f.Stamp, tt.codes, f.Findings)
			}
			var taken []string
			for _, s := range f.Sources {
				taken = append(taken, s.Name)
			}
			if got := strings.Join(taken, " "); got != tt.taken {
				t.Errorf("sources %s, want %s", got, tt.taken)
			}
			if diff := snaptest.Diff(before, snaptest.Walk(t, o.dir), 0); diff != "" {
				t.Errorf("it was changed:\n%s", diff)
			}
		})
	}
}

// The time is that of the name, in every spelling, or else that in the metadata.
func TestStamps(t *testing.T) {
	for _, tt := range []struct{ name, created, want string }{
		{"20260102T030405Z", "2020-01-01T00:00:00Z", "20260102T030405Z"},
		{"20260102-030405", "", "20260102T030405Z"},
		{"20260102_030405", "", "20260102T030405Z"},
		{"nightly", "2026-01-02T05:04:05.999999+02:00", "20260102T030405Z"},
		{"nightly", "2026-01-02T03:04:05.5", "20260102T030405Z"},
		{"20261302T030405Z", "2026-01-02T03:04:05Z", "20260102T030405Z"},
		{"nightly", "yesterday", ""},
		{"20260102", "", ""},
	} {
		dir := filepath.Join(t.TempDir(), tt.name)
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "backup-metadata.json"), []byte(fmt.Sprintf(`{"created_at": %q}`, tt.created)), 0o644))
		f, err := adopt.Inspect(t.Context(), dir, adopt.DefaultNames, t.TempDir())
		must(t, err)
		if string(f.Stamp) != tt.want || strings.Contains(codes(f), "stamp_unknown") != (tt.want == "") {
			t.Errorf("%s, %s: %s, %s", tt.name, tt.created, f.Stamp, codes(f))
		}
	}
}

// What was left in a log beside the copy of the database is part of it.
func TestLogBesideTheCopy(t *testing.T) {
	t.Parallel() // it waits until the copy has been left alone for long enough
	o := newOld(t, "20260102T030405Z")
	live := filepath.Join(t.TempDir(), "live.db")
	db, err := sqlitedb.OpenApp(live)
	must(t, err)
	defer db.Close()
	_, err = db.Exec("PRAGMA journal_mode=wal; CREATE TABLE t(x); PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES('in the log')")
	must(t, err)
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(live + suffix)
		must(t, err)
		o.write(t, "db/app.db"+suffix, string(data))
		if suffix == "" {
			o.meta["db_size_bytes"] = len(data)
			o.record(t)
		}
	}
	before := snaptest.Walk(t, o.dir)
	store := snaptest.Local(t)
	f := o.inspect(t)
	out, err := take(t, f, store)
	must(t, err)
	if out == nil || len(f.Findings) > 0 || len(f.LeftOut) > 0 {
		t.Fatalf("%+v", f)
	}
	if diff := snaptest.Diff(before, snaptest.Walk(t, o.dir), 0); diff != "" {
		t.Errorf("it was changed:\n%s", diff)
	}
	target := snaptest.Restore(t, out.ID, restore.Options{}, store.Store)
	got, err := sqlitedb.OpenApp(filepath.Join(target, "database/app.db"))
	must(t, err)
	defer got.Close()
	var x string
	must(t, got.QueryRow("SELECT x FROM t").Scan(&x))
	if x != "in the log" {
		t.Errorf("it has %q", x)
	}
}

// What changed since it was adopted is another snapshot, at the next second; neither is lost, and both are found again. A snapshot of
// another kind is never taken for the same.
func TestTakeTwice(t *testing.T) {
	t.Parallel() // it waits until the copy has been left alone for long enough
	o := newOld(t, "20260102T030405Z")
	store := snaptest.Local(t)
	backup := snaptest.Take(t, store, snapshot.Options{Stamp: "20260102T030405Z"}, o.inspect(t).Sources...)
	first, err := take(t, o.inspect(t), store)
	must(t, err)
	o.write(t, "config/projects.json", `{"projects": [1]}`)
	second, err := take(t, o.inspect(t), store)
	must(t, err)
	if first.Present || second.Present || first.ID.Stamp != "20260102T030406Z" || second.ID.Stamp != "20260102T030407Z" {
		t.Errorf("%+v, %+v", first, second)
	}
	must(t, store.Delete(t.Context(), layout.PinKey(first.ID)))
	o.write(t, "config/projects.json", `{"projects": []}`)
	again, err := take(t, o.inspect(t), store)
	must(t, err)
	if !again.Present || again.ID != first.ID {
		t.Errorf("the third time: %+v", again)
	}
	pins, err := store.Pins(t.Context())
	must(t, err)
	if diff := cmp.Diff(map[manifest.ID]bool{first.ID: true, second.ID: true}, pins); diff != "" {
		t.Errorf("pins:\n%s", diff)
	}
	if n := len(snaptest.ValidateAll(t, store.Store)); n != 3 {
		t.Errorf("%d snapshots, with %s", n, backup.ID.Stamp)
	}
	h := first.Head
	if h.Kind != manifest.Adopted || h.State != manifest.Complete || len(h.Sources) != 3 || len(h.Problems) != 0 {
		t.Errorf("%+v", h)
	}
}

// Whatever the store fails at, what it lists is whole and pinned, and the next attempt completes it.
func TestTakeWithFaults(t *testing.T) {
	t.Parallel() // it waits until the copy has been left alone for long enough
	o := newOld(t, "20260102T030405Z")
	f := o.inspect(t)
	snaptest.EachFault(t, func(t *testing.T, faults *snaptest.Faults) error {
		store := snaptest.Local(t)
		good := store.Store
		store.Store = layout.Store{Store: snaptest.FaultyStore(good.Store, faults)}
		_, err := take(t, f, store)
		store.Store = good
		pins, pinErr := store.Pins(t.Context())
		must(t, pinErr)
		for _, e := range snaptest.ValidateAll(t, store.Store) {
			if !pins[e.ID] {
				t.Errorf("%s is not pinned", e.ID)
			}
		}
		out, again := take(t, f, store)
		if again != nil || out == nil || out.ID.Stamp != f.Stamp {
			t.Errorf("the next time: %+v (%v)", out, again)
		}
		if n := len(snaptest.ValidateAll(t, store.Store)); n != 1 {
			t.Errorf("%d snapshots", n)
		}
		if len(f.Findings) > 0 {
			t.Errorf("a failure of the store became a finding: %+v", f.Findings)
		}
		return err
	})
}

// What turns out damaged only when it is captured is refused, and nothing of it stays.
func TestTakeOfWhatIsDamaged(t *testing.T) {
	t.Parallel() // it waits until the copy has been left alone for long enough
	o := newOld(t, "20260102T030405Z")
	f := o.inspect(t)
	data, err := os.ReadFile(o.path("db/app.db"))
	must(t, err)
	for i := 4096; i < len(data); i += 7 {
		data[i] ^= 0xff
	}
	o.write(t, "db/app.db", string(data))
	store := snaptest.Local(t)
	out, err := take(t, f, store)
	if err != nil || out != nil || codes(f) != "capture_failed" || !f.Damaged() {
		t.Errorf("%+v, %s (%v)", out, codes(f), err)
	}
	for a, err := range store.ListArchives(t.Context()) {
		must(t, err)
		t.Errorf("archive %s is left", a.SHA256)
	}
	must(t, os.RemoveAll(o.dir))
	if out, err := take(t, f, store); err != nil || out != nil || !f.Damaged() {
		t.Errorf("of nothing: %+v (%v)", out, err)
	}
}

func TestNames(t *testing.T) {
	must(t, adopt.DefaultNames.Check())
	for _, n := range []adopt.Names{{"a", "a", "b"}, {"a", "b", "a"}, {"b", "a", "a"}, {"", "a", "b"}} {
		if n.Check() == nil {
			t.Errorf("%v was taken", n)
		}
	}
	if err := (adopt.Names{"A", "b", "c"}).Check(); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
