package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Whatever the order in which the parts of a file arrive, the front is at the first byte that has not, and nothing is remembered once all have.
func TestParts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var cuts []int64 // where parts begin
		size := int64(0)
		for range 1 + random.IntN(40) {
			cuts = append(cuts, size)
			size += 1 + random.Int64N(5)
		}
		cuts = append(cuts, size)
		there := make([]byte, size+1)
		p := newParts()
		for _, i := range random.Perm(len(cuts) - 1) {
			copy(there[cuts[i]:cuts[i+1]], bytes.Repeat([]byte{1}, int(cuts[i+1]-cuts[i])))
			want := int64(bytes.IndexByte(there, 0))
			if front := p.add(cuts[i], cuts[i+1]-cuts[i]); front != want {
				t.Fatalf("after bytes %d to %d of %v the front is at %d, want %d", cuts[i], cuts[i+1], there, front, want)
			}
		}
		if len(p.begins)+len(p.ends) != 0 {
			t.Fatalf("all has arrived, and these parts are remembered: %v %v", p.begins, p.ends)
		}
	}
}

// laid is a layer that lays down one file of random bytes, which arrives in parts.
func laid(t *testing.T, size int) (l *layer, out *output, data []byte) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	data = make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := io.ReadFull(random, data); err != nil {
		t.Fatal(err)
	}
	f := &manifest.File{Path: "src/file", Type: manifest.Regular, Mode: 0o600, Size: int64(size), SHA256: manifest.HashOf(data), UID: manifest.NoOwner, GID: manifest.NoOwner}
	l = newLayer(nil, root, dir, Options{Owner: OwnerCurrent}, &plan{}, &Result{})
	l.checking, l.checkCtx = errgroup.WithContext(t.Context())
	out = &output{file: f, name: "file"}
	out.left.Store(f.Size)
	if err := l.create(out); err != nil {
		t.Fatal(err)
	}
	return l, out, data
}

// A file that several write to at once, in any order, is proved; and one byte that lies otherwise in it, wherever that is, is found, though
// everything that was to be written was right.
func TestReadBack(t *testing.T) {
	const size, part = 40<<20 + 77, 1 << 20
	for name, flip := range map[string]int64{"whole": -1, "first byte": 0, "in the middle": size / 2, "last byte": size - 1} {
		t.Run(name, func(t *testing.T) {
			l, out, data := laid(t, size)
			var starts []int64
			for at := int64(0); at < size; at += part {
				starts = append(starts, at)
			}
			rand.Shuffle(len(starts), func(i, j int) { starts[i], starts[j] = starts[j], starts[i] })
			var writers errgroup.Group
			writers.SetLimit(4)
			for _, at := range starts {
				writers.Go(func() error {
					w := &writer{root: l.root}
					defer w.close()
					end := min(at+part, size)
					written := bytes.Clone(data[at:end])
					if flip >= at && flip < end {
						written[flip-at] ^= 1
					}
					if err := w.writeAt(out.name, written, at); err != nil {
						return err
					}
					l.arrived(out, at, end-at)
					return nil
				})
			}
			if err := writers.Wait(); err != nil {
				t.Fatal(err)
			}
			err := l.checking.Wait()
			if wrong := errors.Is(err, layout.ErrDigest); wrong != (flip >= 0) || err != nil && !wrong {
				t.Errorf("a byte is wrong: %t; found: %v", flip >= 0, err)
			}
			if out.parts.read.Load() != size {
				t.Errorf("%d bytes of %d were read back", out.parts.read.Load(), size)
			}
		})
	}
}

// A file that is cut short while it is read back is not proved, and a restore that is called off reads no further.
func TestReadBackFails(t *testing.T) {
	const size = 9 << 20
	l, out, data := laid(t, size)
	path := filepath.Join(l.dir, out.name)
	if err := os.WriteFile(path, data[:size-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.readBack(out, size); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that is too short: %v", err)
	}
	l, out, _ = laid(t, size)
	ctx, cancel := context.WithCancel(l.checkCtx)
	l.checkCtx = ctx
	cancel()
	if err := l.verify(out); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

// BenchmarkReadBack is what it costs to prove a file that has just been written.
func BenchmarkReadBack(b *testing.B) {
	const size = 64 << 20
	dir := b.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("some text "), size/10), 0o600); err != nil {
		b.Fatal(err)
	}
	l := newLayer(nil, root, dir, Options{Owner: OwnerCurrent}, &plan{}, &Result{})
	l.checkCtx, l.verifying = b.Context(), true
	b.SetBytes(size)
	for b.Loop() {
		out := &output{file: &manifest.File{Path: "file"}, name: "file", parts: newParts()}
		if err := l.readBack(out, size/10*10); err != nil {
			b.Fatal(err)
		}
	}
}
