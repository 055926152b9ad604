package manifest_test

import (
	"fmt"
	"iter"
	"runtime"
	"testing"

	"lifeboat/manifest"
)

// A table of a million lines is written and read in the memory of a few pieces. The table itself is in no memory and on no
// disk: the pieces that the reader asks for are written again while it reads.
func TestMemoryIsFlat(t *testing.T) {
	lines, bound := 1_000_000/slow, int64(24<<20)
	if testing.Short() {
		lines = 100_000
	}
	h := newHead()
	root := describe(hashOf("root", 0), manifest.MaxArchive)
	h.Roots = []manifest.Archive{root}
	base := liveHeap()
	check := func(i int, doing string) {
		if i%(lines/10) != 0 {
			return
		}
		if live := liveHeap() - base; live > bound {
			t.Fatalf("%d bytes live after %s %d lines, want at most %d", live, doing, i, bound)
		}
	}

	off := int64(0)
	n := 0
	for p := range piecesOfLines(t, lines) {
		if p.err != nil {
			t.Fatal(p.err)
		}
		h.Files.Pieces = append(h.Files.Pieces, manifest.PieceRef{First: p.first, Off: off, Len: int64(len(p.data)), SHA256: manifest.HashOf(p.data)})
		off += int64(len(p.data))
		h.Files.Count, h.Files.Bytes = p.count, p.bytes
		if n++; n%200 == 0 {
			check(0, "writing")
		}
	}
	h.Sources = []manifest.Source{{Name: "data", Type: manifest.DirectorySource, Root: "/srv/data", Consistency: manifest.Stable,
		Files: h.Files.Count, Bytes: h.Files.Bytes}}

	next, stop := iter.Pull(piecesOfLines(t, lines))
	defer stop()
	i := 0
	for _, err := range h.AllFiles(func(manifest.Hash, int64, int64) ([]byte, error) {
		p, ok := next()
		if !ok {
			return nil, fmt.Errorf("no more pieces")
		}
		return p.data, p.err
	}) {
		if err != nil {
			t.Fatal(err)
		}
		i++
		check(i, "reading")
	}
	if i != lines {
		t.Errorf("%d lines read, want %d", i, lines)
	}
}

// liveHeap returns how much of the heap is in use after what is not was freed.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

type writtenPiece struct {
	first        string
	data         []byte
	count, bytes int64 // of the table so far
	err          error
}

// piecesOfLines yields the pieces of a table of n lines, as they are written.
func piecesOfLines(t *testing.T, n int) iter.Seq[writtenPiece] {
	return func(yield func(writtenPiece) bool) {
		more := true
		var w *manifest.TableWriter
		w = manifest.NewFileTable(func(first string, piece []byte) error {
			more = more && yield(writtenPiece{first: first, data: piece, count: w.Count, bytes: w.Bytes})
			return nil
		})
		for i := 0; i < n && more; i++ {
			if err := w.AddFile(line(i)); err != nil {
				yield(writtenPiece{err: err})
				return
			}
		}
		if err := w.Close(); more && err != nil {
			yield(writtenPiece{err: err})
		}
	}
}

// line is line i of a directory source: a root, then directories of 999 files each.
func line(i int) *manifest.File {
	if i == 0 {
		return &manifest.File{Path: "data", Type: manifest.Directory, UID: -1, GID: -1}
	}
	dir := fmt.Sprintf("data/%04d", (i-1)/1000)
	if (i-1)%1000 == 0 {
		return &manifest.File{Path: dir, Type: manifest.Directory, UID: -1, GID: -1}
	}
	return &manifest.File{Path: fmt.Sprintf("%s/%08d", dir, i), Type: manifest.Regular, UID: -1, GID: -1, Size: 100, SHA256: manifest.Hash{1: byte(i)}, Chunk: 65536,
		Extents: []manifest.Extent{{Archive: manifest.Hash{0: 1, 1: byte(i >> 16)}, Off: int64(i) * 100, Len: 100}}}
}

// Directories may lie as deep as a path is long, and the way to them costs no more than the path.
func TestDeepTree(t *testing.T) {
	const depth = 5_000
	files := make([]*manifest.File, 0, depth)
	path := "data"
	for range depth {
		files = append(files, &manifest.File{Path: path, Type: manifest.Directory, UID: -1, GID: -1})
		path += "/d"
	}
	s := new(store)
	h := s.snapshot(t, files, nil)
	base := liveHeap()
	n := 0
	for f, err := range h.AllFiles(s.Fetch) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n != len(files) || f.Path != files[n-1].Path {
			continue
		}
		// All paths of the way together would be 25 MB.
		if live := liveHeap() - base; live > 8<<20 {
			t.Errorf("%d bytes live at depth %d", live, n)
		}
	}
	if n != depth {
		t.Errorf("%d directories read, want %d", n, depth)
	}
}
