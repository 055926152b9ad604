package sqlitedb_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// Every shape that a database may have: what is captured is the file, byte for byte.
func TestShapes(t *testing.T) {
	for _, journal := range []string{"wal", "delete"} {
		for i, pageSize := range []int{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536} {
			vacuum := []string{"none", "full", "incremental"}[i%3]
			t.Run(fmt.Sprint(journal, " ", pageSize, " ", vacuum), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "app.db")
				a := start(t, path, fmt.Sprint("PRAGMA page_size=", pageSize), "PRAGMA auto_vacuum="+vacuum,
					"PRAGMA journal_mode="+journal, "PRAGMA user_version=-7", "PRAGMA application_id=99",
					"CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
					"CREATE INDEX i ON t(v)", "INSERT INTO t(v) VALUES(zeroblob(200000)),(randomblob(100000))",
					"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) INSERT INTO w SELECT 'k'||i, i FROM n",
					"DELETE FROM w WHERE v%3=0", "DELETE FROM t WHERE id=1")
				p := pin(t, path)
				img := image(t, p)
				facts, err := p.ReadFacts(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if p.PageSize() != pageSize || p.JournalMode() != journal || p.Size() != int64(p.Pages())*int64(pageSize) {
					t.Errorf("%d pages of %d bytes, mode %q", p.Pages(), p.PageSize(), p.JournalMode())
				}
				want := sqlitedb.Facts{PageSize: pageSize, Pages: p.Pages(), JournalMode: journal, UserVersion: -7, ApplicationID: 99,
					SchemaSHA256: facts.SchemaSHA256, Tables: []sqlitedb.Table{{Name: "t", Rows: 1}, {Name: "w", Rows: 334}}}
				equal(t, facts, want)
				p.Close()
				a.close() // checkpoints
				same(t, img, path)
				sound(t, img)
			})
		}
	}
}

// The sum over the schema is what docs/format.md says, whatever the encoding of the database.
func TestSchemaSum(t *testing.T) {
	want := sha256.Sum256([]byte("table\x00tä\x00tä\x00CREATE TABLE tä(k TEXT PRIMARY KEY)\x00" +
		"index\x00sqlite_autoindex_tä_1\x00tä\x00\x00"))
	for _, encoding := range []string{"UTF-8", "UTF-16le", "UTF-16be"} {
		path := build(t, "PRAGMA encoding='"+encoding+"'", "CREATE TABLE tä(k TEXT PRIMARY KEY)", "INSERT INTO tä VALUES('a'),('b')")
		facts, err := pin(t, path).ReadFacts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, facts.SchemaSHA256, want)
		equal(t, facts.Tables, []sqlitedb.Table{{Name: "tä", Rows: 2}})
	}
}

// The page at 1 GiB holds SQLite's locks and is never written. The database here is a sparse file: nearly all of its
// pages are free, and its tables lie on both sides of that page.
func TestLockBytePage(t *testing.T) {
	const pageSize, lockPage = 65536, 1<<30/65536 + 1
	const pages = lockPage + 20
	path := build(t, fmt.Sprint("PRAGMA page_size=", pageSize), "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE trunk1(v)", "CREATE TABLE trunk2(v)",
		"PRAGMA writable_schema=ON", "DELETE FROM sqlite_schema WHERE name LIKE 'trunk%'")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Pages 3 and 4 become the trunks of a freelist that holds every other new page, the highest first; see
	// https://www.sqlite.org/fileformat2.html#the_freelist.
	var free []uint32
	for n := uint32(pages); n > 4; n-- {
		if n != lockPage {
			free = append(free, n)
		}
	}
	const most = pageSize/4 - 8
	put := func(at int64, numbers ...uint32) {
		var b []byte
		for _, n := range numbers {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	put(2*pageSize, append([]uint32{4, most}, free[:most]...)...)
	put(3*pageSize, append([]uint32{0, uint32(len(free) - most)}, free[most:]...)...)
	put(28, pages, 3, uint32(len(free)+2)) // size, first trunk, free pages
	if err := f.Truncate(pages * pageSize); err != nil {
		t.Fatal(err)
	}
	a := start(t, path, "INSERT INTO t(v) VALUES(randomblob(3000000))", "INSERT INTO t(v) VALUES('beyond')")
	if got := a.do("SELECT max(pageno) > 16385 FROM dbstat WHERE name='t'"); got != "1" {
		t.Fatal("nothing lies beyond the lock-byte page")
	}

	p := pin(t, path)
	if p.Size() != pages*pageSize {
		t.Errorf("%d bytes, not %d", p.Size(), pages*pageSize)
	}
	file, zero := make([]byte, pageSize), make([]byte, pageSize)
	var last uint32
	err = p.Stream(t.Context(), func(pgno uint32, page []byte) error {
		last = pgno
		if _, err := f.ReadAt(file, int64(pgno-1)*pageSize); err != nil {
			return err
		}
		if pgno == lockPage {
			file = zero
			defer func() { file = make([]byte, pageSize) }()
		}
		if string(page) != string(file) {
			return fmt.Errorf("page %d is not that of the file", pgno)
		}
		return nil
	})
	if err != nil || last != pages {
		t.Errorf("stopped after page %d: %v", last, err)
	}
	if result, detail, err := p.QuickCheck(t.Context()); result != sqlitedb.OK || err != nil {
		t.Errorf("%s, %v: %s", result, err, detail)
	}
}

// A path may hold any byte but NUL, also those that mean something in a URI.
func TestStrangePaths(t *testing.T) {
	names := []string{"a b", "q?mode=memory", "h#ash", "p%20c", "100%", "new\nline", "tab\t", "a&b=c", "é漢", `quote'"`, "semi;colon", "file:x", "@:[]"}
	if runtime.GOOS == "linux" {
		names = append(names, "not \xff utf-8", `back\slash`)
	}
	if runtime.GOOS == "windows" {
		names = []string{"a b", "h#ash", "p%20c", "100%", "a&b=c", "é漢"}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name+".db")
			db, err := sqlitedb.OpenApp(path)
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			for _, s := range []string{wal, manual, table, fill} {
				if _, err := db.Exec(s); err != nil {
					t.Fatal(err)
				}
			}
			img := capture(t, path)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			same(t, img, path)
			age(t, dir)
			before := photograph(t, dir)
			same(t, capture(t, path), path)
			sound(t, path)
			equal(t, photograph(t, dir), before)
		})
	}
}

// A relative path, and a symbolic link to a database whose sidecars lie elsewhere.
func TestPathsThatLeadElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	start(t, path, wal, manual, table, fill, more)
	t.Chdir(filepath.Dir(path))
	equal(t, inspect(t, capture(t, "app.db"), "SELECT count(*) FROM t"), "3001")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	equal(t, inspect(t, capture(t, link), "SELECT count(*) FROM t"), "3001")
}

func TestWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), "SQLite is a library")
	write(t, filepath.Join(dir, "short"), "SQL")
	noise := make([]byte, 8192)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	write(t, filepath.Join(dir, "encrypted"), string(noise))
	write(t, filepath.Join(dir, "magic alone"), "SQLite format 3\x00")
	write(t, filepath.Join(dir, "bad page size"), "SQLite format 3\x00\x11\x11"+string(noise))
	for _, name := range []string{"text", "short", "encrypted", "magic alone", "bad page size"} {
		if _, err := sqlitedb.Pin(t.Context(), filepath.Join(dir, name), sqlitedb.Options{}); !errors.Is(err, sqlitedb.ErrNotDatabase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sqlitedb.Pin(t.Context(), filepath.Join(dir, "absent"), sqlitedb.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := sqlitedb.Pin(t.Context(), dir, sqlitedb.Options{}); err == nil {
		t.Error("a directory was pinned")
	}
}
