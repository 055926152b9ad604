// Package remotetest holds every implementation of remote.Store to its contract. The test of an
// implementation is one call:
//
//	remotetest.Test(t, func(t *testing.T) remote.Store { return remote.NewMemory(nil) })
package remotetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"lifeboat/remote"
)

// Test runs the suite. It calls empty for each part, and wants a store without objects from it, that
// nobody else uses; what it stores there it leaves there.
func Test(t *testing.T, empty func(t *testing.T) remote.Store) {
	for _, p := range parts() {
		t.Run(p.name, func(t *testing.T) { p.run(t, empty(t)) })
	}
}

type part struct {
	name string
	run  func(t *testing.T, s remote.Store)
}

func parts() []part {
	return []part{
		{"Absent", testAbsent},
		{"Content", testContent},
		{"Overwrite", testOverwrite},
		{"IfAbsent", testIfAbsent},
		{"Delete", testDelete},
		{"Ranges", testRanges},
		{"EarlyClose", testEarlyClose},
		{"Keys", testKeys},
		{"InvalidKeys", testInvalidKeys},
		{"FalseBody", testFalseBody},
		{"FailingBody", testFailingBody},
		{"Cancelled", testCancelled},
		{"List", testList},
		{"ListMany", testListMany},
		{"ListStops", testListStops},
		{"Clock", testClock},
		{"ConcurrentPut", testConcurrentPut},
		{"ConcurrentIfAbsent", testConcurrentIfAbsent},
		{"String", testString},
	}
}

// body returns the honest Body of data.
func body(data []byte) remote.Body {
	return remote.Body{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// noise returns n bytes that do not compress, the same for the same seed.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func put(t *testing.T, s remote.Store, key string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, body(data), remote.PutOptions{}); err != nil {
		t.Fatalf("Put(%q, %d bytes): %v", key, len(data), err)
	}
}

// get reads a range of an object and closes it.
func get(t *testing.T, s remote.Store, key string, off, n int64) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), key, off, n)
	if err != nil {
		if r != nil {
			t.Errorf("Open(%q) = a reader and %v", key, err)
		}
		return nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close of %q: %v", key, err)
		}
	}()
	return io.ReadAll(r)
}

// check wants data under key, in Open, Stat and List.
func check(t *testing.T, s remote.Store, key string, data []byte) {
	t.Helper()
	got, err := get(t, s, key, 0, -1)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open(%q) = %s, %v; want %s", key, sketch(got), err, sketch(data))
	}
	info, err := s.Stat(t.Context(), key)
	if err != nil || info.Key != key || info.Size != int64(len(data)) || info.ModTime.IsZero() {
		t.Errorf("Stat(%q) = %+v, %v; want %d bytes", key, info, err, len(data))
	}
	found := 0
	for _, info := range list(t, s, key) {
		if info.Key == key {
			found++
			if info.Size != int64(len(data)) || info.ModTime.IsZero() {
				t.Errorf("List has %+v, want %d bytes", info, len(data))
			}
		}
	}
	if found != 1 {
		t.Errorf("List(%q) has the key %d times, want once", key, found)
	}
}

// checkAbsent wants nothing under key, in Open, Stat and List.
func checkAbsent(t *testing.T, s remote.Store, key string) {
	t.Helper()
	for _, n := range []int64{-1, 0, 1} {
		_, err := get(t, s, key, 0, n)
		wantAbsent(t, fmt.Sprintf("Open(%q, 0, %d)", key, n), err)
	}
	_, err := s.Stat(t.Context(), key)
	wantAbsent(t, fmt.Sprintf("Stat(%q)", key), err)
	if l := list(t, s, key); len(l) != 0 {
		t.Errorf("List(%q) = %v, want nothing", key, l)
	}
}

func wantAbsent(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("%s = %v, want fs.ErrNotExist alone", what, err)
	}
}

func list(t *testing.T, s remote.Store, prefix string) []remote.Info {
	t.Helper()
	var l []remote.Info
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		l = append(l, info)
	}
	return l
}

func sketch(b []byte) string { return fmt.Sprintf("%d bytes %.16q", len(b), b) }
