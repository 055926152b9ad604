package remotetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"

	"lifeboat/remote"
)

func testAbsent(t *testing.T, s remote.Store) {
	checkAbsent(t, s, "no")
	checkAbsent(t, s, "no/such/object")
	put(t, s, "a/b", []byte("x"))
	checkAbsent(t, s, "a/c")
	_, err := s.Stat(t.Context(), "a") // a directory at most
	wantAbsent(t, "Stat of a key's parent", err)
	_, err = get(t, s, "a", 0, -1)
	wantAbsent(t, "Open of a key's parent", err)
	_, err = s.Stat(t.Context(), "a/b/c")
	wantAbsent(t, "Stat below an object", err)
}

func testContent(t *testing.T, s remote.Store) {
	for key, data := range map[string][]byte{
		"empty":       {},
		"one":         {0},
		"text":        []byte("lifeboat\r\n\x00\xff\n"),
		"large":       noise(5<<20+3, 1),
		"deep/er/one": noise(100, 2),
		"larger":      noise(17<<20+1, 3), // many clients would send this in parts
	} {
		put(t, s, key, data)
		check(t, s, key, data)
	}
}

func testOverwrite(t *testing.T, s remote.Store) {
	for i, n := range []int{1000, 10, 0, 100_000} {
		data := noise(n, byte(i))
		put(t, s, "a/key", data)
		check(t, s, "a/key", data)
	}
	put(t, s, "a/key", noise(100_000, 3)) // the same again
	check(t, s, "a/key", noise(100_000, 3))
}

func testIfAbsent(t *testing.T, s remote.Store) {
	first := []byte("first")
	if err := s.Put(t.Context(), "marks/one", body(first), remote.PutOptions{IfAbsent: true}); err != nil {
		t.Fatalf("Put if absent: %v", err)
	}
	for _, data := range [][]byte{[]byte("second"), first, {}} { // the same content is no excuse
		err := s.Put(t.Context(), "marks/one", body(data), remote.PutOptions{IfAbsent: true})
		if !errors.Is(err, fs.ErrExist) || errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("Put if absent of %q over %q = %v, want fs.ErrExist alone", data, first, err)
		}
		check(t, s, "marks/one", first)
	}
	if err := s.Delete(t.Context(), "marks/one"); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "marks/one", body([]byte("third")), remote.PutOptions{IfAbsent: true}); err != nil {
		t.Errorf("Put if absent after Delete: %v", err)
	}
	check(t, s, "marks/one", []byte("third"))
}

func testDelete(t *testing.T, s remote.Store) {
	put(t, s, "a/one", []byte("1"))
	put(t, s, "a/two", []byte("2"))
	for range 2 {
		if err := s.Delete(t.Context(), "a/one"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		checkAbsent(t, s, "a/one")
	}
	for _, key := range []string{"never", "never/was", "a/two/x", "a"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	check(t, s, "a/two", []byte("2"))
}

func testRanges(t *testing.T, s remote.Store) {
	const size = 3 << 20
	data := noise(size, 7)
	put(t, s, "object", data)
	put(t, s, "empty", nil)
	for _, c := range []struct {
		key    string
		off, n int64
		want   []byte // nil: io.ErrUnexpectedEOF
	}{
		{"object", 0, 1, data[:1]},
		{"object", 0, size, data},
		{"object", 0, -1, data},
		{"object", 0, -7, data},
		{"object", 1, -1, data[1:]},
		{"object", 1 << 20, 1 << 20, data[1<<20 : 2<<20]},
		{"object", size - 1, 1, data[size-1:]},
		{"object", size - 10, -1, data[size-10:]},
		{"object", size, -1, []byte{}},
		{"object", size, 0, []byte{}},
		{"object", 0, 0, []byte{}},
		{"object", 5, 0, []byte{}},
		{"object", 0, size + 1, nil},
		{"object", size - 1, 2, nil},
		{"object", size, 1, nil},
		{"object", size + 1, 0, nil},
		{"object", size + 1, 1, nil},
		{"object", size + 1, -1, nil},
		{"object", 1 << 62, 1 << 62, nil},
		{"empty", 0, -1, []byte{}},
		{"empty", 0, 0, []byte{}},
		{"empty", 0, 1, nil},
		{"empty", 1, -1, nil},
	} {
		got, err := get(t, s, c.key, c.off, c.n)
		if c.want == nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, remote.ErrUnavailable) {
				t.Errorf("Open(%s, %d, %d) = %s, %v; want io.ErrUnexpectedEOF", c.key, c.off, c.n, sketch(got), err)
			}
		} else if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("Open(%s, %d, %d) = %s, %v; want %s", c.key, c.off, c.n, sketch(got), err, sketch(c.want))
		}
	}
	if _, err := get(t, s, "object", -1, 1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Open at -1 = %v, want fs.ErrInvalid", err)
	}
}

func testEarlyClose(t *testing.T, s remote.Store) {
	data := noise(4<<20, 9)
	put(t, s, "object", data)
	for range 20 {
		r, err := s.Open(t.Context(), "object", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 10)
		if _, err := io.ReadFull(r, p); err != nil || !bytes.Equal(p, data[:10]) {
			t.Fatalf("read %q, %v", p, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close before the end: %v", err)
		}
		if n, err := r.Read(p); n != 0 || err == nil || err == io.EOF {
			t.Errorf("Read after Close = %d, %v; want an error", n, err)
		}
	}
	check(t, s, "object", data)
}

func testFalseBody(t *testing.T, s remote.Store) {
	old := []byte("what was there")
	put(t, s, "old", old)
	for _, size := range []int{0, 20, 3 << 20} {
		data := noise(size, 5)
		lie := body(data)
		lie.SHA256[31] ^= 1
		short := body(data)
		short.Size++
		long := body(append(data, 'x'))
		long.Size-- // a prefix of what was hashed
		for name, b := range map[string]remote.Body{"digest": lie, "short": short, "long": long} {
			for _, opts := range []remote.PutOptions{{}, {IfAbsent: true}} {
				err := s.Put(t.Context(), "new", b, opts)
				if !errors.Is(err, remote.ErrMismatch) || errors.Is(err, remote.ErrUnavailable) {
					t.Errorf("Put of a false body (%s, %d bytes, %+v) = %v, want ErrMismatch alone", name, size, opts, err)
				}
				checkAbsent(t, s, "new")
			}
			if err := s.Put(t.Context(), "old", b, remote.PutOptions{}); !errors.Is(err, remote.ErrMismatch) {
				t.Errorf("Put of a false body (%s, %d bytes) = %v, want ErrMismatch", name, size, err)
			}
			check(t, s, "old", old)
		}
	}
	negative := body(nil)
	negative.Size = -1
	if err := s.Put(t.Context(), "new", negative, remote.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Put of -1 bytes = %v, want fs.ErrInvalid", err)
	}
	if l := list(t, s, ""); len(l) != 1 {
		t.Errorf("List = %v, want old alone", l)
	}
}

// breaking is a body that cannot be read beyond a place.
type breaking struct {
	io.ReaderAt
	at    int64
	cause error
}

func (b breaking) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= b.at {
		return b.ReaderAt.ReadAt(p, off)
	}
	return 0, b.cause
}

func testFailingBody(t *testing.T, s remote.Store) {
	cause := errors.New("input/output error")
	for _, at := range []int64{0, 2 << 20} {
		b := body(noise(4<<20, 5))
		b.ReaderAt = breaking{b.ReaderAt, at, cause}
		err := s.Put(t.Context(), "new", b, remote.PutOptions{})
		if !errors.Is(err, cause) || errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("Put of a body that fails at %d = %v, want its error, and not as the store's", at, err)
		}
		checkAbsent(t, s, "new")
	}
}

func testCancelled(t *testing.T, s remote.Store) {
	data := noise(8<<20, 4)
	put(t, s, "object", data)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on after cancel = %d bytes, %v; want context.Canceled", n, err)
	}
	for name, call := range map[string]func() error{
		"Put": func() error { return s.Put(ctx, "new", body(data), remote.PutOptions{}) },
		"Put if absent": func() error {
			return s.Put(ctx, "new", body(data), remote.PutOptions{IfAbsent: true})
		},
		"Open":   func() error { _, err := s.Open(ctx, "object", 0, -1); return err },
		"Stat":   func() error { _, err := s.Stat(ctx, "object"); return err },
		"Delete": func() error { return s.Delete(ctx, "object") },
		"List": func() (err error) {
			for _, err = range s.List(ctx, "") {
			}
			return err
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) || errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("%s after cancel = %v, want context.Canceled alone", name, err)
		}
	}
	checkAbsent(t, s, "new")
	check(t, s, "object", data)
}
