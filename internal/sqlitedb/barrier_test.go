package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// A pair is two databases in WAL mode that applications have open, and a hook that commits to both whenever they are pinned.
type pair struct {
	paths   []string
	apps    []*app
	commits int // that went through
	refused int // that found the database locked
}

func newPair(t *testing.T) *pair {
	var p pair
	for range 2 {
		path := build(t, wal, "CREATE TABLE counter(n INTEGER)", "INSERT INTO counter VALUES(0)")
		p.paths = append(p.paths, path)
		p.apps = append(p.apps, start(t, path, "PRAGMA busy_timeout=0", "UPDATE counter SET n=n+1"))
	}
	return &p
}

// commit is what the applications do at the worst moment, in the first database and in the second.
func (p *pair) commit() {
	for _, a := range p.apps {
		if _, err := a.try("UPDATE counter SET n=n+1"); err == nil {
			p.commits++
		} else if strings.Contains(err.Error(), "locked") {
			p.refused++
		} else {
			a.t.Fatal(err)
		}
	}
}

// free fails the test unless the applications can write.
func (p *pair) free(t *testing.T) {
	t.Helper()
	for i, a := range p.apps {
		if _, err := a.try("UPDATE counter SET n=n+1"); err != nil {
			t.Errorf("database %d is still locked: %v", i, err)
		}
	}
}

// logs returns the bytes of the logs, and how the databases look. A database that is pinned is not opened: see package sqlitedb.
func (p *pair) logs(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range p.paths {
		data, err := os.ReadFile(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s", modified(t, path), data)
	}
	return all.String()
}

// Commits that come whenever somebody looks defeat the proof that locks nobody out, and nothing is claimed. The barrier has them wait, and writes
// not one byte.
func TestBarrier(t *testing.T) {
	for _, barrier := range []bool{false, true} {
		p := newPair(t)
		var last string
		got, err := sqlitedb.PinTogether(t.Context(), p.paths, sqlitedb.TogetherOptions{Tries: 3, Barrier: barrier, Pinned: func() {
			p.commit()
			last = p.logs(t)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if p.commits != 6 || got.Proven != barrier || (got.Locked > 0) != barrier || got.NoBarrier != nil || (p.refused == 2) != barrier {
			t.Errorf("barrier %v: %d commits, %d refused, %+v", barrier, p.commits, p.refused, got)
		}
		if p.logs(t) != last {
			t.Errorf("barrier %v: the databases or their logs changed", barrier)
		}
		p.free(t)
		var from, to time.Time // the latest beginning and the earliest end
		for i, pinned := range got.Pins {
			if n := inspect(t, image(t, pinned), "SELECT n FROM counter"); barrier {
				equal(t, n, inspect(t, image(t, got.Pins[0]), "SELECT n FROM counter"))
			}
			a, b := pinned.Span()
			if i == 0 || a.After(from) {
				from = a
			}
			if i == 0 || b.Before(to) {
				to = b
			}
		}
		if barrier && from.After(to) {
			t.Errorf("proven, but by %s apart", from.Sub(to))
		}
		got.Close()
		if beside, err := filepath.Glob(p.paths[0] + "*"); err != nil || len(beside) != 3 {
			t.Errorf("beside it lies %v", beside)
		}
		p.free(t)
	}
}

// One that somebody else has locked for too long is named, and no lock is left on the others, whatever their order.
func TestBarrierOfWhatIsLocked(t *testing.T) {
	for holder := range 2 {
		p := newPair(t)
		p.apps[holder].do("BEGIN IMMEDIATE")
		other := p.apps[1-holder]
		got, err := sqlitedb.PinTogether(t.Context(), p.paths, sqlitedb.TogetherOptions{Options: sqlitedb.Options{Wait: 300 * time.Millisecond}, Tries: -1, Barrier: true})
		if err != nil {
			t.Fatal(err)
		}
		barrier, ok := errors.AsType[*sqlitedb.BarrierError](got.NoBarrier)
		if !ok || barrier.Path != got.Pins[holder].Path() || got.Proven {
			t.Errorf("%d: %+v: %v", holder, got, got.NoBarrier)
		}
		other.do("UPDATE counter SET n=n+1")
		for _, pinned := range got.Pins {
			equal(t, inspect(t, image(t, pinned), "SELECT n FROM counter"), "1")
		}
		got.Close()
		p.apps[holder].do("COMMIT")
		p.free(t)
	}
}

// While it waits for one, the others are not kept locked all the time.
func TestBarrierLetsGoInBetween(t *testing.T) {
	p := newPair(t)
	first, second := 0, 1 // in the order of the locks
	if p.paths[0] > p.paths[1] {
		first, second = 1, 0
	}
	p.apps[second].do("BEGIN IMMEDIATE")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := sqlitedb.PinTogether(ctx, p.paths, sqlitedb.TogetherOptions{Options: sqlitedb.Options{Wait: time.Hour}, Tries: -1, Barrier: true})
		ended <- err
	}()
	for refused := false; !refused; {
		_, err := p.apps[first].try("UPDATE counter SET n=n+1")
		refused = err != nil
	}
	p.apps[first].do("PRAGMA busy_timeout=20000")
	p.apps[first].do("UPDATE counter SET n=n+1")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Whatever state databases are in, the barrier changes nothing of them and beside them.
func TestBarrierLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	var left []state
	for _, s := range situations {
		if strings.Contains(s.name, "in a transaction") { // who writes there keeps the barrier from it: see TestBarrierOfWhatIsLocked
			continue
		}
		left = append(left, s)
		path := filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "", "/", "").Replace(s.name), "app.db")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		s.make(t, path)
		age(t, filepath.Dir(path))
		paths = append(paths, path)
	}
	before := map[string]string{}
	for _, path := range paths {
		before[path] = beside(t, path)
	}
	got, err := sqlitedb.PinTogether(t.Context(), paths, sqlitedb.TogetherOptions{Options: sqlitedb.Options{Scratch: t.TempDir()}, Tries: -1, Barrier: true})
	if err != nil || !got.Proven || got.NoBarrier != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	got.Close()
	for i, path := range paths {
		if after := beside(t, path); after != before[path] {
			t.Errorf("%s: changed\nfrom %s\nto   %s", left[i].name, before[path], after)
		}
	}
}

// beside describes a database and what lies beside it, but for the content of a -shm, which readers change.
func beside(t *testing.T, path string) string {
	t.Helper()
	var all []string
	for _, name := range list(t, filepath.Dir(path)) {
		text := filepath.Base(name)
		if !strings.HasSuffix(name, "-shm") {
			sum := fileSum(t, name)
			text += fmt.Sprintf(":%x:%s", sum[:4], modified(t, name))
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}
