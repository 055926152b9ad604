package sqlitedb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// onePage is a bound so small that each slice ends after the first page.
const onePage = time.Nanosecond

// detached pins a database and detaches it, in slices that end after one page. between is called between two slices, with their number. The copy
// is as long as the database.
func detached(t *testing.T, path string, between func(n int)) *sqlitedb.Pinned {
	t.Helper()
	n, scratch := 0, t.TempDir()
	p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: scratch, MaxBlock: onePage, Between: func() {
		n++
		if between != nil {
			between(n)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := p.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Read() != sqlitedb.ReadSlices {
		return p
	}
	copies, err := filepath.Glob(filepath.Join(scratch, "*", "*"))
	if err != nil || len(copies) != 1 {
		t.Fatal(copies, err)
	}
	if info, err := os.Stat(copies[0]); err != nil || info.Size() != p.Size() {
		t.Errorf("the copy has %d bytes, not %d: %v", info.Size(), p.Size(), err)
	}
	return p
}

// A database that can be copied within the bound is copied in the transaction that it was pinned in. From then on writers can commit, and what is
// pinned stays what it was.
func TestDetach(t *testing.T) {
	for _, mode := range []string{"delete", "truncate", "persist"} {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			a := start(t, path, "PRAGMA journal_mode="+mode, table, fill, "PRAGMA busy_timeout=0")
			want := capture(t, path)
			scratch := t.TempDir()
			p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: scratch, MaxBlock: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if _, err := a.try(more); err == nil || !p.BlocksCommits() {
				t.Error("a pin that keeps nobody from committing")
			}
			age(t, filepath.Dir(path))
			before := photograph(t, filepath.Dir(path))
			at := p.At()
			if err := p.Detach(t.Context()); err != nil {
				t.Fatal(err)
			}
			equal(t, photograph(t, filepath.Dir(path)), before)
			a.do(more)
			a.do("VACUUM")
			if p.BlocksCommits() || p.Live() || p.Read() != sqlitedb.ReadCopy || p.Found() != sqlitedb.FoundRollback {
				t.Errorf("live %v, read %s, found %s", p.Live(), p.Read(), p.Found())
			}
			if p.Slices() != 1 || p.Moved() || p.Unbroken() || !p.At().Equal(at) || p.Blocked() <= 0 {
				t.Errorf("%d slices, moved %v, unbroken %v, at %v, not %v; blocked %v", p.Slices(), p.Moved(), p.Unbroken(), p.At(), at, p.Blocked())
			}
			same(t, image(t, p), want)
			if result, detail, err := p.QuickCheck(t.Context()); err != nil || result != sqlitedb.OK {
				t.Errorf("%s, %v: %s", result, err, detail)
			}
			facts, err := p.ReadFacts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, facts.Tables, []sqlitedb.Table{{Name: "t", Rows: 3000}})
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			equal(t, len(list(t, scratch)), 0)
		})
	}
}

// What others do not feel is left as it is.
func TestDetachOfOthers(t *testing.T) {
	for _, s := range situations {
		if s.fails != "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			s.make(t, path)
			age(t, filepath.Dir(path))
			p := pin(t, path)
			blocks, read := p.BlocksCommits(), p.Read()
			before := photograph(t, filepath.Dir(path)) // the pin may have moved the read marks
			if err := p.Detach(t.Context()); err != nil {
				t.Fatal(err)
			}
			if blocks {
				read = sqlitedb.ReadCopy
			}
			if p.BlocksCommits() || p.Read() != read {
				t.Errorf("read %s, not %s", p.Read(), read)
			}
			if s.rows != none {
				equal(t, inspect(t, image(t, p), "SELECT count(*) FROM t WHERE v<>'spoilt'"), s.rows)
			}
			equal(t, photograph(t, filepath.Dir(path)), before)
		})
	}
}

// A database that stays as it is while it is read in slices is that of the instant of the pin. Between slices nothing is locked.
func TestSlices(t *testing.T) {
	for _, pageSize := range []int{512, 4096, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			a := start(t, path, fmt.Sprint("PRAGMA page_size=", pageSize), table, fill, "PRAGMA busy_timeout=0")
			age(t, filepath.Dir(path))
			before := photograph(t, filepath.Dir(path))
			gaps := 0
			p := detached(t, path, func(int) {
				gaps++
				a.do("BEGIN EXCLUSIVE")
				a.do("ROLLBACK")
			})
			if p.Slices() != int(p.Pages()) || gaps != p.Slices()-1 || p.Read() != sqlitedb.ReadSlices || p.Moved() || p.Unbroken() {
				t.Errorf("%d slices of %d pages, %d gaps; read %s, moved %v, unbroken %v", p.Slices(), p.Pages(), gaps, p.Read(), p.Moved(), p.Unbroken())
			}
			same(t, image(t, p), path)
			equal(t, photograph(t, filepath.Dir(path)), before)
		})
	}
}

// Pages that are alike are all copied, though they lie in the same place of the block of memory that they go through.
func TestPagesThatAreAlike(t *testing.T) {
	path := build(t, "PRAGMA page_size=4096", table, "CREATE TABLE big(v)", "INSERT INTO big VALUES(zeroblob(3000000))", "DROP TABLE big")
	vandal(t, path, func(f *os.File) {
		// The leaves of the freelist may hold anything; its one trunk is named in the header: https://www.sqlite.org/fileformat2.html#the_freelist.
		var head [100]byte
		if _, err := f.ReadAt(head[:], 0); err != nil {
			t.Fatal(err)
		}
		pages, trunk := binary.BigEndian.Uint32(head[28:]), binary.BigEndian.Uint32(head[32:])
		for n := uint32(3); n <= pages; n++ {
			if n == trunk {
				continue
			}
			if _, err := f.WriteAt(bytes.Repeat([]byte("x"), 4096), int64(n-1)*4096); err != nil {
				t.Fatal(err)
			}
		}
	})
	p := detached(t, path, nil)
	same(t, image(t, p), path)
	sound(t, image(t, p))
}

// Whatever is committed between two slices, wherever they are, is in the copy, and nothing else. (The change is made by another process.)
func TestChangesBetweenSlices(t *testing.T) {
	for name, changes := range map[string][]string{
		"an update":             {"UPDATE t SET v='changed' WHERE id%50=0"},
		"one row":               {"UPDATE t SET v='changed' WHERE id=2"},
		"growth":                {"INSERT INTO t(v) SELECT hex(randomblob(50)) FROM t"},
		"growth of many":        {"INSERT INTO t(v) SELECT hex(randomblob(120)) FROM t", "INSERT INTO t(v) SELECT hex(randomblob(50)) FROM t"},
		"a shrinking":           {"DELETE FROM t WHERE id>1000", "VACUUM"},
		"nothing left":          {"DELETE FROM t", "VACUUM"},
		"a vacuum":              {"DELETE FROM t WHERE id%2", "VACUUM"},
		"shrinking and growth":  {"DELETE FROM t", "VACUUM", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT i, hex(randomblob(60)) FROM n"},
		"smaller pages":         {"PRAGMA page_size=512", "VACUUM"},
		"larger pages":          {"PRAGMA page_size=32768", "VACUUM"},
		"a new schema":          {"CREATE TABLE other(x)", "INSERT INTO other VALUES(1)"},
		"another rollback mode": {"PRAGMA journal_mode=persist", "UPDATE t SET v='changed' WHERE id=2000"},
		"wal and back":          {"PRAGMA journal_mode=wal", "UPDATE t SET v='changed' WHERE id=2000", "PRAGMA journal_mode=delete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := build(t, "PRAGMA page_size=4096", table, fill)
			pages, err := strconv.Atoi(inspect(t, source, "PRAGMA page_count"))
			if err != nil {
				t.Fatal(err)
			}
			// In the first pass and, of a database that was changed already, in the second.
			for _, gap := range []int{1, pages / 2, pages - 1, pages + 3} {
				path := filepath.Join(t.TempDir(), "app.db")
				if err := os.CopyFS(filepath.Dir(path), os.DirFS(filepath.Dir(source))); err != nil {
					t.Fatal(err)
				}
				a := start(t, path, "PRAGMA synchronous=0", "PRAGMA busy_timeout=0")
				var at time.Time
				p := detached(t, path, func(n int) {
					if n == 2 && gap >= pages {
						a.do("UPDATE t SET v='at first' WHERE id=1500")
					}
					if n != gap {
						return
					}
					at = time.Now()
					for _, s := range changes {
						a.do(s)
					}
				})
				if !p.Moved() || p.At().Before(at) || p.Unbroken() {
					t.Errorf("gap %d: moved %v, %v after the change; unbroken %v", gap, p.Moved(), p.At().Sub(at), p.Unbroken())
				}
				img := image(t, p)
				p.Close()
				a.close()
				same(t, img, path)
				sound(t, img)
			}
		})
	}
}

// A commit in every gap: in the end writers must wait for one look at all pages. It is said, and the copy is one state.
func TestLastResort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	a := start(t, path, "PRAGMA synchronous=0", table, fill, "PRAGMA busy_timeout=0")
	var last int
	p := detached(t, path, func(n int) {
		last = n
		a.do(fmt.Sprintf("UPDATE t SET v='%d' WHERE id=%d", n, n%3000+1))
	})
	if !p.Unbroken() || !p.Moved() || p.Slices() < 4*int(p.Pages()) {
		t.Errorf("unbroken %v, moved %v, %d slices of %d pages", p.Unbroken(), p.Moved(), p.Slices(), p.Pages())
	}
	img := image(t, p)
	same(t, img, path)
	sound(t, img)
	equal(t, inspect(t, img, fmt.Sprintf("SELECT v FROM t WHERE id=%d", last%3000+1)), strconv.Itoa(last))
}

// A database that is in another state when its turn comes again is pinned anew.
func TestAnotherStateBetweenSlices(t *testing.T) {
	for name, test := range map[string]struct {
		does  func(t *testing.T, a *app, path string)
		found sqlitedb.Found
		rows  string
	}{
		"put into WAL mode": {func(_ *testing.T, a *app, _ string) { a.do(wal); a.do(more) }, sqlitedb.FoundLiveWAL, "3001"},
		"put into WAL mode and closed": {func(t *testing.T, a *app, path string) {
			a.do(wal)
			a.do(more)
			a.close()
			age(t, filepath.Dir(path))
		}, sqlitedb.FoundColdWAL, "3001"},
		"a crash": {func(t *testing.T, a *app, path string) {
			for _, s := range []string{"PRAGMA cache_size=5", "BEGIN", "UPDATE t SET v='spoilt' WHERE id > 700"} {
				a.do(s)
			}
			a.kill()
			age(t, filepath.Dir(path))
		}, sqlitedb.FoundHotJournal, "3000"},
		"another file": {func(t *testing.T, a *app, path string) {
			other := build(t, table, fill, more, more, more)
			a.close()
			if err := os.Rename(other, path); err != nil {
				t.Fatal(err)
			}
		}, sqlitedb.FoundRollback, "3003"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			a := start(t, path, "PRAGMA journal_mode=delete", table, fill)
			var after map[string]string
			p := detached(t, path, func(n int) {
				if n == 5 {
					test.does(t, a, path)
					after = photograph(t, filepath.Dir(path))
				}
			})
			if p.Found() != test.found || p.BlocksCommits() || !p.Moved() {
				t.Errorf("found %s, blocks %v, moved %v", p.Found(), p.BlocksCommits(), p.Moved())
			}
			img := image(t, p)
			p.Close()
			sound(t, img)
			equal(t, inspect(t, img, "SELECT count(*) FROM t WHERE v<>'spoilt'"), test.rows)
			if test.found != sqlitedb.FoundLiveWAL { // of which the read marks move
				equal(t, photograph(t, filepath.Dir(path)), after)
			}
		})
	}
}

// What goes wrong leaves no copy, and nothing locked.
func TestDetachFails(t *testing.T) {
	for name, test := range map[string]struct {
		does  func(t *testing.T, scratch, path string, cancel context.CancelFunc)
		wants func(err error) bool
	}{
		"cancelled": {func(_ *testing.T, _, _ string, cancel context.CancelFunc) { cancel() },
			func(err error) bool { return errors.Is(err, context.Canceled) }},
		"locked for too long": {func(t *testing.T, _, path string, _ context.CancelFunc) {
			start(t, path, "BEGIN EXCLUSIVE")
		}, func(err error) bool { return errors.As(err, new(*sqlitedb.LockedError)) }},
		"gone": {func(t *testing.T, _, path string, _ context.CancelFunc) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
	} {
		t.Run(name, func(t *testing.T) {
			path, scratch := build(t, table, fill), t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: scratch, MaxBlock: onePage, Wait: 10 * time.Millisecond, Between: func() {
				if n++; n == 5 {
					test.does(t, scratch, path, cancel)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Detach(ctx); err == nil || !test.wants(err) {
				t.Errorf("Detach = %v", err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			equal(t, len(list(t, scratch)), 0)
		})
	}
	path := build(t, table, fill)
	p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Detach(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Detach = %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	start(t, path, "PRAGMA busy_timeout=0", more)
}

// A damaged schema is no reason to keep writers waiting.
func TestDetachOfDamaged(t *testing.T) {
	path := build(t, append([]string{table, fill}, schema("sql='CREATE TABLE t(' WHERE name='t'")...)...)
	p := detached(t, path, nil)
	same(t, image(t, p), path)
	if result, _, err := p.QuickCheck(t.Context()); err != nil || result != sqlitedb.Corrupt {
		t.Errorf("%s, %v", result, err)
	}
}

// Databases that are pinned together and detached in turn are those of one instant still, unless one was moved.
func TestDetachTogether(t *testing.T) {
	for _, moved := range []bool{false, true} {
		paths := []string{build(t, table, fill), build(t, table, fill)}
		a := start(t, paths[1], "PRAGMA busy_timeout=0")
		pages, err := strconv.Atoi(inspect(t, paths[0], "PRAGMA page_count"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		got, err := sqlitedb.PinTogether(t.Context(), paths, sqlitedb.TogetherOptions{Options: sqlitedb.Options{Scratch: t.TempDir(), MaxBlock: onePage}, Between: func(int) {
			if n++; n == pages+5 && moved { // while the second is copied
				a.do(more)
			}
		}})
		if err != nil || !got.Proven {
			t.Fatalf("%+v, %v", got, err)
		}
		pins := got.Pins
		for i, p := range pins {
			if err := p.Detach(t.Context()); err != nil {
				t.Fatal(err)
			}
			same(t, image(t, p), paths[i])
		}
		if pins[0].Moved() || pins[1].Moved() != moved {
			t.Errorf("moved: %v and %v, not %v", pins[0].Moved(), pins[1].Moved(), moved)
		}
		for _, p := range pins {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
