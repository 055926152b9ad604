package prune_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/internal/snaptest"
	"lifeboat/prune"
	"lifeboat/remote"
	"lifeboat/transfer"
)

// A mortal is a store as a process sees it that is killed at one of its requests: before that has any effect, or after all of it. Nothing that
// it asks for later happens.
type mortal struct {
	remote.Store
	at    int // the request, from 0
	after bool
	count int
}

func (m *mortal) do(request func() error) error {
	m.count++
	switch n := m.count - 1; {
	case n < m.at:
		return request()
	case n == m.at && m.after:
		request() // nobody is left to be told
	}
	return errKilled
}

// errKilled is what is heard of a store that no request reaches.
var errKilled = fmt.Errorf("killed on purpose: %w", remote.ErrUnavailable)

func (m *mortal) Put(ctx context.Context, key string, body remote.Body, opts remote.PutOptions) error {
	return m.do(func() error { return m.Store.Put(ctx, key, body, opts) })
}

func (m *mortal) Open(ctx context.Context, key string, off, n int64) (r io.ReadCloser, err error) {
	err = m.do(func() (err error) { r, err = m.Store.Open(ctx, key, off, n); return err })
	return r, err
}

func (m *mortal) Stat(ctx context.Context, key string) (info remote.Info, err error) {
	err = m.do(func() (err error) { info, err = m.Store.Stat(ctx, key); return err })
	return info, err
}

func (m *mortal) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		if err := m.do(func() error { return nil }); err != nil {
			yield(remote.Info{}, err)
			return
		}
		m.Store.List(ctx, prefix)(yield)
	}
}

func (m *mortal) Delete(ctx context.Context, key string) error {
	return m.do(func() error { return m.Store.Delete(ctx, key) })
}

func (m *mortal) Now(ctx context.Context) (now time.Time, err error) {
	err = m.do(func() (err error) { now, err = m.Store.Now(ctx); return err })
	return now, err
}

// A shelf is a store in which a prune has something to do of each kind: a snapshot to remove, archives of one that was removed long ago, the copy
// of a manifest that is too old, waste, and the mark of a prune of long ago.
type shelf struct {
	*bench
	old, young, gone, fresh tiny
}

func newShelf(t testing.TB) *shelf {
	b := newBench()
	s := &shelf{bench: b}
	b.archive(t, "shared", "own", "gone", "waste", "back")
	s.gone = b.list(t, "shared", "gone")
	b.pass(hour)
	s.old = b.list(t, "shared", "own")
	must(t, b.PutMark(t.Context(), "long ago", false))
	_, err := prune.Remove(t.Context(), b.Store, b.clock(), s.gone.id)
	must(t, err)
	b.pass(2*publish.Grace + hour)
	b.archive(t, "new")
	s.young = b.list(t, "shared", "new")
	b.pass(hour)
	s.fresh = b.list(t, "shared", "back")
	_, err = prune.Remove(t.Context(), b.Store, b.clock(), s.fresh.id)
	must(t, err)
	b.pass(hour)
	return s
}

// prune is what the command does: it takes a snapshot off the list, and sweeps.
func (s *shelf) prune(ctx context.Context, store layout.Store, run string) error {
	if _, err := prune.Remove(ctx, store, s.clock(), s.old.id); err != nil {
		return err
	}
	_, err := prune.Sweep(ctx, store, prune.Options{Readers: 1, Clock: s.clock(), Run: run})
	return err
}

// check holds the store to what holds at every moment: a snapshot that is listed is whole, and one that was removed less than the grace ago can be
// put back.
func (s *shelf) check(t *testing.T) {
	t.Helper()
	names := []string{"shared", "own", "gone", "waste", "new", "back", "next"}
	there := s.keys(t, names...)
	all := []tiny{s.old, s.young, s.gone, s.fresh}
	for _, snap := range all {
		listed := slices.Contains(there, layout.ManifestKey(snap.id))
		if !listed && !slices.Contains(there, layout.RemovedKey(snap.id)) {
			if snap.id != s.gone.id {
				t.Errorf("%s is neither listed nor among those that were removed", snap.id.Stamp)
			}
			continue
		}
		if !listed && snap.id == s.gone.id { // longer ago than the grace
			continue
		}
		for _, n := range snap.needs {
			if info, err := s.Stat(context.Background(), layout.ArchiveKey(n.SHA256)); err != nil || info.Size != n.Size {
				t.Errorf("%s lacks an archive: %v", snap.id.Stamp, err)
			}
		}
	}
	if !slices.Contains(there, layout.ManifestKey(s.young.id)) {
		t.Error("a snapshot that was to stay is gone")
	}
}

// left returns what is there, but for marks, and archives by their names.
func (s *shelf) left(t *testing.T) string {
	return strings.Join(slices.DeleteFunc(s.keys(t, "shared", "own", "gone", "waste", "new", "back", "next"), func(key string) bool {
		return strings.HasPrefix(key, "pruning/")
	}), "\n")
}

// A prune that is killed between any two of its requests, or of which one fails and the others go on, leaves a store in which everything that is
// listed is whole. A backup right after it is published, for all that it leans on archives that the prune was about to take; and the next prune
// leaves what one that nothing happened to would have left.
func TestPruneKilledAtEachRequest(t *testing.T) {
	clean := newShelf(t)
	must(t, clean.prune(t.Context(), clean.Store, "run"))
	clean.check(t)
	want := clean.left(t)
	if strings.Contains(want, "waste") || strings.Contains(want, "gone") || !strings.Contains(want, "own") {
		t.Fatalf("a prune left\n%s", want)
	}
	attempt := func(t *testing.T, wrap func(remote.Store) remote.Store) (err error) {
		t.Helper()
		s := newShelf(t)
		err = s.prune(t.Context(), layout.Store{Store: wrap(s.Store.Store)}, "run")
		s.check(t)

		next := tinySnapshot(s.time, "shared", "new", "own", "next")
		s.archive(t, "next")
		published := publish.Commit(t.Context(), next.open(t), s.Store, publish.Options{Clock: s.clock()}, func(_ context.Context, list []publish.Need) error {
			for _, name := range []string{"shared", "new", "own", "next"} {
				if slices.Contains(list, need(name)) {
					s.archive(t, name)
				}
			}
			return nil
		})
		must(t, published)
		s.check(t)
		must(t, s.Delete(t.Context(), layout.ManifestKey(next.id)))
		must(t, s.Delete(t.Context(), layout.ArchiveKey(hashOf("next"))))

		must(t, s.prune(t.Context(), s.Store, "second"))
		s.check(t)
		if got := s.left(t); got != want {
			t.Errorf("the next prune left\n%s\nwant\n%s", got, want)
		}
		return err
	}
	t.Run("fails", func(t *testing.T) {
		snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
			return attempt(t, func(s remote.Store) remote.Store { return snaptest.FaultyStore(s, f) })
		})
	})
	for name, after := range map[string]bool{"killed before": false, "killed after": true} {
		t.Run(name, func(t *testing.T) {
			for at := 0; ; at++ {
				m := &mortal{at: at, after: after}
				err := attempt(t, func(s remote.Store) remote.Store { m.Store = s; return m })
				if t.Failed() {
					t.Fatalf("that was at request %d", at)
				}
				if m.count <= at {
					must(t, err)
					t.Logf("killed at each of %d requests", at)
					return
				}
				if last := at == m.count-1 && after; !errors.Is(err, errKilled) && !last {
					t.Fatalf("killed at request %d: %v", at, err)
				}
			}
		})
	}
}

// An undo that is killed between any two of its requests leaves the snapshot listed and whole, or still to be put back.
func TestUndoKilledAtEachRequest(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 0; ; at++ {
			s := newShelf(t)
			must(t, s.prune(t.Context(), s.Store, "run"))
			m := &mortal{Store: s.Store.Store, at: at, after: after}
			dying := layout.Store{Store: m}
			_, err := prune.Undo(t.Context(), dying, s.old.id, []layout.Store{dying}, transfer.Options{Clock: s.clock(), Concurrency: 1})
			s.check(t)
			if err != nil {
				if _, err := s.undo(t, s.old.id, s.Store); err != nil {
					t.Errorf("the next undo: %v", err)
				}
				s.check(t)
			}
			if got := s.left(t); !strings.Contains(got, layout.ManifestKey(s.old.id)) {
				t.Errorf("after an undo there is\n%s", got)
			}
			if t.Failed() {
				t.Fatalf("that was at request %d (after its effect: %v)", at, after)
			}
			if err == nil && m.count <= at {
				t.Logf("killed at each of %d requests", at)
				break
			}
		}
	}
}
