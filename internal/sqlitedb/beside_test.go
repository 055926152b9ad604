package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/sqlitedb"
)

// readAndCheck streams what is pinned, and checks it: both at once if it may.
func readAndCheck(ctx context.Context, p *sqlitedb.Pinned, to io.Writer) (result sqlitedb.Integrity, detail string, facts sqlitedb.Facts, err error) {
	g, gctx := errgroup.WithContext(ctx)
	if !p.Beside(ctx) {
		g.SetLimit(1)
	}
	g.Go(func() error { return save(gctx, p, to) })
	g.Go(func() (err error) {
		if result, detail, err = p.QuickCheck(gctx); err != nil {
			return err
		}
		facts, err = p.ReadFacts(gctx)
		return err
	})
	err = g.Wait()
	return result, detail, facts, err
}

// pinBeside pins a database, whatever its size, so that it can be checked while it is read.
func pinBeside(t testing.TB, path string) *sqlitedb.Pinned {
	t.Helper()
	p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: t.TempDir(), Beside: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// oneState streams and checks, and fails unless both saw the same. It returns the image.
func oneState(t testing.TB, p *sqlitedb.Pinned) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), "image.db")
	f, err := os.Create(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	result, detail, facts, err := readAndCheck(t.Context(), p, f)
	if err != nil || result != sqlitedb.OK {
		t.Fatalf("%s, %v: %s", result, err, detail)
	}
	again, err := sqlitedb.ImageFacts(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, facts, again)
	return img
}

// Writers at full speed, with checkpoints as often as they can be had: what is found out about a database is of the very state that is read, whether
// or not it is found out meanwhile; and it mostly is.
func TestBesideUnderWriters(t *testing.T) {
	most := 40
	if testing.Short() {
		most = 10
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			// A table that grows with each commit, and in which a state differs from the next by its number of rows.
			path := build(t, append(bank(mode), "CREATE TABLE step(id INTEGER PRIMARY KEY)",
				"CREATE TRIGGER stepped AFTER INSERT ON transfer BEGIN INSERT INTO step VALUES(NULL); END")...)
			stop := tellers(t, path, 1000, 20)
			defer stop()
			var before, beside, captures int
			for captures < most || beside == 0 && captures < 10*most {
				captures++
				p := pinBeside(t, path)
				if p.Beside(t.Context()) {
					beside++
				}
				img := oneState(t, p)
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				if sum := inspect(t, img, "SELECT sum(balance) FROM account"); sum != strconv.Itoa(total) {
					t.Fatalf("the accounts hold %s, not %d", sum, total)
				}
				steps, err := strconv.Atoi(inspect(t, img, "SELECT count(*) FROM step"))
				if err != nil || steps < before {
					t.Fatalf("capture went back from step %d to %d: %v", before, steps, err)
				}
				before = steps
				if err := os.Remove(img); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range stop() {
				t.Logf("%d commits during %d captures, of which %d were checked meanwhile", r.Commits, captures, beside)
				if mode == "WAL" && len(r.Errors) > 0 {
					t.Errorf("a writer in WAL mode was disturbed: %s", r.Errors)
				}
			}
			if before < 10 || beside == 0 {
				t.Errorf("nothing was shown: %d steps, %d captures checked meanwhile", before, beside)
			}
		})
	}
}

// What is committed after the pin, and before it is asked whether something was, is seen either by both connections or by none; and if every try
// fails, there is one connection.
func TestBesideOfWhatMovesOn(t *testing.T) {
	for _, moves := range []int{0, 1, 3, 100} {
		t.Run(fmt.Sprint(moves), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			a := start(t, path, wal, table, fill)
			rows := 3000
			got, err := sqlitedb.PinTogether(t.Context(), []string{path}, sqlitedb.TogetherOptions{
				Options: sqlitedb.Options{Beside: 1}, Tries: 5,
				Pinned: func() {
					if rows < 3000+moves {
						rows++
						a.do(more)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			p := got.Pins[0]
			if beside := p.Beside(t.Context()); beside != (moves < 5) || beside != got.Proven {
				t.Errorf("beside: %v, proven: %v", beside, got.Proven)
			}
			a.do(more) // as who does not wait for a capture
			equal(t, inspect(t, oneState(t, p), "SELECT count(*) FROM t"), strconv.Itoa(rows))
			p.Extend(t.Context())
			equal(t, inspect(t, oneState(t, p), "SELECT count(*) FROM t"), strconv.Itoa(rows))
		})
	}
}

// How it goes with each kind of database, and that none keeps a lock, or a file open, when the pin has ended.
func TestBesideOfEveryKind(t *testing.T) {
	for name, test := range map[string]struct {
		make   []string
		open   bool
		detach bool
		want   bool
	}{
		"wal, open":          {[]string{wal, table, fill}, true, false, true},
		"wal, cold":          {[]string{wal, table, fill}, false, false, true},
		"rollback, open":     {[]string{table, fill}, true, false, true},
		"rollback, detached": {[]string{table, fill}, true, true, true},
		"no pages":           {nil, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			write(t, path, "")
			var a *app
			if test.open {
				a = start(t, path, test.make...)
			} else {
				visit(t, path, test.make...)
				age(t, filepath.Dir(path))
			}
			before := openFiles(t)
			p := pinBeside(t, path)
			if test.detach {
				if err := p.Detach(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.Beside(t.Context()); got != test.want || p.Beside(t.Context()) != got {
				t.Errorf("beside: %v", got)
			}
			if test.want {
				oneState(t, p)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d files were open before, %d are now", before, after)
			}
			if a != nil {
				a.do("PRAGMA busy_timeout=0")
				a.do(exclusive)
				a.do("CREATE TABLE alone(v)")
			}
		})
	}
	t.Run("too small", func(t *testing.T) {
		p, err := sqlitedb.Pin(t.Context(), build(t, table, fill), sqlitedb.Options{Beside: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if p.Beside(t.Context()) {
			t.Error("a small database got a second connection")
		}
	})
}

// openFiles returns how many files this process has open; 0 where the system does not tell.
func openFiles(t testing.TB) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A writer in a rollback mode that waits until the pin ends, and keeps others from beginning to read, changes nothing.
func TestBesideOfAWaitingWriter(t *testing.T) {
	path := build(t, table, fill)
	a := start(t, path, "PRAGMA busy_timeout=0")
	p := pinBeside(t, path)
	a.do("BEGIN IMMEDIATE")
	a.do(more)
	if _, err := a.try("COMMIT"); err == nil { // from now on it has the pending lock
		t.Fatal("it could commit")
	}
	equal(t, inspect(t, oneState(t, p), "SELECT count(*) FROM t"), "3000")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	a.do("COMMIT")
}

// A cold database that is changed while it is read and checked is refused by whatever comes to its end after that.
func TestBesideOfAColdDatabaseThatChanges(t *testing.T) {
	path := build(t, wal, table, fill)
	age(t, filepath.Dir(path))
	p := pinBeside(t, path)
	if !p.Beside(t.Context()) {
		t.Fatal("not beside")
	}
	changed := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return p.Stream(t.Context(), func(pgno uint32, _ []byte) error {
			if pgno == 5 {
				visit(t, path, more)
				close(changed)
			}
			return nil
		})
	})
	var check, facts error
	g.Go(func() error {
		<-changed
		_, _, check = p.QuickCheck(t.Context())
		_, facts = p.ReadFacts(t.Context())
		return nil
	})
	if err := g.Wait(); !errors.Is(err, sqlitedb.ErrChanged) || !errors.Is(check, sqlitedb.ErrChanged) || !errors.Is(facts, sqlitedb.ErrChanged) {
		t.Errorf("Stream: %v; QuickCheck: %v; ReadFacts: %v", err, check, facts)
	}
}

// When the one ends, so does the other, and nothing is left open.
func TestBesideEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	a := start(t, path, wal, table, fill)
	before := openFiles(t)
	p := pinBeside(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return p.Stream(gctx, func(pgno uint32, _ []byte) error {
			if pgno == 5 {
				cancel()
			}
			return nil
		})
	})
	g.Go(func() error {
		for {
			if _, _, err := p.QuickCheck(gctx); err != nil {
				return err
			}
		}
	})
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files were open before, %d are now", before, after)
	}
	equal(t, a.do("PRAGMA wal_checkpoint(TRUNCATE)"), "0|0|0")
}
