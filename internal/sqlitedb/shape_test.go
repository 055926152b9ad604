package sqlitedb_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// shapes are all that a database may have, with rows in the log or only in the file.
func shapes() (all []state) {
	for _, journal := range []string{"wal", "delete"} {
		for i, pageSize := range []int{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536} {
			vacuum := []string{"none", "full", "incremental"}[i%3]
			s := state{
				name: fmt.Sprintf("pages of %d bytes, %s, auto_vacuum=%s, WITHOUT ROWID", pageSize, journal, vacuum),
				make: running(fmt.Sprint("PRAGMA page_size=", pageSize), "PRAGMA auto_vacuum="+vacuum,
					"PRAGMA journal_mode="+journal, "PRAGMA user_version=-7", "PRAGMA application_id=99",
					"CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
					"CREATE INDEX i ON t(v)", "INSERT INTO t(v) VALUES(zeroblob(200000)),(randomblob(100000))",
					"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) INSERT INTO w SELECT 'k'||i, i FROM n",
					"DELETE FROM w WHERE v%3=0", "DELETE FROM t WHERE id=1").then(func(t *testing.T, path string) {
					equal(t, inspect(t, recovered(t, path, nil), "SELECT page_size, user_version, application_id FROM pragma_page_size, pragma_user_version, pragma_application_id"), fmt.Sprint(pageSize, "|-7|99"))
				}),
				tables: []sqlitedb.Table{{Name: "t", Rows: 1}, {Name: "w", Rows: 334}},
				found:  sqlitedb.FoundRollback, read: rollbackRead,
			}
			if journal == "wal" {
				s.found, s.read, s.shm = sqlitedb.FoundLiveWAL, sqlitedb.ReadLocked, marks
			}
			all = append(all, s)
		}
	}
	return all
}

// The page at 1 GiB holds SQLite's locks and is never written. The database here is a sparse file: nearly all of its
// pages are free, and its tables lie on both sides of that page.
var lockBytePage = state{name: "sparse, on both sides of the lock-byte page at 1 GiB", make: straddling, huge: true,
	tables: []sqlitedb.Table{{Name: "t", Rows: 2}}, found: sqlitedb.FoundRollback, read: rollbackRead}

func straddling(t *testing.T, path string) *app {
	const pageSize, lockPage = 65536, 1<<30/65536 + 1
	const pages = lockPage + 20
	visit(t, path, fmt.Sprint("PRAGMA page_size=", pageSize), "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE trunk1(v)", "CREATE TABLE trunk2(v)",
		"PRAGMA writable_schema=ON", "DELETE FROM sqlite_schema WHERE name LIKE 'trunk%'")
	// Pages 3 and 4 become the trunks of a freelist that holds every other new page, the highest first; see
	// https://www.sqlite.org/fileformat2.html#the_freelist.
	var free []uint32
	for n := uint32(pages); n > 4; n-- {
		if n != lockPage {
			free = append(free, n)
		}
	}
	const most = pageSize/4 - 8
	vandal(t, path, func(f *os.File) {
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
	})
	a := start(t, path, "INSERT INTO t(v) VALUES(randomblob(3000000))", "INSERT INTO t(v) VALUES('beyond')")
	if got := a.do("SELECT max(pageno) > 16385 FROM dbstat WHERE name='t'"); got != "1" {
		t.Fatal("nothing lies beyond the lock-byte page")
	}
	return a
}

// A path may hold any byte but NUL, also those that mean something in a URI.
func strangePaths() (all []state) {
	names := []string{"a b?mode=memory&c#d%20e%f", "a b", "q?mode=memory", "h#ash", "p%20c", "100%", "new\nline", "tab\t", "a&b=c", "é漢", `quote'"`, "semi;colon", "file:x", "@:[]"}
	if runtime.GOOS == "linux" {
		names = append(names, "not \xff utf-8", `back\slash`)
	}
	if runtime.GOOS == "windows" {
		names = []string{"a b&c#d%20e%f", "a b", "h#ash", "p%20c", "100%", "a&b=c", "é漢"}
	}
	cold := gone(wal, table, fill)
	for i, name := range names {
		s := state{name: fmt.Sprintf("at %q, open", name), file: filepath.Join(name, name+".db"), make: running(wal, manual, table, fill, more), rows: "3001",
			found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks}
		all = append(all, s)
		if i > 0 {
			continue
		}
		s.name, s.make, s.rows, s.found, s.read, s.shm = fmt.Sprintf("at %q, cold", name), cold, "3000", sqlitedb.FoundColdWAL, sqlitedb.ReadUnlocked, ""
		all = append(all, s)
		s.name, s.make, s.found, s.read = fmt.Sprintf("at %q, hot journal", name), hotJournal, sqlitedb.FoundHotJournal, sqlitedb.ReadCopy
		all = append(all, s)
	}
	return all
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

// noDatabases are files that SQLite can't read, of which encrypted ones look like noise.
func noDatabases() (all []state) {
	noise := make([]byte, 8192)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for name, content := range map[string]string{
		"text": "SQLite is a library", "short": "SQL", "magic alone": "SQLite format 3\x00", "bad page size": "SQLite format 3\x00\x11\x11" + string(noise),
		"encrypted (noise, no magic)": string(noise),
	} {
		all = append(all, state{name: name, make: holding(content), fails: notDatabase})
	}
	all = append(all, state{name: "encrypted, open in WAL mode", make: crash.then(func(t *testing.T, path string) { write(t, path, string(noise)) }), fails: notDatabase})
	slices.SortFunc(all, func(a, b state) int { return strings.Compare(a.name, b.name) })
	return all
}

func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := sqlitedb.Pin(t.Context(), filepath.Join(dir, "absent"), sqlitedb.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := sqlitedb.Pin(t.Context(), dir, sqlitedb.Options{}); err == nil {
		t.Error("a directory was pinned")
	}
}

// What the file of a database has where SQLite keeps its locks is not part of it, also where the file is read without SQLite.
func TestLockBytePageOfAColdDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT CHECKED under -short: the lock-byte page of a cold database, which lies at 1 GiB")
	}
	path := filepath.Join(t.TempDir(), "app.db")
	straddling(t, path).close()
	visit(t, path, wal)
	vandal(t, path, func(f *os.File) {
		if _, err := f.WriteAt([]byte("not of the database"), 1<<30); err != nil {
			t.Fatal(err)
		}
	})
	age(t, filepath.Dir(path))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := pin(t, path)
	const lockPage = 1<<30/65536 + 1
	want := make([]byte, p.PageSize())
	err = p.Stream(t.Context(), func(pgno uint32, page []byte) error {
		if _, err := file.ReadAt(want, int64(pgno-1)*int64(len(want))); err != nil {
			return err
		}
		if pgno == lockPage {
			clear(want)
		}
		if !bytes.Equal(page, want) {
			return fmt.Errorf("page %d is another", pgno)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
