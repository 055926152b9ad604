package remotetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lifeboat/remote"
)

// testConcurrentPut has writers replace an object while it is read: what is read is always one of
// the contents, whole, and never nothing.
func testConcurrentPut(t *testing.T, s remote.Store) {
	const size = 300_000
	var contents [4][]byte
	for i := range contents {
		contents[i] = noise(size+i, byte(i))
	}
	known := func(b []byte) bool {
		return len(b) >= size && len(b) < size+len(contents) && bytes.Equal(b, contents[len(b)-size])
	}
	put(t, s, "dir/key", contents[0])
	var done atomic.Bool
	var writers, readers sync.WaitGroup
	for i := range contents {
		writers.Go(func() {
			for range 5 {
				if err := s.Put(t.Context(), "dir/key", body(contents[i]), remote.PutOptions{}); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				r, err := s.Open(t.Context(), "dir/key", 0, -1)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				b, err := io.ReadAll(r)
				r.Close()
				if err != nil || !known(b) {
					t.Errorf("read %s, %v; want one of the contents", sketch(b), err)
				}
				if l := list(t, s, "dir/"); len(l) != 1 {
					t.Errorf("List = %v, want one object", l)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	b, err := get(t, s, "dir/key", 0, -1)
	if err != nil || !known(b) {
		t.Errorf("at the end: %s, %v", sketch(b), err)
	}
}

// testConcurrentIfAbsent has several create one object. Where that is no lock more than one may
// succeed, but somebody does, and what is there is whole.
func testConcurrentIfAbsent(t *testing.T, s remote.Store) {
	const n = 8
	var won atomic.Int32
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			err := s.Put(t.Context(), "mark", body(noise(10_000, byte(i))), remote.PutOptions{IfAbsent: true})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("Put if absent = %v, want nil or fs.ErrExist", err)
			}
		})
	}
	writers.Wait()
	t.Logf("%d of %d succeeded", won.Load(), n)
	if won.Load() == 0 {
		t.Error("nobody succeeded")
	}
	got, err := get(t, s, "mark", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if bytes.Equal(got, noise(10_000, byte(i))) {
			return
		}
	}
	t.Errorf("the object is %s, which nobody put", sketch(got))
}

// testClock compares Now with ModTime. Nothing is timed: both come from the clock of the store, which
// may count in seconds.
func testClock(t *testing.T, s remote.Store) {
	last := time.Time{}
	for i := range 3 {
		before, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "key", noise(i, 0))
		info, err := s.Stat(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		after, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.ModTime.Before(before.Truncate(time.Second)) {
			t.Errorf("put at %v, before %v, when it was not yet there: Now is ahead", info.ModTime, before)
		}
		if after.Add(2 * time.Second).Before(info.ModTime) {
			t.Errorf("put at %v, after %v, when it was there: Now is behind", info.ModTime, after)
		}
		if info.ModTime.Before(last.Truncate(time.Second)) {
			t.Errorf("put at %v, before the one it replaced, %v", info.ModTime, last)
		}
		last = info.ModTime
		for l, err := range s.List(t.Context(), "key") {
			if err != nil || !l.ModTime.Truncate(time.Second).Equal(info.ModTime.Truncate(time.Second)) {
				t.Errorf("List says %v, %v; Stat says %v", l.ModTime, err, info.ModTime)
			}
		}
	}
}
