package remotetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"lifeboat/remote"
)

func testList(t *testing.T, s remote.Store) {
	// Bytewise order is not the order of a walk through directories: '-' and '.' come before '/'.
	keys := []string{
		"a-b", "a.b", "a/b", "a/b-c", "a/b.d/e", "a/b0", "a0", "ab/c", "archives/1", "archives/2", "archives2/1",
		"b", "manifests/20260101T000000Z-aa", "manifests/20260101T000000Z-bb", "manifests/20260202T000000Z-aa", "z/z/z", "Ä", "é",
	}
	for _, i := range []int{5, 3, 17, 0, 9, 1, 16, 12, 2, 14, 4, 7, 11, 6, 13, 8, 15, 10} {
		put(t, s, keys[i], noise(i, 0))
	}
	if !slices.IsSorted(keys) {
		t.Fatal("the test's keys are not in order")
	}
	for _, prefix := range []string{
		"", "a", "a-", "a/", "a/b", "a/b.", "a/b.d/", "a/b.d/e", "a/b.d/ef", "archives", "archives/", "archives2",
		"manifests/20260101", "manifests/2026", "z/z", "Ä", "no", "no/such/", "b/", "b", "A",
	} {
		var got, want []string
		for _, info := range list(t, s, prefix) {
			got = append(got, info.Key)
			if i := slices.Index(keys, info.Key); info.Size != int64(i) {
				t.Errorf("List(%q) has %+v, want %d bytes", prefix, info, i)
			}
		}
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, got, want)
		}
	}
}

// testListMany lists more than S3 puts into one answer.
func testListMany(t *testing.T, s remote.Store) {
	const n = 1007
	want := make([]string, n)
	var next sync.Mutex
	var workers sync.WaitGroup
	i := 0
	for range 16 {
		workers.Go(func() {
			for {
				next.Lock()
				mine := i
				i++
				next.Unlock()
				if mine >= n || t.Failed() {
					return
				}
				key := fmt.Sprintf("archives/%04d.tar.zst", mine)
				want[mine] = key
				if err := s.Put(t.Context(), key, body(noise(mine%5, 0)), remote.PutOptions{}); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	workers.Wait()
	var got []string
	for _, info := range list(t, s, "archives/") {
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List has %d objects, want %d in order", len(got), n)
	}
}

func testListStops(t *testing.T, s remote.Store) {
	for _, key := range []string{"a", "b/c", "b/d", "e"} {
		put(t, s, key, nil)
	}
	for stop := 1; stop <= 4; stop++ {
		n := 0
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("List stopped after %d, want %d", n, stop)
		}
	}
	seq := s.List(t.Context(), "") // a sequence can be ranged over again, and sees what came since
	put(t, s, "f", nil)
	for want := 5; want <= 6; want++ {
		n := 0
		for range seq {
			n++
		}
		if n != want {
			t.Errorf("List = %d objects, want %d", n, want)
		}
		put(t, s, "g", nil)
	}
}
