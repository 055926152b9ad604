package prune_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/prune"
	"lifeboat/remote"
)

// store puts archives there as a writer does that has their bytes.
func (b *bench) store(t testing.TB, stored *[]publish.Need) func(context.Context, []publish.Need) error {
	return func(_ context.Context, list []publish.Need) error {
		*stored = append(*stored, list...)
		for _, name := range []string{"a", "b", "c"} {
			if slices.Contains(list, need(name)) {
				b.archive(t, name)
			}
		}
		return nil
	}
}

func (b *bench) commit(t testing.TB, s tiny, to layout.Store, opts publish.Options) (again []publish.Need, err error) {
	t.Helper()
	opts.Clock = b.clock()
	err = publish.Commit(t.Context(), s.open(t), to, opts, b.store(t, &again))
	return again, err
}

// listing tells of each listing, when it begins.
type listing struct {
	remote.Store
	told func(prefix string)
}

func (l listing) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		l.told(prefix)
		l.Store.List(ctx, prefix)(yield)
	}
}

// What was sent just now needs two listings, and no manifest of others is read.
func TestCommitCostsTwoListings(t *testing.T) {
	b := newBench()
	b.list(t, "something else")
	b.archive(t, "a", "b")
	s := tinySnapshot(b.time, "a", "b")
	n := 0
	counting := layout.Store{Store: listing{unreadable{b.Store}, func(string) { n++ }}}
	again, err := b.commit(t, s, counting, publish.Options{})
	must(t, err)
	if n != 2 || len(again) != 0 || len(b.slept) != 0 {
		t.Errorf("%d listings, %v stored again, slept %v", n, again, b.slept)
	}
	if _, _, err := b.Manifest(t.Context(), s.id); err != nil {
		t.Error(err)
	}
}

// Who has listed the store just before need not do it again, unless a prune was running then, or it is too long ago, or something is gone.
func TestCommitByALookBefore(t *testing.T) {
	for name, test := range map[string]struct {
		before  func(t *testing.T, b *bench) // the look
		after   func(t *testing.T, b *bench) // before the snapshot is published
		listing int
		again   int
	}{
		"just before":          {listing: 1},
		"within the window":    {after: func(_ *testing.T, b *bench) { b.pass(publish.Window) }, listing: 1},
		"too long ago":         {after: func(_ *testing.T, b *bench) { b.pass(publish.Window + 1) }, listing: 2},
		"while a prune ran":    {before: func(t *testing.T, b *bench) { must(t, b.PutMark(t.Context(), "one", false)) }, listing: 2},
		"just after one ended": {before: func(t *testing.T, b *bench) { must(t, b.PutMark(t.Context(), "one", true)) }, listing: 2},
		"something was gone":   {before: func(t *testing.T, b *bench) { must(t, b.Delete(t.Context(), layout.ArchiveKey(need("b").SHA256))) }, listing: 2, again: 1},
		"something goes":       {after: func(t *testing.T, b *bench) { must(t, b.Delete(t.Context(), layout.ArchiveKey(need("b").SHA256))) }, listing: 3, again: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.archive(t, "a", "b")
			if test.before != nil {
				test.before(t, b)
			}
			s := tinySnapshot(b.time, "a", "b")
			looked, err := publish.LookBy(t.Context(), b.clock(), b.Store)
			must(t, err)
			if test.after != nil {
				test.after(t, b)
			}
			n := 0
			counting := layout.Store{Store: listing{b.Store, func(prefix string) {
				if prefix != "pruning/" { // of who waits for a prune
					n++
				}
			}}}
			again, err := b.commit(t, s, counting, publish.Options{Looked: looked})
			must(t, err)
			if want := test.listing; n != want || len(again) != test.again {
				t.Errorf("%d listings, want %d; stored again: %v", n, want, again)
			}
			if _, _, err := b.Manifest(t.Context(), s.id); err != nil {
				t.Error(err)
			}
			for _, name := range []string{"a", "b"} {
				if _, err := b.Stat(t.Context(), layout.ArchiveKey(need(name).SHA256)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// unreadable is a store of which nothing can be read.
type unreadable struct{ remote.Store }

func (unreadable) Open(context.Context, string, int64, int64) (r io.ReadCloser, err error) {
	return nil, errRefused
}

// What may be leaned on: what is young, or named by a snapshot that is listed. All else is stored again.
func TestLeaning(t *testing.T) {
	b := newBench()
	b.archive(t, "a", "b", "c")
	named := b.list(t, "a")
	gone := b.list(t, "b")
	_, err := prune.Remove(t.Context(), b.Store, b.clock(), gone.id)
	must(t, err)
	half := publish.Grace / 2
	for _, step := range []struct {
		after time.Duration
		want  string // may be leaned on
	}{{half - time.Second, "abc"}, {half, "a"}} {
		b.time = beginning.Add(step.after)
		p, err := publish.Look(t.Context(), b.Store)
		must(t, err)
		got := ""
		for _, name := range []string{"a", "b", "c", "d"} {
			n := need(name)
			ok, err := p.Has(t.Context(), n.SHA256, n.Size)
			must(t, err)
			if ok {
				got += name
			}
			if ok, err := p.Has(t.Context(), n.SHA256, n.Size+1); ok || err != nil {
				t.Errorf("%s of another size: %v, %v", name, ok, err)
			}
		}
		if got != step.want {
			t.Errorf("after %s: %q, want %q", step.after, got, step.want)
		}
		all, err := p.All(t.Context())
		must(t, err)
		if len(all) != len(step.want) {
			t.Errorf("after %s, all are %v", step.after, all)
		}
	}
	s := tinySnapshot(b.time, "a", "b", "c")
	again, err := b.commit(t, s, b.Store, publish.Options{})
	must(t, err)
	if !slices.Equal(again, []publish.Need{need("b"), need("c")}) {
		t.Errorf("stored again: %v", again)
	}

	// A damaged manifest vouches for nothing, unless another place has it.
	b.pass(publish.Grace)
	must(t, b.Delete(t.Context(), layout.ManifestKey(s.id)))
	must(t, b.PutSmall(t.Context(), layout.ManifestKey(named.id), []byte("damaged"), remote.PutOptions{}))
	elsewhere := newBench()
	must(t, elsewhere.PutSmall(t.Context(), layout.ManifestKey(named.id), named.stored, remote.PutOptions{}))
	for want, near := range map[bool][]layout.Store{false: nil, true: {elsewhere.Store}} {
		p, err := publish.Look(t.Context(), b.Store, near...)
		must(t, err)
		if ok, err := p.Has(t.Context(), need("a").SHA256, need("a").Size); ok != want || err != nil {
			t.Errorf("with %d other places: %v, %v", len(near), ok, err)
		}
	}
}

// A writer waits for a prune, says so, and goes on when the prune has ended, or must have.
func TestCommitWaitsForPrune(t *testing.T) {
	for _, ends := range []bool{false, true} {
		b := newBench()
		b.archive(t, "a")
		s := tinySnapshot(b.time, "a")
		must(t, b.PutMark(t.Context(), "one", false))
		b.pass(time.Minute)
		var told []publish.Waiting
		b.wake = func() {
			if ends && b.time.After(beginning.Add(10*time.Minute)) {
				b.wake = nil
				must(t, b.Delete(t.Context(), layout.ArchiveKey(need("a").SHA256)))
				must(t, b.PutMark(t.Context(), "one", true))
			}
		}
		again, err := b.commit(t, s, b.Store, publish.Options{Waiting: func(w publish.Waiting) { told = append(told, w) }})
		must(t, err)
		took := b.time.Sub(beginning)
		if ends && (took > 12*time.Minute || len(again) != 1) || !ends && (took < 2*publish.Window || took > 2*publish.Window+2*time.Minute || len(again) != 0) {
			t.Errorf("ends %v: after %s, stored again %v", ends, took, again)
		}
		if len(told) < 5 || told[0].Since < time.Minute || told[0].Since > 2*time.Minute || told[0].Left < 28*time.Minute || told[0].Left > 30*time.Minute || told[0].Store != "memory:" {
			t.Errorf("ends %v: told %v", ends, told)
		}
		if _, _, err := b.Manifest(t.Context(), s.id); err != nil {
			t.Error(err)
		}
	}
}

// What a prune does between two listings of a writer is not missed.
func TestPruneWithinACommit(t *testing.T) {
	b := newBench()
	b.archive(t, "a")
	s := tinySnapshot(b.time, "a")
	n := 0
	busy := layout.Store{Store: after{b.Store, func(string) {
		if n++; n == 1 { // the archives are listed already, and the marks are not
			must(t, b.PutMark(t.Context(), "one", false))
			must(t, b.Delete(t.Context(), layout.ArchiveKey(need("a").SHA256)))
			must(t, b.PutMark(t.Context(), "one", true))
		}
	}}}
	again, err := b.commit(t, s, busy, publish.Options{})
	must(t, err)
	if len(again) != 1 {
		t.Errorf("stored again: %v", again)
	}
}

// after lists the archives, calls told, and lists the rest.
type after struct {
	remote.Store
	told func(prefix string)
}

func (a after) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		if prefix != "" {
			a.Store.List(ctx, prefix)(yield)
			return
		}
		for _, part := range []string{"archives/", "manifests/", "pruning/", "removed/"} {
			for info, err := range a.Store.List(ctx, part) {
				if !yield(info, err) {
					return
				}
			}
			if part == "archives/" {
				a.told(prefix)
			}
		}
	}
}

// A listing is acted on while it is young. A machine that was suspended lists again.
func TestCommitAfterASuspend(t *testing.T) {
	b := newBench()
	b.archive(t, "a")
	s := tinySnapshot(b.time, "a")
	n := 0
	slow := layout.Store{Store: after{b.Store, func(string) {
		if n++; n <= 2 {
			b.pass(publish.Window + time.Second)
			must(t, b.Delete(t.Context(), layout.ArchiveKey(need("a").SHA256)))
		}
	}}}
	puts := 0
	counting := layout.Store{Store: putting{slow.Store, func(key string) {
		if key == layout.ManifestKey(s.id) {
			puts++
		}
	}}}
	again, err := b.commit(t, s, counting, publish.Options{})
	must(t, err)
	if n != 3 || len(again) != 1 || puts != 1 {
		t.Errorf("%d listings, stored again %v, %d manifests sent", n, again, puts)
	}
}

// What was gone after the manifest was there is an error as long as it cannot be brought back.
func TestCommitListsOnceMore(t *testing.T) {
	b := newBench()
	b.archive(t, "a", "b")
	s := tinySnapshot(b.time, "a", "b")
	taking := layout.Store{Store: putting{b.Store, func(key string) {
		if key == layout.ManifestKey(s.id) {
			must(t, b.Delete(t.Context(), layout.ArchiveKey(need("b").SHA256)))
		}
	}}}
	again, err := b.commit(t, s, taking, publish.Options{})
	if err == nil || len(again) == 0 || again[0] != need("b") {
		t.Errorf("%v, stored again %v", err, again) // the second PUT takes it again
	}
	lost := errors.New("it is nowhere")
	err = publish.Commit(t.Context(), s.open(t), taking, publish.Options{Clock: b.clock()}, func(context.Context, []publish.Need) error { return lost })
	if !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
	again, err = b.commit(t, s, b.Store, publish.Options{})
	if err != nil || len(again) > 1 {
		t.Errorf("%v, stored again %v", err, again)
	}
}

// Elapsed time is what either clock says, and requests are not begun late, also not again.
func TestWithin(t *testing.T) {
	r := func(wall, monotonic time.Duration) publish.Reading {
		return publish.Reading{Wall: beginning.Add(wall), Monotonic: monotonic}
	}
	if got := r(5, 3).Since(r(1, 1)); got != 4 {
		t.Errorf("suspended: %d", got)
	}
	if got := r(-500, 3).Since(r(1, 1)); got != 2 {
		t.Errorf("set back: %d", got)
	}
	if got := (publish.System{}).Now().Since(publish.System{}.Now()); got > 0 {
		t.Errorf("the past is %s ahead", got)
	}
	b := newBench()
	began := b.clock().Now()
	b.pass(publish.Window)
	calls := 0
	call := func(context.Context) error { calls++; return nil }
	if open, err := publish.Within(t.Context(), b.clock(), began, call); open || err != nil || calls != 1 {
		t.Errorf("in time: %v, %v, %d calls", open, err, calls)
	}
	failed := errors.New("failed")
	if open, err := publish.Within(t.Context(), b.clock(), began, func(context.Context) error { return failed }); !open || !errors.Is(err, failed) {
		t.Errorf("a failure: %v, %v", open, err)
	}
	if open, err := publish.Within(t.Context(), b.clock(), began, func(context.Context) error { return errRefused }); open || !errors.Is(err, errRefused) {
		t.Errorf("a refusal: %v, %v", open, err)
	}
	b.pass(1)
	if open, err := publish.Within(t.Context(), b.clock(), began, call); open || !errors.Is(err, publish.ErrLate) || calls != 1 {
		t.Errorf("too late: %v, %v, %d calls", open, err, calls)
	}
}
