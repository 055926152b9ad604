package integration_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
)

// An oldState is what a restore in place finds.
type oldState struct {
	name string
	make func(w *world)
	kept bool // what lies beside the database goes aside with it, for no log can be played into it
}

func oldStates() []oldState {
	mutate := func(w *world, pragma string) {
		w.t.Helper()
		w.mutateFiles()
		db, err := sqlitedb.OpenApp(w.path("live", "app.db"))
		check(w.t, err)
		db.SetMaxOpenConns(1)
		for _, q := range []string{pragma, "UPDATE t SET a = 'mutated'", "INSERT INTO t VALUES ('since')"} {
			_, err := db.Exec(q)
			check(w.t, err)
		}
		crashed := w.path("crashed")
		check(w.t, os.Mkdir(crashed, 0o755))
		names, err := filepath.Glob(w.path("live", "app.db*"))
		check(w.t, err)
		for _, name := range names { // as they lie when the process dies here
			data, err := os.ReadFile(name)
			check(w.t, err)
			check(w.t, os.WriteFile(filepath.Join(crashed, filepath.Base(name)), data, 0o644))
		}
		check(w.t, db.Close())
		for _, name := range names {
			os.Remove(name)
			check(w.t, os.Rename(filepath.Join(crashed, filepath.Base(name)), name))
		}
		check(w.t, os.Remove(crashed))
	}
	hot := func(w *world) {
		w.t.Helper()
		w.mutateFiles()
		w.crash(w.path("live", "app.db"))
	}
	return []oldState{
		{"nothing", func(w *world) { check(w.t, os.RemoveAll(w.path("live"))) }, false},
		{"at rest", func(w *world) { mutate(w, "PRAGMA journal_mode=DELETE") }, false},
		{"crashed, with a log", func(w *world) { mutate(w, "PRAGMA journal_mode=WAL") }, false},
		{"crashed, with a hot journal", hot, false},
		{"crashed, with a hot journal and a torn first page", func(w *world) {
			hot(w)
			f, err := os.OpenFile(w.path("live", "app.db"), os.O_WRONLY, 0)
			check(w.t, err)
			_, err = f.WriteAt([]byte("torn, and in the journal whole"), 0)
			check(w.t, err)
			check(w.t, f.Close())
			check(w.t, os.WriteFile(w.path("live", "app.db-shm"), []byte("no index"), 0o644))
			check(w.t, os.WriteFile(w.path("live", "app.db-mj01AB2F934"), []byte("no super-journal"), 0o644))
		}, true},
		{"with a spent journal", func(w *world) { mutate(w, "PRAGMA journal_mode=PERSIST") }, false},
		{"corrupt", func(w *world) {
			mutate(w, "PRAGMA journal_mode=DELETE")
			check(w.t, os.WriteFile(w.path("live", "app.db"), []byte(strings.Repeat("no database ", 500)), 0o644))
			check(w.t, os.WriteFile(w.path("live", "app.db-wal"), []byte("no log"), 0o644))
		}, true},
	}
}

func (w *world) mutateFiles() {
	w.t.Helper()
	check(w.t, os.WriteFile(w.path("live", "registry.json"), []byte(`{"mutated": true}`), 0o644))
	check(w.t, os.WriteFile(w.path("live", "files", "a"), []byte("mutated"), 0o644))
}

// crash has a program killed that has committed what makes a database an old one, in the middle of the next transaction, of which a part is in
// the file already.
func (w *world) crash(path string) {
	w.t.Helper()
	program := holdDatabase(w.t, path, `PRAGMA journal_mode=DELETE; UPDATE t SET a = 'mutated'; INSERT INTO t VALUES ('since'); CREATE TABLE big(a);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO big SELECT printf('%0200d', i) FROM n;
		PRAGMA cache_size=5; BEGIN IMMEDIATE; CREATE TABLE never(a); UPDATE t SET a = 'spoilt'; UPDATE big SET a = 'spoilt' || a; DELETE FROM big WHERE rowid % 3 = 0`)
	check(w.t, program.Process.Kill())
	program.Wait()
	data, err := os.ReadFile(path)
	check(w.t, err)
	journal, err := os.ReadFile(path + "-journal")
	check(w.t, err)
	if !bytes.Contains(data, []byte("spoilt")) || !bytes.Contains(journal, []byte("mutated")) || !bytes.Contains(journal, []byte("SQLite format 3\x00")) {
		w.t.Fatal("what was changed is not in the file, or what was there before not in the journal")
	}
}

// stateOf says what is at the targets: the bytes of every file, and of a database what a program would read in it.
func stateOf(w *world) string {
	w.t.Helper()
	state := map[string]string{}
	filepath.WalkDir(w.path("live"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if strings.HasPrefix(e.Name(), layout.SwapPrefix) {
			return fs.SkipDir
		}
		rel, _ := filepath.Rel(w.root, path)
		switch {
		case e.IsDir():
			if rel != "live" { // whose being there says nothing
				state[rel] = "directory"
			}
		case strings.HasPrefix(e.Name(), "app.db-"): // see besideOf
		case e.Name() == "app.db":
			state[rel] = contentOf(w, path)
		default:
			data, err := os.ReadFile(path)
			state[rel] = fmt.Sprintf("%q %v", data, err)
		}
		return nil
	})
	return lines(state)
}

func lines(of map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "%s: %s\n", name, of[name])
	}
	return b.String()
}

// besideOf says byte for byte what the database is, and what lies beside it.
func besideOf(w *world) string {
	w.t.Helper()
	paths, err := filepath.Glob(w.path("live", "app.db*"))
	check(w.t, err)
	found := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		found[filepath.Base(path)] = fmt.Sprintf("%d bytes, %x %v", len(data), sha256.Sum256(data), err)
	}
	return lines(found)
}

// contentOf reads a copy of a database with all that lies beside it, as the next program would.
func contentOf(w *world, path string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	names, err := filepath.Glob(path + "*")
	check(w.t, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "unreadable: " + filepath.Base(name)
		}
		check(w.t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o644))
	}
	db, err := sqlitedb.OpenApp(filepath.Join(dir, "app.db"))
	if err != nil {
		data, err := os.ReadFile(path)
		return fmt.Sprintf("no database, %q %v", data[:min(len(data), 100)], err)
	}
	defer db.Close()
	var n, mutated, spoilt int
	var sound string
	if err := db.QueryRow("SELECT count(*), coalesce(sum(a IN ('mutated', 'since')), 0), coalesce(sum(a = 'spoilt'), 0) FROM t").Scan(&n, &mutated, &spoilt); err != nil {
		return "no database"
	}
	if err := db.QueryRow("PRAGMA integrity_check(1)").Scan(&sound); err != nil || sound != "ok" {
		return fmt.Sprintf("not sound: %s %v", sound, err)
	}
	return fmt.Sprintf("%d rows, %d of them mutated, %d spoilt", n, mutated, spoilt)
}
