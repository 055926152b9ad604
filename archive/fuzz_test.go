package archive_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// FuzzReader reads bytes as an archive, as described by somebody who may lie: how long it is, how long its frames are, where the index is, and
// which ranges are wanted. Whatever comes, it is an error, or each range has its length, and both ways to read agree.
func FuzzReader(f *testing.F) {
	store := newMemory(f)
	_, archives := pack(f, store, 3, 3, 32<<20)
	stored := store.m[archives[0].SHA256]
	if len(stored) > 64<<10 {
		stored = stored[:64<<10]
	}
	f.Add(stored, int64(1<<20), int64(0), int64(0), []byte{1, 2, 3, 4})
	for _, tt := range []struct {
		content []byte
		length  int64
	}{{[]byte("some content"), 12}, {make([]byte, 3000), 3000}, {bytes.Repeat([]byte("ab"), 4000), 1 << 20}} {
		store := newMemory(f)
		_, archives := packOne(f, store, tt.content)
		a := archives[0]
		f.Add(store.m[a.SHA256], a.Length, a.Index.Off, a.Index.Len, []byte{0, 0, 0, 9, 2, 1})
		f.Add(store.m[a.SHA256], tt.length, int64(0), tt.length, []byte{0, 0, 200, 200})
	}
	f.Fuzz(func(t *testing.T, stored []byte, length, indexOff, indexLen int64, ranges []byte) {
		a := &manifest.Archive{SHA256: manifest.HashOf(stored), Size: int64(len(stored)), Length: length, Index: manifest.Index{Off: indexOff, Len: indexLen}}
		if length < 1 || length > 8<<20 || len(stored) > 1<<20 {
			return
		}
		frames := (length + manifest.FrameSize - 1) / manifest.FrameSize
		for i := range frames { // of about the same size, which the fuzzer need not find out
			a.Frames = append(a.Frames, int64(len(stored))*(i+1)/frames-int64(len(stored))*i/frames)
		}
		if a.Check() != nil {
			return
		}
		s := newMemory(t)
		s.m[a.SHA256] = stored
		var wanted []archive.Range
		off := int64(0)
		for i := 0; i+1 < len(ranges) && i < 64; i += 2 {
			off += int64(ranges[i]) << (i % 16)
			wanted = append(wanted, archive.Range{Off: off, Len: int64(ranges[i+1]) << (i % 12)})
		}
		r := reader(t, s)
		read := func(into map[int][]byte) func(int, []byte) error {
			return func(i int, data []byte) error {
				if int64(len(data)) != wanted[i].Len {
					t.Fatalf("%d bytes for the range %+v", len(data), wanted[i])
				}
				into[i] = bytes.Clone(data)
				return nil
			}
		}
		one, two := map[int][]byte{}, map[int][]byte{}
		err := r.Read(t.Context(), a, wanted, read(one))
		verifyErr := r.Verify(t.Context(), s, a, wanted, read(two))
		for _, err := range []error{err, verifyErr} {
			if err != nil && !errors.As(err, new(*archive.DamageError)) && !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("neither damage nor invalid: %v", err)
			}
		}
		if verifyErr == nil && err != nil {
			t.Fatalf("what is verified cannot be read: %v", err)
		}
		for i, data := range two {
			if other, ok := one[i]; ok && !bytes.Equal(data, other) {
				t.Fatalf("range %+v is not the same both ways", wanted[i])
			}
		}
	})
}

// packOne makes an archive of one segment.
func packOne(t testing.TB, store *memory, content []byte) (archive.Place, []*manifest.Archive) {
	t.Helper()
	pool, err := archive.NewPool(archive.PoolOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := archive.NewWriter(t.Context(), pool, archive.Options{Create: func(context.Context) (archive.Object, error) { return &object{s: store}, nil }})
	at, err := w.Add(archive.Segment{Name: "one", Data: content, Chunk: len(content), Sums: []archive.ChunkSum{archive.SumOf(content)}})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return at, w.Archives()
}

// One reading verifies an archive and gives ranges of it: the same bytes that Read gives, whatever the ranges are.
func TestVerifyGivesRanges(t *testing.T) {
	store := newMemory(t)
	_, archives := pack(t, store, 21, 60, 6<<20)
	random := rand.New(rand.NewPCG(5, 6))
	r := reader(t, store)
	if len(archives) < 2 || len(archives[0].Frames) < 5 {
		t.Fatalf("%d archives, the first of %d frames: too small to mean anything", len(archives), len(archives[0].Frames))
	}
	for _, a := range archives {
		var ranges []archive.Range
		off := int64(0)
		for off < a.Length {
			n := min(1+random.Int64N(manifest.MaxExtent), a.Length-off)
			ranges = append(ranges, archive.Range{Off: off, Len: n}, archive.Range{Off: off, Len: 1})
			off += random.Int64N(2 << 20)
		}
		ranges = append(ranges, archive.Range{Off: a.Length, Len: 0})
		want := [][]byte{}
		collect := func(into *[][]byte) func(int, []byte) error {
			return func(i int, data []byte) error {
				if i != len(*into) {
					t.Fatalf("range %d comes after %d", i, len(*into))
				}
				*into = append(*into, bytes.Clone(data))
				return nil
			}
		}
		if err := r.Read(t.Context(), a, ranges, collect(&want)); err != nil {
			t.Fatal(err)
		}
		got := [][]byte{}
		if err := r.Verify(t.Context(), store, a, ranges, collect(&got)); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(ranges) || len(want) != len(ranges) {
			t.Fatalf("%d and %d of %d ranges", len(want), len(got), len(ranges))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("range %+v is not the same", ranges[i])
			}
		}
		stop := errors.New("enough")
		if err := r.Verify(t.Context(), store, a, ranges, func(int, []byte) error { return stop }); err != stop {
			t.Errorf("fn's error became %v", err)
		}
		outside := []archive.Range{{Off: a.Length, Len: 1}}
		if err := r.Verify(t.Context(), store, a, outside, nil); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("a range outside: %v", err)
		}
	}
}
