package sqlitedb_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// What lies beside an image is not looked at, and nothing new appears there.
func TestImageStandsAlone(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		for _, stale := range []bool{false, true} {
			other := filepath.Join(t.TempDir(), "app.db")
			a := start(t, other, wal, manual, table, fill, more)
			path := build(t, "PRAGMA journal_mode="+mode, table, fill)
			if stale {
				for _, suffix := range []string{"-wal", "-shm"} {
					data, err := os.ReadFile(other + suffix)
					if err != nil {
						t.Fatal(err)
					}
					write(t, path+suffix, string(data))
				}
				hotJournal(t, filepath.Join(filepath.Dir(other), "hot.db"))
				data, err := os.ReadFile(filepath.Join(filepath.Dir(other), "hot.db-journal"))
				if err != nil {
					t.Fatal(err)
				}
				write(t, path+"-journal", string(data))
			}
			before := photograph(t, filepath.Dir(path))
			sound(t, path)
			facts, err := sqlitedb.ImageFacts(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, facts.Tables, []sqlitedb.Table{{Name: "t", Rows: 3000}})
			equal(t, facts.JournalMode, mode)
			equal(t, photograph(t, filepath.Dir(path)), before)
			a.close()
		}
	}
}

// An image is as long as its header says, to the byte.
func TestImageLength(t *testing.T) {
	path := build(t, table, fill)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, delta := range []int{-page, -1, 1, page, 3 * page} {
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(len(good)+delta)); err != nil {
			t.Fatal(err)
		}
		result, detail, err := sqlitedb.Check(t.Context(), path, sqlitedb.Quick)
		if result != sqlitedb.Corrupt || detail == "" || err != nil {
			t.Errorf("%+d bytes: %s, %v: %q", delta, result, err, detail)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	sound(t, path) // no bytes are a database without tables
}

// An image that is no database is corrupt; one that is not there, or not a file, can't be checked.
func TestImageThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.db")
	write(t, path, "SQLite is a library")
	if result, detail, err := sqlitedb.Check(t.Context(), path, sqlitedb.Full); result != sqlitedb.Corrupt || detail == "" || err != nil {
		t.Errorf("%s, %v: %q", result, err, detail)
	}
	if _, err := sqlitedb.ImageFacts(t.Context(), path); !errors.Is(err, sqlitedb.ErrNotDatabase) {
		t.Errorf("%v", err)
	}
	if _, _, err := sqlitedb.Check(t.Context(), path+".absent", sqlitedb.Full); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := sqlitedb.ImageFacts(t.Context(), path+".absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	link := path + ".link"
	if err := os.Symlink(build(t, table), link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sqlitedb.Check(t.Context(), link, sqlitedb.Full); err == nil {
		t.Error("a symbolic link was followed")
	}
}

// Flipped bits, wherever they are: the library survives, and what it says is an answer.
func TestImageWithFlippedBits(t *testing.T) {
	path := build(t, "PRAGMA page_size=512", table, "INSERT INTO t(v) VALUES(hex(randomblob(300))),('x'),(NULL)", "CREATE INDEX v ON t(v)",
		"CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES('some words to find')", "CREATE VIRTUAL TABLE r USING rtree(id,a,b)", "INSERT INTO r VALUES(1,2,3)")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	step := 13
	if testing.Short() {
		step = 101
	}
	results := map[sqlitedb.Integrity]int{}
	for at := 0; at < len(good); at += step {
		bad := append([]byte(nil), good...)
		bad[at] ^= byte(1 << (at % 8))
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		result, detail, err := sqlitedb.Check(t.Context(), path, sqlitedb.Full)
		if err != nil || (result == sqlitedb.OK) != (detail == "") {
			t.Errorf("bit of byte %d: %s, %v: %q", at, result, err, detail)
		}
		results[result]++
		if _, err := sqlitedb.ImageFacts(t.Context(), path); err != nil && !errors.Is(err, sqlitedb.ErrNotDatabase) && result != sqlitedb.Corrupt {
			t.Errorf("facts with a bit of byte %d: %v", at, err)
		}
	}
	t.Log(results)
	if results[sqlitedb.Corrupt] == 0 || results[sqlitedb.OK] == 0 {
		t.Error("all the same")
	}
}
