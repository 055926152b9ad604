package drill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/drill"
	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// application captures an application with two databases, one of them in WAL mode and with three rows in one of its tables, a registry and
// files that may not be read by others, one of several extents.
func application(t *testing.T) (*localstore.Store, manifest.ID) {
	t.Helper()
	dir := snaptest.TempDir(t)
	at := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		return path
	}
	for name, mode := range map[string]string{"data/app.db": "wal", "data/sub/other.db": "delete"} {
		db, err := sqlitedb.OpenApp(at(name))
		must(t, err)
		_, err = db.Exec("PRAGMA journal_mode=" + mode + "; PRAGMA user_version=7; CREATE TABLE t(x, y REFERENCES t(x)); INSERT INTO t(x) VALUES(1),(2),(3); CREATE TABLE u(x); CREATE INDEX i ON t(x)")
		must(t, err)
		must(t, db.Close())
	}
	must(t, os.WriteFile(at("data/files/a"), []byte("a file"), 0o400))
	must(t, os.WriteFile(at("data/files/large"), []byte(strings.Repeat("0123456789abcdef", 1<<17)), 0o644))
	must(t, os.WriteFile(at("data/files/zeros"), make([]byte, 1<<20), 0o644))
	must(t, os.Symlink("/etc", at("data/files/link")))
	must(t, os.WriteFile(at("registry.json"), []byte(`{"items": [{"name": "a/b", "n": 3, "f": 2.5, "on": true, "no": null}], "t~": "x"}`), 0o644))
	must(t, os.Chmod(at("data/sub/other.db"), 0o400))
	must(t, os.Chmod(at("data/sub"), 0o500))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("data", at("data")), snapshot.Source{Name: "registry", Path: at("registry.json")})
	return local, res.ID
}

// run drills a snapshot.
func run(t *testing.T, id manifest.ID, store layout.Store, opts drill.Options) *drill.Record {
	t.Helper()
	opts.Now, opts.Scratch = time.Now, snaptest.TempDir(t)
	r, err := drill.Run(t.Context(), id, store, opts)
	must(t, err)
	if (r.Result == drill.OK) != (r.FailureCount == 0) || (r.FailureCount > 0) != (len(r.Failures) > 0) {
		t.Errorf("%s, with %d failures: %+v", r.Result, r.FailureCount, r.Failures)
	}
	if r.App != snaptest.App || r.Snapshot != id || r.Began.IsZero() || r.Finished.Before(r.Began) {
		t.Errorf("the record is of %+v", r)
	}
	if opts.Mode == drill.Streamed {
		snaptest.Empty(t, opts.Scratch)
	}
	return r
}

func assertions(t *testing.T, text string) []config.Assertion {
	t.Helper()
	list, err := config.ParseAssertions(filepath.Join(t.TempDir(), "a.yaml"), []byte("assert:\n"+text))
	must(t, err)
	return list
}

// A sound snapshot comes back, whatever the modes of its files, and everything that was recorded is compared.
func TestSound(t *testing.T) {
	local, id := application(t)
	r := run(t, id, local.Store, drill.Options{})
	if r.Result != drill.OK || len(r.NotChecked) > 0 {
		t.Errorf("%s: %+v, not checked %+v", r.Result, r.Failures, r.NotChecked)
	}
	if want := (drill.Checks{Files: 6, Databases: 2, Tables: 4, Rows: 6}); r.Checks != want {
		t.Errorf("%+v, want %+v", r.Checks, want)
	}
	if r.Files != 6 || r.Bytes < 3<<20 || r.Fetched == 0 || r.Store == "" {
		t.Errorf("%+v", r)
	}
	var names []string
	for _, p := range r.Phases {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "open fetch check finish compare" {
		t.Errorf("phases %s", got)
	}

	r = run(t, id, local.Store, drill.Options{Mode: drill.Streamed})
	if r.Result != drill.OK || r.Checks != (drill.Checks{Files: 6}) || r.Files != 6 {
		t.Errorf("streamed: %+v", r)
	}
	var skipped []string
	for _, f := range r.NotChecked {
		skipped = append(skipped, f.Where)
	}
	if got := strings.Join(skipped, " "); got != "data/app.db data/sub/other.db" {
		t.Errorf("streamed: not checked %q", got)
	}
}

// Every kind of assertion holds, and fails; in a stream, those that need files on a disk say so.
func TestAssertions(t *testing.T) {
	local, id := application(t)
	sum := manifest.HashOf([]byte("a file"))
	shell := func(script string) string { return fmt.Sprintf("- {exec: [sh, -c, %q]}", script) }
	type test struct{ text, says, streams string }
	var tests []test
	var texts []string
	for _, tt := range []test{
		{`- {sql: SELECT count(*) FROM t, in: data/app.db, equals: 3}`, "", "-"},
		{`- {sql: SELECT count(*) FROM t, in: data/sub/other.db, at_least: 1, at_most: 3}`, "", "-"},
		{`- {sql: SELECT count(*) FROM t, in: data/app.db, equals: 4}`, "it is 3, want 4", "-"},
		{`- {sql: SELECT count(*) FROM t, in: data/app.db, at_least: 4}`, "it is 3, want at least 4", "-"},
		{`- {sql: "SELECT 'x'", in: data/app.db, equals: y}`, `it is "x", want "y"`, "-"},
		{`- {sql: SELECT 2.5, in: data/app.db, at_most: 2}`, "it is 2.5, want at most 2", "-"},
		{`- {sql: SELECT x FROM t, in: data/app.db, equals: 3}`, "the query does not return one value: it returns several rows", "-"},
		{`- {sql: SELECT 1 FROM nosuch, in: data/app.db, equals: 3}`, "SQL logic error: no such table: nosuch (1)", "-"},
		{`- {sql: SELECT 1, in: data/nosuch.db, equals: 1}`, "there is no data/nosuch.db", ""},
		{`- {sql: SELECT 1, in: data/files, equals: 1}`, "data/files is a directory", ""},
		{`- {sql: SELECT 1, in: data/files/a, equals: 1}`, "file is not a database", "-"},
		{`- {sql: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n", in: data/app.db, equals: 1, timeout: 10ms}`, "it did not come to an end within 10ms", "-"},
		{`- {json: /items/0/name, in: registry/registry.json, equals: a/b}`, "", ""},
		{`- {json: /items/0/n, in: registry/registry.json, equals: 3}`, "", ""},
		{`- {json: /items/0/f, in: registry/registry.json, at_least: 2.5}`, "", ""},
		{`- {json: /items/0/on, in: registry/registry.json, equals: true}`, "", ""},
		{`- {json: /items/0/no, in: registry/registry.json}`, "", ""},
		{`- {json: /t~0, in: registry/registry.json, equals: x}`, "", ""},
		{`- {json: /items/0/n, in: registry/registry.json, equals: "3"}`, `it is 3, want "3"`, ""},
		{`- {json: /items/0/no, in: registry/registry.json, equals: x}`, "it is null", ""},
		{`- {json: /items, in: registry/registry.json, equals: x}`, "it is a list of 1", ""},
		{`- {json: /items/0, in: registry/registry.json, equals: x}`, "it is an object", ""},
		{`- {json: /items/1, in: registry/registry.json}`, "there is nothing at /items/1 in registry/registry.json", ""},
		{`- {json: /items/00, in: registry/registry.json}`, "there is nothing at /items/00 in registry/registry.json", ""},
		{`- {json: /items, in: data/files/a}`, "data/files/a is not one JSON document", ""},
		{`- {json: /items, in: data/files/large/x}`, "there is no data/files/large/x", ""},
		{`- {file: data/files/a, sha256: ` + sum.String() + `, at_least: 6, at_most: 6}`, "", ""},
		{`- {file: data/files}`, "", ""},
		{`- {file: data/files/b, absent: true}`, "", ""},
		{`- {file: data/files/b}`, "there is no data/files/b", ""},
		{`- {file: data/files/link/passwd}`, "there is no data/files/link/passwd", ""},
		{`- {file: data/files/link, at_least: 1}`, "it is a symbolic link", ""},
		{`- {file: data/files, at_least: 1}`, "it is a directory", ""},
		{`- {file: data/files/a, absent: true}`, "it is there", ""},
		{`- {file: data/files/a, at_least: 1KiB}`, "its size is 6, want at least 1024", ""},
		{`- {file: data/files/a, sha256: ` + strings.Repeat("0a", 32) + `}`, "its SHA-256 is " + sum.String() + ", want " + strings.Repeat("0a", 32), ""},
		{shell(`test "$(cat data/files/a)" = "a file" && test "$LIFEBOAT_TREE" = "$PWD" && test "$LIFEBOAT_STAMP" = ` + string(id.Stamp)), "", "-"},
		{shell(`echo no; echo wrong >&2; exit 3`), "exit status 3: no\nwrong", "-"},
		{`- {exec: [./nosuch]}`, "cannot run", "-"},
		{`- {exec: [sleep, "1000"], timeout: 10ms}`, "it did not come to an end within 10ms", "-"},
	} {
		if runtime.GOOS == "windows" && strings.Contains(tt.text, "exec:") {
			t.Logf("NOT CHECKED: %s", tt.text)
			continue
		}
		tests = append(tests, tt)
		texts = append(texts, tt.text)
	}
	list := assertions(t, strings.Join(texts, "\n"))
	check := func(r *drill.Record, says func(test) string) {
		t.Helper()
		failures, skipped := r.Failures, r.NotChecked[len(r.NotChecked)-int(int64(len(list))-r.Checks.Assertions-r.FailureCount):]
		for i, tt := range tests {
			next := &failures
			switch says(tt) {
			case "":
				continue
			case "-":
				next = &skipped
			}
			if len(*next) == 0 {
				t.Fatalf("%s: holds", tt.text)
			}
			f := (*next)[0]
			*next = (*next)[1:]
			want := says(tt)
			if want == "-" {
				want = "--no-scratch"
			}
			if f.Kind != list[i].Kind() || f.Where != list[i].Title() || !strings.Contains(f.Detail, want) {
				t.Errorf("%s: %+v, want %s", tt.text, f, want)
			}
		}
		if len(failures) > 0 || len(skipped) > 0 || r.Checks.Assertions == 0 {
			t.Errorf("and %+v, %+v", failures, skipped)
		}
	}
	check(run(t, id, local.Store, drill.Options{Assert: list, Environ: os.Environ()}), func(tt test) string { return tt.says })
	check(run(t, id, local.Store, drill.Options{Assert: list, Mode: drill.Streamed}), func(tt test) string {
		if tt.streams == "-" {
			return "-"
		}
		return tt.says
	})
}

// Whatever of a database is not as it was recorded fails the drill, though every byte has its digest.
func TestFacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sqlitedb.OpenApp(path)
	must(t, err)
	_, err = db.Exec("PRAGMA user_version=7; PRAGMA application_id=8; CREATE TABLE t(x INTEGER PRIMARY KEY, y REFERENCES t(x)); INSERT INTO t VALUES(1, 1), (2, 3)")
	must(t, err)
	must(t, db.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	facts, err := sqlitedb.ImageFacts(t.Context(), path)
	must(t, err)
	schema := manifest.Hash(facts.SchemaSHA256)
	right := func() *manifest.SQLite {
		return &manifest.SQLite{PageSize: facts.PageSize, Pages: int64(facts.Pages), UserVersion: 7, ApplicationID: 8, Integrity: "ok", SchemaSHA256: &schema, ForeignKeys: 1,
			Tables: []manifest.TableRows{{Name: "t", Rows: 2}}}
	}
	forged := func(data []byte, s *manifest.SQLite) (*localstore.Store, manifest.ID) {
		local := snaptest.Local(t)
		id := snaptest.Forgery{
			Sources: []manifest.Source{{Name: "d", Type: manifest.DirectorySource, Root: "/d", Databases: 1}}, Content: string(data),
			Files: []*manifest.File{{Path: "d", Type: manifest.Directory, Mode: 0o755, UID: manifest.NoOwner, GID: manifest.NoOwner},
				{Path: "d/app.db", Type: manifest.Regular, Mode: 0o600, UID: manifest.NoOwner, GID: manifest.NoOwner, Size: int64(len(data)), SHA256: manifest.HashOf(data),
					Chunk: 4096, Extents: []manifest.Extent{{Archive: manifest.HashOf(nil), Len: int64(len(data))}}, SQLite: s}},
		}.Forge(t, local)
		return local, id
	}
	corrupt := append([]byte(nil), content...)
	copy(corrupt[len(corrupt)-4096:], strings.Repeat("\xff", 100))
	for name, tt := range map[string]struct {
		change  func(*manifest.SQLite)
		data    []byte
		kind    string
		says    string
		streams bool
	}{
		"nothing":        {func(*manifest.SQLite) {}, content, "", "", true},
		"user_version":   {func(s *manifest.SQLite) { s.UserVersion = 9 }, content, "facts", "user_version: at capture 9, now 7", true},
		"application_id": {func(s *manifest.SQLite) { s.ApplicationID = -1 }, content, "facts", "application_id: at capture -1, now 8", true},
		"pages":          {func(s *manifest.SQLite) { s.Pages++ }, content, "facts", "pages: at capture 3, now 2", true},
		"page size":      {func(s *manifest.SQLite) { s.PageSize = 512 }, content, "facts", "page size: at capture 512, now 4096", true},
		"schema":         {func(s *manifest.SQLite) { other := manifest.HashOf(nil); s.SchemaSHA256 = &other }, content, "facts", "SHA-256 of the schema", false},
		"rows":           {func(s *manifest.SQLite) { s.Tables[0].Rows = 3 }, content, "facts", `rows of "t": at capture 3, now 2`, false},
		"a table less":   {func(s *manifest.SQLite) { s.Tables = append(s.Tables, manifest.TableRows{Name: "u"}) }, content, "facts", `table "u" is not there`, false},
		"a table more":   {func(s *manifest.SQLite) { s.Tables = nil }, content, "facts", `table "t" was not there at capture`, false},
		"foreign keys":   {func(s *manifest.SQLite) { s.ForeignKeys = 0 }, content, "foreign_keys", "at capture 0 rows had a foreign key that leads nowhere, now 1", false},
		"integrity":      {func(*manifest.SQLite) {}, corrupt, "integrity", "", false},
	} {
		s := right()
		tt.change(s)
		local, id := forged(tt.data, s)
		r := run(t, id, local.Store, drill.Options{})
		if tt.kind == "" {
			if r.Result != drill.OK || r.Checks.Databases != 1 || r.Checks.Rows != 2 {
				t.Errorf("%s: %+v", name, r)
			}
		} else if r.Result != drill.Failed || r.Failures[0].Kind != tt.kind || r.Failures[0].Where != "d/app.db" || !strings.Contains(r.Failures[0].Detail, tt.says) {
			t.Errorf("%s: %+v", name, r)
		}
		r = run(t, id, local.Store, drill.Options{Mode: drill.Streamed})
		if failed := r.Result == drill.Failed; failed != (tt.streams && tt.kind != "") {
			t.Errorf("%s, streamed: %+v", name, r)
		}
	}
}

// Damage fails a drill, and is named; a snapshot that is not there any more, or a store that is gone, is no statement about it.
func TestDamage(t *testing.T) {
	for _, mode := range []drill.Mode{drill.Restored, drill.Streamed} {
		local, id := application(t)
		archives, err := filepath.Glob(filepath.Join(local.Path(), "archives", "*"))
		must(t, err)
		for _, path := range archives {
			data, err := os.ReadFile(path)
			must(t, err)
			damaged := append([]byte(nil), data...)
			damaged[len(data)/2] ^= 1
			must(t, os.WriteFile(path, damaged, 0o600))
			if r := run(t, id, local.Store, drill.Options{Mode: mode}); r.Result != drill.Failed || r.Failures[0].Kind != "damaged" {
				t.Errorf("%s, %s: %+v", mode, path, r)
			}
			must(t, os.Remove(path))
			if r := run(t, id, local.Store, drill.Options{Mode: mode}); r.Result != drill.Failed || r.Failures[0].Kind != "damaged" {
				t.Errorf("%s, without %s: %+v", mode, path, r)
			}
			must(t, os.WriteFile(path, data, 0o600))
		}
		must(t, local.Delete(t.Context(), layout.ManifestKey(id)))
		_, err = drill.Run(t.Context(), id, local.Store, drill.Options{Mode: mode, Now: time.Now, Scratch: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), drill.ErrRemoved.Error()) {
			t.Errorf("%s, of a snapshot that is not there: %v", mode, err)
		}
	}
}

// A drill for which there is nothing to look at fails.
func TestNothingToCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o755))
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir)).ID
	for _, mode := range []drill.Mode{drill.Restored, drill.Streamed} {
		r := run(t, id, local.Store, drill.Options{Mode: mode})
		if len(r.Failures) != 1 || r.Failures[0].Kind != "nothing_checked" {
			t.Errorf("%s: %+v", mode, r)
		}
		r = run(t, id, local.Store, drill.Options{Mode: mode, Assert: assertions(t, "- {file: d/empty}")})
		if r.Result != drill.OK || r.Checks.Assertions != 1 {
			t.Errorf("%s, with an assertion: %+v", mode, r)
		}
	}
	r := run(t, id, local.Store, drill.Options{Mode: drill.Streamed, Assert: assertions(t, "- {exec: [nosuch]}")})
	if len(r.Failures) != 1 || r.Failures[0].Kind != "nothing_checked" {
		t.Errorf("with an assertion that cannot be looked at: %+v", r)
	}
}

// What a record says reads as the same, whatever a file is called or a program says.
func TestRecordOfOddities(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Fatal(err)
	}
	local, id := application(t)
	r := run(t, id, local.Store, drill.Options{Environ: os.Environ(), Assert: assertions(t, `- {exec: [sh, -c, 'printf "\377\0\033[2J"; head -c 100000 /dev/zero; exit 1']}`)})
	d, data, err := r.Keep(t.Context(), local.Store, time.Now())
	must(t, err)
	again, err := drill.Read(t.Context(), local.Store, d)
	must(t, err)
	if diff := cmp.Diff(r, again); diff != "" || !json.Valid(data) || len(data) > 20_000 {
		t.Errorf("%d bytes: %s", len(data), diff)
	}
}

// vanishing is a store from which the snapshot is removed, and what it needs, before the n-th object is read.
type vanishing struct {
	remote.Store
	id   manifest.ID
	left atomic.Int64
}

func (v *vanishing) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if v.left.Add(-1) == 0 {
		for info, err := range v.Store.List(ctx, "archives/") {
			if err == nil {
				err = v.Store.Delete(ctx, info.Key)
			}
			if err != nil {
				return nil, err
			}
		}
		if err := v.Store.Delete(ctx, layout.ManifestKey(v.id)); err != nil {
			return nil, err
		}
	}
	return v.Store.Open(ctx, key, off, n)
}

// A snapshot that is pruned while it is drilled is no snapshot that fails: whenever that happens, the drill says so, or was done.
func TestPrunedMeanwhile(t *testing.T) {
	local, id := application(t)
	for _, mode := range []drill.Mode{drill.Restored, drill.Streamed} {
		for n := int64(1); ; n++ {
			v := &vanishing{Store: remote.NewMemory(nil), id: id}
			for info, err := range local.List(t.Context(), "") {
				must(t, err)
				data, err := local.ReadSmall(t.Context(), info.Key, 1<<30)
				must(t, err)
				must(t, layout.Store{Store: v.Store}.PutSmall(t.Context(), info.Key, data, remote.PutOptions{}))
			}
			v.left.Store(n)
			scratch := snaptest.TempDir(t)
			r, err := drill.Run(t.Context(), id, layout.Store{Store: v}, drill.Options{Mode: mode, Now: time.Now, Scratch: scratch})
			if err == nil && r.Result == drill.OK {
				if v.left.Load() > 0 && n > 3 {
					break // it was never removed
				}
				continue
			}
			if !errors.Is(err, drill.ErrRemoved) {
				t.Errorf("%s, removed before read %d: %+v, %v", mode, n, r, err)
			}
		}
	}
}
