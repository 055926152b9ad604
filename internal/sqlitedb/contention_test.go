package sqlitedb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// A database that an application keeps to itself is waited for.
func TestExclusiveIsWaitedFor(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			a := start(t, path, exclusive, "PRAGMA journal_mode="+mode, table, fill)
			pinned := make(chan error)
			go func() {
				p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Wait: time.Hour})
				if err == nil {
					err = p.Close()
				}
				pinned <- err
			}()
			a.close()
			age(t, filepath.Dir(path))
			if err := <-pinned; err != nil {
				t.Error(err)
			}
		})
	}
}

// Waiting ends with its context.
func TestWaitIsCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	start(t, path, exclusive, table, fill)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := sqlitedb.Pin(ctx, path, sqlitedb.Options{Wait: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A database that was closed only now is waited for, until its time of modification can tell of a change.
func TestClosedJustNow(t *testing.T) {
	path := build(t, wal, table, fill)
	_, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Wait: time.Millisecond})
	if err == nil {
		t.Error("a file was trusted that changed within the tick of its clock")
	}
	p := pin(t, path)
	same(t, image(t, p), path)
	if got := time.Since(modified(t, path)); got < 2*time.Second {
		t.Errorf("pinned %v after the last change", got)
	}
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// An application that starts while a cold database is read is not noticed by SQLite, which has no locks there. If it
// writes, everything that was read is refused; if it only reads, nothing happened.
func TestStartDuringColdCapture(t *testing.T) {
	for name, test := range map[string]struct {
		does  []string
		ends  bool
		wants error
	}{
		"reads":                {[]string{"SELECT count(*) FROM t"}, false, nil},
		"reads and ends":       {[]string{"SELECT count(*) FROM t"}, true, nil},
		"writes":               {[]string{more}, false, sqlitedb.ErrChanged},
		"writes and ends":      {[]string{more}, true, sqlitedb.ErrChanged},
		"writes, checkpoints":  {[]string{more, "PRAGMA wal_checkpoint(TRUNCATE)"}, false, sqlitedb.ErrChanged},
		"changes journal mode": {[]string{"PRAGMA journal_mode=delete"}, true, sqlitedb.ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			path := build(t, wal, table, fill)
			age(t, filepath.Dir(path))
			p := pin(t, path)
			err := p.Stream(t.Context(), func(pgno uint32, _ []byte) error {
				if pgno == 5 {
					a := start(t, path, test.does...)
					if test.ends {
						a.close()
					}
				}
				return nil
			})
			if !errors.Is(err, test.wants) {
				t.Errorf("Stream: %v", err)
			}
			if _, _, err := p.QuickCheck(t.Context()); !errors.Is(err, test.wants) {
				t.Errorf("QuickCheck: %v", err)
			}
			if _, err := p.ReadFacts(t.Context()); !errors.Is(err, test.wants) {
				t.Errorf("ReadFacts: %v", err)
			}
		})
	}
}

// The application may do to a WAL database what it likes while that is pinned, and may stop.
func TestPinStaysWhateverTheApplicationDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	a := start(t, path, wal, manual, table, fill)
	p := pin(t, path)
	want := image(t, p)
	growth := func() int64 {
		t.Helper()
		n, err := p.WALGrowth()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := growth(); n != 0 {
		t.Errorf("the log grew by %d bytes before anything was written", n)
	}
	// A checkpoint that waits for readers would wait for the pin.
	for _, s := range []string{"PRAGMA busy_timeout=1", more, "DELETE FROM t WHERE id%2", "PRAGMA wal_checkpoint(PASSIVE)",
		"PRAGMA wal_checkpoint(FULL)", "PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)", "DROP TABLE t", table, more} {
		a.do(s)
		same(t, image(t, p), want)
	}
	if n := growth(); n < page {
		t.Errorf("the log grew by %d bytes", n)
	}
	if _, err := a.try("VACUUM"); err != nil {
		t.Error(err)
	}
	if _, err := a.try("PRAGMA journal_mode=delete"); err == nil {
		t.Error("the journal mode was changed under the pin")
	}
	a.close()
	same(t, image(t, p), want)
	if result, detail, err := p.QuickCheck(t.Context()); result != sqlitedb.OK || err != nil {
		t.Errorf("%s, %v: %s", result, err, detail)
	}
	start(t, path, more).kill()
	same(t, image(t, p), want)
	sound(t, want)
	equal(t, inspect(t, want, "SELECT count(*) FROM t"), "3000")
}

// Applications that come and go at every moment of a capture.
func TestComingAndGoing(t *testing.T) {
	path := build(t, wal, table, fill)
	captures := 30
	if testing.Short() {
		captures = 5
	}
	stop := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-stop:
				return
			default:
				start(t, path, "INSERT INTO t(v) SELECT 'a' FROM t LIMIT 10", "DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id DESC LIMIT 10)").close()
			}
		}
	}()
	defer func() { close(stop); <-gone }()
	for n := 0; n < captures; {
		p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Wait: time.Minute}) // on a busy machine it may take some time to find it at rest, or in use
		if err != nil {
			t.Fatal(err)
		}
		img := filepath.Join(t.TempDir(), "image.db")
		err = saveAs(t.Context(), p, img)
		if closing := p.Close(); closing != nil {
			t.Fatal(closing)
		}
		if errors.Is(err, sqlitedb.ErrChanged) {
			continue // it was cold, and did not stay so
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		sound(t, img)
		if got := inspect(t, img, "SELECT count(*) FROM t"); got != "3000" && got != "3010" {
			t.Errorf("%s rows", got)
		}
	}
}

// A stream ends with its context, or when it is told to, and leaves the pin usable.
func TestEndOfStream(t *testing.T) {
	path := build(t, table, fill)
	p := pin(t, path)
	stop := errors.New("enough")
	var pages int
	err := p.Stream(t.Context(), func(uint32, []byte) error {
		if pages++; pages == 3 {
			return stop
		}
		return nil
	})
	if err != stop || pages != 3 {
		t.Errorf("after %d pages: %v", pages, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pages = 0
	err = p.Stream(ctx, func(uint32, []byte) error {
		if pages++; pages == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || pages != 3 {
		t.Errorf("after %d pages: %v", pages, err)
	}
	same(t, image(t, p), path)
}

// A database can be made so that looking at it takes very long, though none of its values is longer than is allowed. Its time is limited
// by the context. (If it were not, this test would take minutes.)
func TestTimeLimit(t *testing.T) {
	path := build(t, slices.Concat([]string{
		"CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE slow(x, g)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<100000) INSERT INTO slow SELECT 60000, i FROM n",
	}, schema("sql='CREATE TABLE slow(x, g AS (length(replace(hex(zeroblob(x)),''0'',''abcdefgh''))) NOT NULL REFERENCES p)' WHERE name='slow'"))...)
	p := pin(t, path)
	for name, do := range map[string]func(context.Context) error{
		"QuickCheck": func(ctx context.Context) error { _, _, err := p.QuickCheck(ctx); return err },
		"ReadFacts":  func(ctx context.Context) error { _, err := p.ReadFacts(ctx); return err },
		"quick":      func(ctx context.Context) error { _, _, err := sqlitedb.Check(ctx, path, sqlitedb.Quick); return err },
		"full":       func(ctx context.Context) error { _, _, err := sqlitedb.Check(ctx, path, sqlitedb.Full); return err },
		"ImageFacts": func(ctx context.Context) error { _, err := sqlitedb.ImageFacts(ctx, path); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	same(t, image(t, p), path)
}

// Closing twice is harmless, and what is closed says so.
func TestClosed(t *testing.T) {
	p := pin(t, build(t, table, fill))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Stream(t.Context(), func(uint32, []byte) error { return nil }); err == nil {
		t.Error("Stream worked")
	}
	if _, _, err := p.QuickCheck(t.Context()); err == nil {
		t.Error("QuickCheck worked")
	}
	if _, err := p.ReadFacts(t.Context()); err == nil {
		t.Error("ReadFacts worked")
	}
	if n, err := p.WALGrowth(); n != 0 || err != nil {
		t.Errorf("WALGrowth: %d, %v", n, err)
	}
}
