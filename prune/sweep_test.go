package prune_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/remote"
	"lifeboat/transfer"
)

func (b *bench) sweep(t testing.TB, change func(*prune.Options)) prune.Result {
	t.Helper()
	opts := prune.Options{Clock: b.clock(), Run: "run"}
	if change != nil {
		change(&opts)
	}
	res, err := prune.Sweep(t.Context(), b.Store, opts)
	must(t, err)
	return res
}

func dry(o *prune.Options) { o.DryRun = true }

func amount(names ...string) (a prune.Amount) {
	for _, name := range names {
		a.Archives++
		a.Bytes += int64(len(content(name)))
	}
	return a
}

const hour = time.Hour

// From the removal of a snapshot to the last that is left of it, step by step.
func TestLifeOfWhatWasRemoved(t *testing.T) {
	b := newBench()
	b.archive(t, "shared", "own")
	old := b.list(t, "shared", "own")
	b.pass(hour)
	b.archive(t, "new")
	young := b.list(t, "shared", "new")
	b.pass(100 * hour)
	if res := b.sweep(t, nil); res.Kept != amount("shared", "own", "new") || res.Freed.Archives+res.Later.Archives != 0 || !res.LaterAt.IsZero() {
		t.Errorf("before anything is removed: %+v", res)
	}
	if got := b.keys(t); len(got) != 5 {
		t.Errorf("a sweep of nothing left %q", got)
	}

	r, err := prune.Remove(t.Context(), b.Store, b.clock(), old.id, old.id)
	must(t, err)
	if !slices.Equal(r.Removed, []manifest.ID{old.id}) || !slices.Equal(r.Absent, []manifest.ID{old.id}) || len(r.Refused) > 0 {
		t.Errorf("Remove = %+v", r)
	}
	at := b.time
	b.pass(publish.Grace)
	res := b.sweep(t, nil)
	if res.Later != amount("own") || !res.LaterAt.Equal(at.Add(publish.Grace)) || res.Kept != amount("shared", "new") || res.Freed.Archives != 0 {
		t.Errorf("as long as it can be brought back: %+v", res)
	}

	b.pass(time.Second)
	before := b.keys(t)
	plan := b.sweep(t, dry)
	if after := b.keys(t); !slices.Equal(before, after) {
		t.Errorf("a dry run changed %q to %q", before, after)
	}
	res = b.sweep(t, nil)
	if res.Freed != amount("own") || res.Kept != amount("shared", "new") || res.Later.Archives != 0 || res.Forgotten != 0 {
		t.Errorf("after the grace: %+v", res)
	}
	if plan.Freed != res.Freed || plan.Kept != res.Kept {
		t.Errorf("the dry run said %+v, and then it was %+v", plan, res)
	}

	b.pass(publish.Grace + hour)
	plan = b.sweep(t, dry)
	if res = b.sweep(t, nil); res.Forgotten != 1 || plan.Forgotten != 1 {
		t.Errorf("after twice the grace: %+v, and the plan was %+v", res, plan)
	}
	want := []string{layout.ManifestKey(young.id), "pruning/run"}
	got := slices.DeleteFunc(b.keys(t), func(k string) bool { return strings.HasPrefix(k, "archives/") })
	if !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// What nobody names goes when it is old enough, and not before: a snapshot that needs it may be on its way.
func TestWasteIsKeptForTheGrace(t *testing.T) {
	b := newBench()
	b.archive(t, "waste")
	b.pass(publish.Grace)
	if res := b.sweep(t, nil); res.Later != amount("waste") || !res.LaterAt.Equal(b.time) {
		t.Errorf("%+v", res)
	}
	b.pass(time.Second)
	if res := b.sweep(t, nil); res.Freed != amount("waste") {
		t.Errorf("%+v", res)
	}
	if got := b.keys(t); !slices.Equal(got, []string{"pruning/run"}) {
		t.Errorf("%q", got)
	}
	if marks, err := b.Marks(t.Context()); err != nil || len(marks) != 1 || !marks[0].Ended {
		t.Errorf("marks %+v (%v)", marks, err)
	}
	b.archive(t, "other waste")
	b.pass(publish.Grace + time.Second)
	b.sweep(t, func(o *prune.Options) { o.Run = "second" })
	if got := b.keys(t); !slices.Equal(got, []string{"pruning/second"}) {
		t.Errorf("marks of long ago stay: %q", got)
	}
}

// As long as it is not known what some snapshot needs, nothing is removed.
func TestUnreadableManifests(t *testing.T) {
	for name, removed := range map[string]bool{"listed": false, "removed": true} {
		b := newBench()
		b.archive(t, "needed", "waste")
		s := b.list(t, "needed")
		key := layout.ManifestKey(s.id)
		b.pass(publish.Grace + hour)
		if removed {
			_, err := prune.Remove(t.Context(), b.Store, b.clock(), s.id)
			must(t, err)
			key = layout.RemovedKey(s.id)
		}
		must(t, b.PutSmall(t.Context(), key, []byte("damaged"), remote.PutOptions{}))
		for _, d := range []bool{false, true} {
			res := b.sweep(t, func(o *prune.Options) { o.DryRun = d })
			if !res.Blocked() || res.Freed.Archives != 0 || len(res.Unreadable) != 1 || res.Unreadable[0].ID != s.id || res.Unreadable[0].Removed != removed || res.Unreadable[0].Err == nil {
				t.Errorf("%s: %+v", name, res)
			}
		}
		if got := b.keys(t); len(got) != 3 {
			t.Errorf("%s: left are %q", name, got)
		}
		elsewhere := newBench()
		must(t, elsewhere.PutSmall(t.Context(), layout.ManifestKey(s.id), s.stored, remote.PutOptions{}))
		res := b.sweep(t, func(o *prune.Options) { o.DryRun, o.Near = true, []layout.Store{elsewhere.Store} })
		if res.Blocked() || res.Freed != amount("waste") {
			t.Errorf("%s, when another place has the manifest: %+v", name, res)
		}
		res = b.sweep(t, func(o *prune.Options) { o.DropUnreadable = []manifest.ID{s.id} })
		if res.Blocked() || res.Freed != amount("needed", "waste") {
			t.Errorf("%s, given up: %+v", name, res)
		}
	}
}

// To give up a snapshot that can be read does nothing.
func TestDropOfWhatCanBeRead(t *testing.T) {
	b := newBench()
	b.archive(t, "needed", "waste")
	s := b.list(t, "needed")
	b.pass(publish.Grace + hour)
	res := b.sweep(t, func(o *prune.Options) { o.DropUnreadable = []manifest.ID{s.id} })
	if res.Freed != amount("waste") || res.Kept != amount("needed") {
		t.Errorf("%+v", res)
	}
}

// stubborn is a store that answers a DELETE as err says.
type stubborn struct {
	remote.Store
	err func(key string) error
}

func (s stubborn) Delete(ctx context.Context, key string) error {
	if err := s.err(key); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

var errRefused = fmt.Errorf("it is locked until next year: %w: %w", remote.ErrUnavailable, fs.ErrPermission)

// What a store will not let go is said, and the rest goes.
func TestRefusals(t *testing.T) {
	b := newBench()
	b.archive(t, "locked", "free")
	b.archive(t, "kept")
	s := b.list(t, "kept")
	b.pass(publish.Grace + hour)
	key := layout.ArchiveKey(hashOf("locked"))
	refusing := layout.Store{Store: stubborn{b.Store, func(k string) error {
		if k == key || strings.HasPrefix(k, "manifests/") {
			return errRefused
		}
		return nil
	}}}
	res, err := prune.Sweep(t.Context(), refusing, prune.Options{Clock: b.clock()})
	must(t, err)
	if res.Freed != amount("free") || res.Locked != amount("locked") || len(res.Refused) != 1 || res.Refused[0].Key != key || !errors.Is(res.Refused[0].Err, errRefused) {
		t.Errorf("%+v", res)
	}
	if marks, err := b.Marks(t.Context()); err != nil || len(marks) != 1 || !marks[0].Ended {
		t.Errorf("marks %+v (%v)", marks, err)
	}
	r, err := prune.Remove(t.Context(), refusing, b.clock(), s.id)
	must(t, err)
	if len(r.Removed) != 0 || len(r.Refused) != 1 || r.Refused[0].Key != layout.ManifestKey(s.id) {
		t.Errorf("Remove = %+v", r)
	}
}

// A store that refuses everything is not asked a thousand times.
func TestRefusalOfAll(t *testing.T) {
	b := newBench()
	for i := range 250 {
		b.archive(t, fmt.Sprint(i))
	}
	b.pass(publish.Grace + hour)
	asked := 0
	refusing := layout.Store{Store: stubborn{b.Store, func(string) error { asked++; return errRefused }}}
	res, err := prune.Sweep(t.Context(), refusing, prune.Options{Clock: b.clock()})
	must(t, err)
	if asked != 100 || res.Locked.Archives != 250 || len(res.Refused) != 100 || res.Freed.Archives != 0 {
		t.Errorf("asked %d times: %+v", asked, res)
	}
}

// reading is asked before each manifest of the store is read.
type reading struct {
	remote.Store
	before func(key string) error
}

func (r reading) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if strings.Contains(key, ".json") {
		if err := r.before(key); err != nil {
			return nil, err
		}
	}
	return r.Store.Open(ctx, key, off, n)
}

// However many manifests are read at once, the same is found: what each needs, listed or removed, and which cannot be read.
func TestReadersAgree(t *testing.T) {
	b := newBench()
	names := []string{"waste"}
	var drop []manifest.ID
	for i := range 60 {
		name := fmt.Sprint("of ", i)
		names = append(names, name)
		b.archive(t, name)
		b.pass(time.Minute)
		s := b.list(t, name, names[max(0, i-7)])
		switch {
		case i%11 == 5:
			must(t, b.PutSmall(t.Context(), layout.ManifestKey(s.id), []byte("damaged"), remote.PutOptions{}))
			drop = append(drop, s.id)
		case i%3 == 0:
			_, err := prune.Remove(t.Context(), b.Store, b.clock(), s.id)
			must(t, err)
		}
	}
	b.archive(t, "waste")
	b.pass(publish.Grace - 30*time.Minute) // and so some of those that were removed are forgiven, and some are not
	var want prune.Result
	for _, readers := range []int{1, 2, 7, 100} {
		var under, most atomic.Int64
		slow := layout.Store{Store: reading{b.Store, func(string) error {
			n := under.Add(1)
			defer under.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			runtime.Gosched()
			return nil
		}}}
		got, err := prune.Sweep(t.Context(), slow, prune.Options{Clock: b.clock(), DryRun: true, Readers: readers, DropUnreadable: drop})
		must(t, err)
		if most.Load() > int64(readers) {
			t.Errorf("%d manifests were read at once, not %d", most.Load(), readers)
		}
		for i := range got.Unreadable {
			got.Unreadable[i].Err = nil
		}
		if readers == 1 {
			want = got
			if want.Kept.Archives == 0 || want.Later.Archives == 0 || want.Freed.Archives == 0 || len(want.Unreadable) != len(drop) {
				t.Fatalf("the test finds too little: %+v", want)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d readers find %+v, not %+v", readers, got, want)
		}
	}
}

// A manifest that nobody answers for ends a sweep before it removes anything, wherever it stands among those that are read at once, and
// is not taken for one that cannot be read.
func TestReadersAreNotAnswered(t *testing.T) {
	b := newBench()
	b.archive(t, "waste", "needed")
	var keys []string
	for range 20 {
		b.pass(time.Minute)
		keys = append(keys, layout.ManifestKey(b.list(t, "needed").id))
	}
	b.pass(publish.Grace + hour)
	lost := fmt.Errorf("connection reset: %w", remote.ErrUnavailable)
	for _, key := range keys {
		down := layout.Store{Store: reading{b.Store, func(asked string) error {
			if asked == key {
				return lost
			}
			return nil
		}}}
		res, err := prune.Sweep(t.Context(), down, prune.Options{Clock: b.clock(), Readers: 4})
		if !errors.Is(err, lost) || len(res.Unreadable) > 0 || res.Freed.Archives > 0 {
			t.Errorf("%+v, %v", res, err)
		}
	}
	if got := b.keys(t, "waste", "needed"); len(got) != 22 {
		t.Errorf("it left %q", got)
	}
}

// A failure is an error, and writers are kept waiting, since what was asked for may still happen.
func TestLostAnswer(t *testing.T) {
	b := newBench()
	b.archive(t, "a", "b")
	b.pass(publish.Grace + hour)
	lost := fmt.Errorf("connection reset: %w", remote.ErrUnavailable)
	failing := layout.Store{Store: stubborn{b.Store, func(string) error { return lost }}}
	res, err := prune.Sweep(t.Context(), failing, prune.Options{Clock: b.clock()})
	if !errors.Is(err, lost) || res.Freed.Archives != 0 || res.Later.Archives != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if marks, err := b.Marks(t.Context()); err != nil || len(marks) != 1 || marks[0].Ended {
		t.Errorf("marks %+v (%v)", marks, err)
	}
}

// When the time of a round is over, the store is marked and looked at anew.
func TestSweepInRounds(t *testing.T) {
	b := newBench()
	names := strings.Split("a b c d e f", " ")
	b.archive(t, names...)
	b.archive(t, "saved")
	b.pass(publish.Grace + hour)
	n := 0
	slow := layout.Store{Store: stubborn{b.Store, func(string) error {
		if n++; n%2 == 0 {
			b.pass(publish.Window + time.Second) // such as a suspended machine
		}
		if n == 2 {
			b.archive(t, "saved") // a writer has it again
		}
		return nil
	}}}
	first := hashOf("saved") // must not be among the first two
	less := 0
	for _, name := range names {
		if strings.Compare(hashOf(name).String(), first.String()) < 0 {
			less++
		}
	}
	if less < 2 {
		t.Fatal("the test needs other names")
	}
	marks := 0
	counting := layout.Store{Store: putting{slow.Store, func(key string) {
		if strings.HasPrefix(key, "pruning/") {
			marks++
		}
	}}}
	res, err := prune.Sweep(t.Context(), counting, prune.Options{Clock: b.clock()})
	must(t, err)
	if res.Freed != amount(names...) || res.Later != amount("saved") || marks != 4 { // of three rounds, and the end
		t.Errorf("%+v, marked %d times", res, marks)
	}
}

// putting tells of each PUT.
type putting struct {
	remote.Store
	told func(key string)
}

func (p putting) Put(ctx context.Context, key string, body remote.Body, opts remote.PutOptions) error {
	p.told(key)
	return p.Store.Put(ctx, key, body, opts)
}

// The copy of the manifest is young when the manifest goes, whatever happened in between.
func TestRemoveAfterASuspend(t *testing.T) {
	b := newBench()
	b.archive(t, "a")
	s := b.list(t, "a")
	copies := 0
	slow := layout.Store{Store: putting{b.Store, func(key string) {
		if copies++; copies <= 2 {
			b.pass(publish.Window + time.Second)
		}
	}}}
	r, err := prune.Remove(t.Context(), slow, b.clock(), s.id)
	must(t, err)
	if len(r.Removed) != 1 || copies != 3 {
		t.Errorf("%+v after %d copies", r, copies)
	}
	_, stored, err := b.OfRemoved().Manifest(t.Context(), s.id)
	must(t, err)
	same(t, "the copy", stored, s.stored)
}

func (b *bench) undo(t testing.TB, id manifest.ID, places ...layout.Store) (transfer.Result, error) {
	t.Helper()
	return prune.Undo(t.Context(), b.Store, id, append(places, b.Store), transfer.Options{Clock: b.clock(), Concurrency: 1})
}

// A removed snapshot comes back whole, or not at all.
func TestUndo(t *testing.T) {
	b := newBench()
	b.archive(t, "a", "b")
	s := b.list(t, "a", "b")
	elsewhere := newBench()
	elsewhere.archive(t, "a")
	if _, err := b.undo(t, s.id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of what was never removed: %v", err)
	}
	b.pass(100 * hour)
	_, err := prune.Remove(t.Context(), b.Store, b.clock(), s.id)
	must(t, err)
	b.pass(hour)
	res, err := b.undo(t, s.id)
	must(t, err)
	if res.Archives != 2 { // a prune may be about to take them: only this snapshot named them
		t.Errorf("%+v", res)
	}
	check := func() {
		t.Helper()
		if entries, err := b.Snapshots(t.Context()); err != nil || len(entries) != 1 || entries[0].ID != s.id {
			t.Errorf("listed are %+v (%v)", entries, err)
		}
		for _, name := range []string{"a", "b"} {
			data, err := b.ReadSmall(t.Context(), layout.ArchiveKey(hashOf(name)), 100)
			must(t, err)
			same(t, name, data, content(name))
		}
	}
	check()
	if res, err = b.undo(t, s.id); err != nil || res.Archives != 0 {
		t.Errorf("once more: %+v, %v", res, err)
	}

	_, err = prune.Remove(t.Context(), b.Store, b.clock(), s.id)
	must(t, err)
	b.pass(publish.Grace - hour)
	must(t, b.Delete(t.Context(), layout.ArchiveKey(hashOf("a"))))
	if _, err := b.undo(t, s.id); !errors.Is(err, transfer.ErrUnreadable) {
		t.Errorf("without an archive: %v", err)
	}
	if removed, err := b.Removed(t.Context()); err != nil || len(removed) != 1 || !b.time.Add(hour-publish.Grace).Equal(removed[0].ModTime) {
		t.Errorf("what cannot come back is %+v (%v), as if it were removed just now", removed, err)
	}
	if entries, err := b.Snapshots(t.Context()); err != nil || len(entries) != 0 {
		t.Errorf("listed are %+v (%v)", entries, err)
	}
	_, err = b.undo(t, s.id, elsewhere.Store)
	must(t, err)
	check()
}
