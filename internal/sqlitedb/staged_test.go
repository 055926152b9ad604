package sqlitedb_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// A transaction over several databases is committed by the removal of its super-journal. A crashed one is therefore
// rolled back if that is still there: by the name that the journal has for it, or, when that name means nothing
// here because the application runs in a container, beside the database.
func TestSuperJournal(t *testing.T) {
	const name = "app.db-mj0A1B2C9D4"
	for _, test := range []struct {
		name       string
		recorded   func(dir string) string
		exists     string // where the super-journal is, below the directory
		rolledBack bool
		fails      bool
	}{
		{"where the journal says", func(dir string) string { return filepath.Join(dir, "other", name) }, "other/" + name, true, false},
		{"beside the database", func(dir string) string { return "/a/directory/of/a/container/" + name }, name, true, false},
		{"gone", func(dir string) string { return filepath.Join(dir, name) }, "", false, false},
		{"out of sight", func(dir string) string { return "/a/directory/of/a/container/" + name }, "", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.db")
			hotJournal(t, path)
			sign(t, path+"-journal", test.recorded(dir))
			if err := os.Mkdir(filepath.Join(dir, "other"), 0o755); err != nil {
				t.Fatal(err)
			}
			if test.exists != "" {
				write(t, filepath.Join(dir, test.exists), path+"-journal\x00")
			}
			age(t, dir)
			before := photograph(t, dir)
			scratch := t.TempDir()
			p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: scratch})
			if test.fails {
				if err == nil {
					t.Error("a guess was made")
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				img := image(t, p)
				p.Close()
				if test.rolledBack {
					sound(t, img)
					equal(t, inspect(t, img, "SELECT count(*) FROM t WHERE v<>'spoilt'"), "3000")
				} else {
					same(t, img, path)
				}
			}
			equal(t, photograph(t, dir), before)
			if left := list(t, scratch); len(left) > 0 {
				t.Errorf("scratch holds %q", left)
			}
		})
	}
}

// sign ends a journal with the name of a super-journal, as writeSuperJournal in SQLite's pager.c does.
func sign(t *testing.T, journal, name string) {
	t.Helper()
	f, err := os.OpenFile(journal, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sum uint32
	for _, b := range []byte(name) {
		sum += uint32(b)
	}
	record := binary.BigEndian.AppendUint32(nil, 0x40000000/4096+1)
	record = append(record, name...)
	record = binary.BigEndian.AppendUint32(record, uint32(len(name)))
	record = binary.BigEndian.AppendUint32(record, sum)
	record = append(record, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"...)
	if _, err := f.Write(record); err != nil {
		t.Fatal(err)
	}
}

// A first transaction that crashed leaves no database at all.
func TestFirstTransactionRolledBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	start(t, path, "PRAGMA cache_size=5", "BEGIN", table, fill).kill()
	age(t, filepath.Dir(path))
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Fatalf("nothing was written before the crash: %v", err)
	}
	p := pin(t, path)
	if p.Pages() != 0 || p.Size() != 0 || p.JournalMode() != "delete" {
		t.Errorf("%d pages, %d bytes, mode %q", p.Pages(), p.Size(), p.JournalMode())
	}
	if info, err := os.Stat(image(t, p)); err != nil || info.Size() != 0 {
		t.Errorf("captured %d bytes, %v", info.Size(), err)
	}
	if result, _, err := p.QuickCheck(t.Context()); result != sqlitedb.OK || err != nil {
		t.Errorf("%s, %v", result, err)
	}
}
