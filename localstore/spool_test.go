//go:build unix

package localstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// largest is where archives end in these tests. The spool claims a little more for each.
const largest = 1 << 20

// roomFor is a limit under which n archives can be begun.
func roomFor(n int64) int64 { return n * (largest + largest/16 + 64<<10) }

// put writes an archive of n bytes that begin with a word, and commits it.
func put(t *testing.T, ctx context.Context, s *localstore.Spool, source, word string, n int) (manifest.Hash, error) {
	t.Helper()
	o, err := s.Create(ctx, source)
	if err != nil {
		return manifest.Hash{}, err
	}
	defer o.Discard()
	data := append([]byte(word), bytes.Repeat([]byte{'.'}, n-len(word))...)
	if _, err := o.Write(data); err != nil {
		return manifest.Hash{}, err
	}
	a := &manifest.Archive{SHA256: manifest.HashOf(data), Size: int64(n)}
	return a.SHA256, o.Commit(a)
}

func there(t *testing.T, s *localstore.Store, h manifest.Hash) bool {
	t.Helper()
	_, err := s.Stat(t.Context(), layout.ArchiveKey(h))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// stored returns how many bytes lie in the archives of a store, also in those that are being written.
func stored(t testing.TB, s *localstore.Store) (n int64) {
	filepath.WalkDir(filepath.Join(s.Path(), "archives"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if fi, err := e.Info(); err == nil {
			n += fi.Size()
		}
		return nil
	})
	return n
}

// What every remote has that takes any is let go when there is no room, and not before; who needs room waits until there is such.
func TestSpoolWaitsUntilSomethingIsSent(t *testing.T) {
	store := snaptest.Local(t)
	begins, ends := make(chan bool, 9), make(chan bool, 9)
	s := store.Spool(localstore.SpoolOptions{Max: roomFor(2), Largest: largest, Outlets: 2, Waits: func(w bool) {
		if w {
			begins <- true
		} else {
			ends <- true
		}
	}})
	a, err := put(t, t.Context(), s, "x", "a", largest)
	must(t, err)
	s.Sent(0, a)
	b, err := put(t, t.Context(), s, "x", "b", largest)
	must(t, err)
	s.Sent(1, b)
	if s.Bypassed() || !there(t, store, a) || !there(t, store, b) {
		t.Error("something was let go though there was room, or was not sent to all")
	}
	type result struct {
		h   manifest.Hash
		err error
	}
	third := make(chan result, 1)
	go func() {
		h, err := put(t, t.Context(), s, "x", "c", largest)
		third <- result{h, err}
	}()
	<-begins // it waits
	s.Sent(1, a)
	c := <-third
	must(t, c.err)
	<-ends
	if there(t, store, a) || !there(t, store, b) || !there(t, store, c.h) {
		t.Errorf("a is here: %v; b: %v; c: %v", there(t, store, a), there(t, store, b), there(t, store, c.h))
	}
	if !s.Bypassed() {
		t.Error("it does not know that something was let go")
	}

	// A remote that fails is no longer waited for.
	go func() {
		h, err := put(t, t.Context(), s, "x", "d", largest)
		third <- result{h, err}
	}()
	<-begins
	s.Broken(0, errors.New("remote 0 is down"))
	must(t, (<-third).err)
	if there(t, store, b) {
		t.Error("b is still here, though the one remote that is left has it")
	}

	// When none is left, nothing will leave the spool.
	go func() {
		h, err := put(t, t.Context(), s, "x", "e", largest)
		third <- result{h, err}
	}()
	<-begins
	s.Broken(1, errors.New("remote 1 is down"))
	var full *localstore.FullError
	if e := <-third; !errors.As(e.err, &full) || full.Cause == nil || full.Room != roomFor(2) {
		t.Errorf("with no remote left: %v", e.err)
	}
	must(t, s.Abandon(t.Context()))
	if n := stored(t, store); n != 0 {
		t.Errorf("%d bytes are left after all", n)
	}
}

// A wait ends with its context.
func TestSpoolWaitIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s := snaptest.Local(t).Spool(localstore.SpoolOptions{Max: roomFor(1), Largest: largest, Outlets: 1, Waits: func(w bool) {
		if w {
			cancel(snaptest.ErrFault)
		}
	}})
	_, err := put(t, ctx, s, "x", "a", largest)
	must(t, err)
	if _, err := put(t, ctx, s, "x", "b", largest); !errors.Is(err, snaptest.ErrFault) {
		t.Errorf("err = %v", err)
	}
}

// Without a remote, the room is used to its end, however much each archive may become, and not beyond.
func TestSpoolWithoutRemotes(t *testing.T) {
	store := snaptest.Local(t)
	s := store.Spool(localstore.SpoolOptions{Max: roomFor(1) + 100, Largest: largest})
	var n int64
	for i := range 1000 {
		_, err := put(t, t.Context(), s, "x", fmt.Sprint(i), 100<<10)
		if err == nil {
			n += 100 << 10
			continue
		}
		var full *localstore.FullError
		if !errors.As(err, &full) || full.Cause != nil {
			t.Errorf("err = %v", err)
		}
		break
	}
	if n+100<<10 <= roomFor(1)+100 || n > roomFor(1)+100 || stored(t, store) != n {
		t.Errorf("%d bytes are in a spool of %d (%d on the disk)", n, roomFor(1)+100, stored(t, store))
	}
	snaptest.NoLitter(t, store.Path())
}

// At no moment is more in the spool than it has room for, whoever packs and sends at once, and nothing locks up.
func TestSpoolStaysWithinItsBound(t *testing.T) {
	for _, room := range []int64{1, 2, 3, 5} {
		store := snaptest.Local(t)
		s := store.Spool(localstore.SpoolOptions{Max: roomFor(room), Largest: largest, Outlets: 2})
		var senders, sources sync.WaitGroup
		queue := [2]chan manifest.Hash{make(chan manifest.Hash, 1000), make(chan manifest.Hash, 1000)}
		for i := range queue {
			senders.Go(func() {
				for h := range queue[i] {
					if n := stored(t, store); n > roomFor(room) {
						t.Errorf("%d bytes in a spool of %d", n, roomFor(room))
					}
					s.Sent(i, h)
				}
			})
		}
		for i := range 4 {
			sources.Go(func() {
				name := fmt.Sprint("source", i)
				for k := range 12 {
					h, err := put(t, t.Context(), s, name, fmt.Sprint(name, " ", k), largest-i*1000)
					if err != nil {
						t.Error(err)
						return
					}
					queue[0] <- h
					queue[1] <- h
				}
			})
		}
		sources.Wait()
		close(queue[0])
		close(queue[1])
		senders.Wait()
		if !s.Bypassed() {
			t.Error("all of it is here")
		}
	}
}

// Room that is reserved is there although others wait; what it was not enough for fails instead of waiting.
func TestReserve(t *testing.T) {
	store := snaptest.Local(t)
	s := store.Spool(localstore.SpoolOptions{Max: roomFor(4), Largest: largest, Outlets: 1})
	flushes := 0
	flush := func() error { flushes++; return nil }
	release, err := s.Reserve(t.Context(), "db", 2*largest, flush)
	must(t, err)
	_, err = put(t, t.Context(), s, "other", "a", largest)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 2 {
		if _, err := put(t, ctx, s, "db", fmt.Sprint("db ", i), largest); err != nil {
			t.Fatal(err)
		}
	}
	release()
	release()
	if flushes != 0 {
		t.Errorf("it waited")
	}
	var full *localstore.FullError
	if _, err := s.Reserve(t.Context(), "db", 5*largest, flush); !errors.As(err, &full) || full.Need < 5*largest {
		t.Errorf("Reserve of more than there is = %v", err)
	}
	// Nothing is sent, so nothing leaves; and who reads a database under which nobody can commit must not wait.
	release, err = s.Reserve(t.Context(), "small", 10, flush)
	must(t, err)
	defer release()
	for i := 0; err == nil && i < 10; i++ {
		_, err = put(t, t.Context(), s, "small", fmt.Sprint("small ", i), largest)
	}
	if !errors.As(err, &full) {
		t.Errorf("a database that was given too little room: %v", err)
	}
}

// Several databases get room before the first of them is read: nobody would give any back.
func TestReserveBeforeAnythingBegan(t *testing.T) {
	s := snaptest.Local(t).Spool(localstore.SpoolOptions{Max: roomFor(4), Largest: largest, Outlets: 1})
	_, err := s.Reserve(t.Context(), "a", 3*largest, func() error { return nil })
	must(t, err)
	var full *localstore.FullError
	if _, err := s.Reserve(t.Context(), "b", 2*largest, func() error { return nil }); !errors.As(err, &full) || full.Need < 5*largest {
		t.Errorf("err = %v", err)
	}
}

// An archive that a snapshot in the store needs does not leave, though the new one has the same.
func TestSpoolKeepsWhatOthersNeed(t *testing.T) {
	store, ids := history(t, 2)
	before := snaptest.ValidateAll(t, store.Store)
	s := store.Spool(localstore.SpoolOptions{Max: roomFor(1), Largest: largest, Outlets: 1})
	for a, err := range store.ListArchives(t.Context()) {
		must(t, err)
		data, err := os.ReadFile(filepath.Join(store.Path(), layout.ArchiveKey(a.SHA256)))
		must(t, err)
		o, err := s.Create(t.Context(), "x")
		must(t, err)
		_, err = o.Write(data)
		must(t, err)
		must(t, o.Commit(&manifest.Archive{SHA256: a.SHA256, Size: a.Size}))
		s.Sent(0, a.SHA256)
	}
	for i := range 3 {
		h, err := put(t, t.Context(), s, "x", fmt.Sprint(i), largest)
		must(t, err)
		s.Sent(0, h)
	}
	must(t, s.Abandon(t.Context()))
	if after := snaptest.ValidateAll(t, store.Store); len(after) != len(before) || len(after) != len(ids) {
		t.Errorf("%d snapshots of %d are left", len(after), len(before))
	}
}
