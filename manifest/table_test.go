package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lifeboat/manifest"
)

const pieceTarget = 1 << 20

// ends is the rule of docs/format.md, 4.2: a SHA-256 that begins with nine zero bits.
func ends(key []byte) bool {
	sum := sha256.Sum256(key)
	return sum[0] == 0 && sum[1] < 128
}

// checkPieces holds each piece of a table to the rule of where it ends. keys are those of all lines.
func checkPieces(t *testing.T, s *store, h *manifest.Head, table manifest.Table, keys [][]byte) {
	t.Helper()
	line := 0
	for i, p := range table.Pieces {
		piece, err := s.Fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(piece, []byte("\n"))
		lines = lines[1 : len(lines)-1]
		size := 0
		for j, l := range lines {
			size += len(l)
			if last := j == len(lines)-1; ends(keys[line]) && !last {
				t.Errorf("piece %d goes on after the key %q", i, keys[line])
			}
			line++
		}
		if size > pieceTarget && len(lines) > 1 {
			t.Errorf("piece %d has %d lines of %d bytes", i, len(lines), size)
		}
		if i+1 == len(table.Pieces) || ends(keys[line-1]) {
			continue
		}
		next := table.Pieces[i+1]
		following, err := s.Fetch(h.Roots[next.Archive].SHA256, next.Off, next.Len)
		if err != nil {
			t.Fatal(err)
		}
		if first := bytes.SplitAfter(following, []byte("\n"))[1]; size+len(first) <= pieceTarget {
			t.Errorf("piece %d ends after %d bytes, where a line of %d fits and the key %q ends nothing", i, size, len(first), keys[line-1])
		}
	}
	if line != len(keys) {
		t.Errorf("%d lines in pieces, want %d", line, len(keys))
	}
}

func pathsOf(files []*manifest.File) [][]byte {
	keys := make([][]byte, len(files))
	for i, f := range files {
		keys[i] = []byte(f.Path)
	}
	return keys
}

func TestPiecesEndWhereTheFormatSays(t *testing.T) {
	t.Run("files", func(t *testing.T) {
		s, files := new(store), tree("data", 20_000)
		h := s.snapshot(t, files, nil)
		if n := len(h.Files.Pieces); n < 20 || n > 80 {
			t.Errorf("%d pieces, want about 39", n)
		}
		checkPieces(t, s, h, h.Files, pathsOf(files))
	})
	t.Run("archives", func(t *testing.T) {
		s, archives := new(store), archivesOf(5_000)
		h := s.snapshot(t, nil, archives)
		var keys [][]byte
		for _, a := range archives {
			keys = append(keys, a.SHA256[:])
		}
		if n := len(h.Archives.Pieces); n < 3 {
			t.Errorf("%d pieces", n)
		}
		checkPieces(t, s, h, h.Archives, keys)
	})
	// Long lines reach 1 MiB before a key ends the piece. Some pieces are exactly full.
	t.Run("long lines", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		files := tree("data", 300)
		for _, f := range files {
			f.Xattrs = []manifest.Xattr{{Name: "user.long", Value: make([]byte, 3*rng.IntN(60_000))}}
		}
		s := new(store)
		h := s.snapshot(t, files, nil)
		if n := len(h.Files.Pieces); n < 20 {
			t.Errorf("%d pieces", n)
		}
		checkPieces(t, s, h, h.Files, pathsOf(files))
		checkWrittenAgain(t, h, s.Fetch)
	})
}

// Two lines share a piece when together they are 1 MiB long, and not when they are one byte longer.
func TestPieceIsFullAtOneMiB(t *testing.T) {
	for _, tt := range []struct{ over, pieces int }{{-1, 1}, {0, 1}, {1, 2}} {
		root := &manifest.File{Path: "data", Type: manifest.Directory, UID: -1, GID: -1}
		link := func(n int) *manifest.File {
			return &manifest.File{Path: "data/a", Type: manifest.Regular, UID: -1, GID: -1, SHA256: manifest.HashOf(nil), User: string(bytes.Repeat([]byte("x"), n))}
		}
		if ends([]byte(root.Path)) || ends([]byte("data/a")) {
			t.Fatal("choose other paths")
		}
		short := piecesOf(t, root, link(1))
		head := len(`{"archives":[]}` + "\n")
		fill := pieceTarget - (len(short[0]) - head) + 1 + tt.over
		if pieces := piecesOf(t, root, link(fill)); len(pieces) != tt.pieces {
			t.Errorf("lines of 1 MiB and %d: %d pieces, want %d", tt.over, len(pieces), tt.pieces)
		} else if tt.over == 0 && len(pieces[0]) != head+pieceTarget {
			t.Errorf("a full piece has %d bytes behind its first line", len(pieces[0])-head)
		}
	}
}

// A line that goes to the next piece leaves its archives out of the one before, and its numbers begin anew.
func TestArchivesOfEachPiece(t *testing.T) {
	line := func(path string, archives ...string) *manifest.File {
		f := &manifest.File{Path: path, Type: manifest.Regular, UID: -1, GID: -1, SHA256: hex("1"), Chunk: 4096, User: string(make([]byte, 100_000))} // six bytes each, escaped
		for _, a := range archives {
			f.Extents = append(f.Extents, manifest.Extent{Archive: hex(a), Len: 1})
			f.Size++
		}
		return f
	}
	pieces := piecesOf(t, line("data/a", "a", "b"), line("data/b", "c", "b", "d"), line("data/c", "d"))
	for i, want := range []string{`{"archives":["#a","#b"]}`, `{"archives":["#c","#b","#d"]}`, `{"archives":["#d"]}`} {
		if len(pieces) != 3 || !strings.HasPrefix(pieces[i], expand(want)+"\n") {
			t.Fatalf("%d pieces; piece %d begins with %.300s, want %s", len(pieces), i, pieces[i], expand(want))
		}
	}
	if want := `"extents":[[0,0,1],[1,0,1],[2,0,1]]`; !strings.Contains(pieces[1], want) {
		t.Errorf("the second piece has not %s", want)
	}
}

func piecesOf(t *testing.T, files ...*manifest.File) []string {
	t.Helper()
	var pieces []string
	w := manifest.NewFileTable(func(_ string, piece []byte) error { pieces = append(pieces, string(piece)); return nil })
	for _, f := range files {
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return pieces
}

// A change in the middle of a table makes a piece or two new, and leaves all others as they were.
func TestEditsChangeFewPieces(t *testing.T) {
	files := tree("data", 20_000)
	before := pieceSums(t, files)
	added := *files[9_999]
	added.Path += ".new"
	changed := *files[12_345]
	changed.ModTime++
	moved := *files[12_345]
	moved.Extents = []manifest.Extent{{Archive: hashOf("elsewhere"), Off: 0, Len: moved.Size}}
	for _, tt := range []struct {
		name  string
		files []*manifest.File
		most  int
	}{
		{"nothing", files, 0},
		{"insertion", slices.Insert(slices.Clone(files), 10_000, &added), 2},
		{"removal", slices.Delete(slices.Clone(files), 10_001, 10_002), 2},
		{"change", slices.Replace(slices.Clone(files), 12_345, 12_346, &changed), 1},
		{"other archive", slices.Replace(slices.Clone(files), 12_345, 12_346, &moved), 1},
		{"at the end", slices.Delete(slices.Clone(files), len(files)-1, len(files)), 1},
	} {
		fresh := 0
		for sum := range pieceSums(t, tt.files) {
			if !before[sum] {
				fresh++
			}
		}
		if fresh > tt.most || fresh == 0 && tt.most > 0 {
			t.Errorf("%s: %d of %d pieces are new, want at most %d", tt.name, fresh, len(before), tt.most)
		}
	}
	// Never more than two, even where a line that ends a piece goes.
	files = tree("data", 3_000)
	before = pieceSums(t, files)
	ended := 0
	for i, f := range files {
		if f.Type == manifest.Directory || !ends([]byte(f.Path)) && i%100 != 50 {
			continue
		}
		if ends([]byte(f.Path)) {
			ended++
		}
		fresh := 0
		for sum := range pieceSums(t, slices.Delete(slices.Clone(files), i, i+1)) {
			if !before[sum] {
				fresh++
			}
		}
		if fresh > 2 {
			t.Fatalf("without %q %d pieces are new", f.Path, fresh)
		}
	}
	if ended == 0 {
		t.Error("no line ended a piece")
	}
}

func pieceSums(t *testing.T, files []*manifest.File) map[manifest.Hash]bool {
	t.Helper()
	sums := map[manifest.Hash]bool{}
	w := manifest.NewFileTable(func(_ string, piece []byte) error { sums[manifest.HashOf(piece)] = true; return nil })
	for _, f := range files {
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sums
}

// From every path of a table, and from paths between them, FilesFrom goes on as the table does, and reads no piece that lies
// before.
func TestFilesFrom(t *testing.T) {
	files := tree("data", 1_500)
	s := new(store)
	h := s.snapshot(t, files, nil)
	if len(h.Files.Pieces) < 3 {
		t.Fatal("the table has too few pieces for this test")
	}
	check := func(path string, want []*manifest.File, fetches int) {
		t.Helper()
		s.fetches = 0
		want = want[:min(2, len(want))]
		var got []string
		for f, err := range h.FilesFrom(path, s.Fetch) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, f.Path); len(got) == len(want) {
				break
			}
		}
		if len(got) != len(want) || len(want) > 0 && got[0] != want[0].Path || len(want) > 1 && got[1] != want[1].Path {
			t.Fatalf("from %q: %q, want %d beginning with %q", path, got, len(want), want[0].Path)
		}
		if s.fetches > fetches {
			t.Fatalf("from %q: %d pieces read, want at most %d", path, s.fetches, fetches)
		}
	}
	for i, f := range files {
		if i%slow != 0 {
			continue
		}
		check(f.Path, files[i:], 2)
		if i%20 != 0 {
			continue
		}
		check(f.Path+"\x01", following(files, f.Path+"\x01"), 2) // after what is below f, if it is a directory
		check(f.Path+"/", files[i+1:], 3)
	}
	check("data/d000000/file-0000000", files[2:], 1)
	check("", files, 1)
	check("a/before/all", files, 1)
	check("z/after/all", nil, 1)

	all := 0
	for range h.FilesFrom("", s.Fetch) {
		all++
	}
	if all != len(files) {
		t.Errorf("%d files from the beginning, want %d", all, len(files))
	}
}

// following returns the lines at and after path, by a search that knows nothing of ComparePaths.
func following(files []*manifest.File, path string) []*manifest.File {
	i := slices.IndexFunc(files, func(f *manifest.File) bool { return compareComponents(f.Path, path) >= 0 })
	if i < 0 {
		return nil
	}
	return files[i:]
}

func TestFindArchivePiece(t *testing.T) {
	archives := archivesOf(3_000)
	s := new(store)
	h := s.snapshot(t, nil, archives)
	if len(h.Archives.Pieces) < 3 {
		t.Fatal("the table has too few pieces for this test")
	}
	pieces := make([][]*manifest.Archive, len(h.Archives.Pieces))
	for i := range pieces {
		var err error
		if pieces[i], err = h.ArchivesOf(i, s.Fetch); err != nil {
			t.Fatal(err)
		}
	}
	find := func(hash manifest.Hash) *manifest.Archive {
		i := h.FindArchivePiece(hash)
		if i < 0 {
			return nil
		}
		for _, a := range pieces[i] {
			if a.SHA256 == hash {
				return a
			}
		}
		return nil
	}
	for _, a := range archives {
		if got := find(a.SHA256); got == nil || got.Size != a.Size {
			t.Fatalf("archive %s: found %v", a.SHA256, got)
		}
		after, before := a.SHA256, a.SHA256
		after[31]++
		before[31]--
		if find(after) != nil || find(before) != nil {
			t.Fatalf("found a neighbour of %s, which is not there", a.SHA256)
		}
	}
	if i := h.FindArchivePiece(manifest.Hash{31: 1}); i != -1 {
		t.Errorf("a hash before all others is in piece %d", i)
	}
	if i := h.FindArchivePiece(hex("f")); i != len(h.Archives.Pieces)-1 {
		t.Errorf("a hash after all others would be in piece %d, not the last", i)
	}
	if i := newHead().FindArchivePiece(hex("f")); i != -1 {
		t.Errorf("in an empty table a hash is in piece %d", i)
	}
}

// A line that is longer than pieces are wanted is a piece by itself; one that no reader would take is refused, and the table
// goes on without it.
func TestLongLines(t *testing.T) {
	files := tree("data", 50)
	long := func(f *manifest.File, n int) *manifest.File {
		g := *f
		g.SQLite = &manifest.SQLite{Detail: strings.Repeat("x", n)}
		return &g
	}
	var pieces []manifest.PieceRef
	s := new(store)
	w := manifest.NewFileTable(s.putInto(&pieces))
	var want []*manifest.File
	for i, f := range files {
		switch i {
		case 20: // more than a piece
			f = long(f, 2<<20)
		case 30: // more than a reader takes
			if err := w.AddFile(long(f, 17<<20)); !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("a line of 17 MiB: %v", err)
			}
			continue
		case 40: // nearly that
			f = long(f, manifest.MaxPiece-2000)
		}
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
		want = append(want, f)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{20, 40} {
		at := slices.IndexFunc(pieces, func(p manifest.PieceRef) bool { return p.First == files[i].Path })
		if at < 0 || pieces[at+1].First != files[i+1].Path {
			t.Fatalf("the long line %d has no piece for itself; they begin with %v", i, pieces)
		}
	}
	h := newHead()
	h.Sources, h.Files, h.Roots = sourcesOf(want), manifest.Table{Count: w.Count, Bytes: w.Bytes, Pieces: pieces}, s.roots()
	n := 0
	for f, err := range h.AllFiles(s.Fetch) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Path != want[n].Path || (f.SQLite == nil) != (want[n].SQLite == nil) {
			t.Fatalf("line %d is %q, want %q", n, f.Path, want[n].Path)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d lines, want %d", n, len(want))
	}
	checkWrittenAgain(t, h, s.Fetch)
}

// What a writer refuses leaves no trace in the piece, not even in its list of archives.
func TestRefusedLineLeavesNoTrace(t *testing.T) {
	files := tree("data", 40)
	want := piecesOf(t, files...)
	var got []string
	w := manifest.NewFileTable(func(_ string, piece []byte) error { got = append(got, string(piece)); return nil })
	for _, f := range files {
		bad := *f
		bad.Type, bad.Size, bad.Chunk = manifest.Regular, 10, 4096
		bad.Extents = []manifest.Extent{{Archive: hashOf("stray", f.Path), Len: 9}}
		if err := w.AddFile(&bad); !errors.Is(err, manifest.ErrInvalid) {
			t.Fatalf("a file that its extents do not cover: %v", err)
		}
		bad.Path = "data" // and one out of order
		if err := w.AddFile(&bad); err == nil {
			t.Fatal("a line out of order was added")
		}
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want, got) {
		t.Errorf("pieces are\n%s\nwant\n%s", got, want)
	}
}

// The error of a Put comes back from the call that ended the piece.
func TestPutFails(t *testing.T) {
	full := errors.New("disk full")
	for fail := range 3 {
		puts := 0
		w := manifest.NewFileTable(func(string, []byte) error {
			if puts++; puts > fail {
				return full
			}
			return nil
		})
		var err error
		for _, f := range tree("data", 3_000) {
			if err = w.AddFile(f); err != nil {
				break
			}
		}
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, full) || puts != fail+1 {
			t.Errorf("put %d fails: %v after %d puts", fail, err, puts)
		}
	}
}

// An iteration that is left early reads no further, and an error of Fetch comes out as it is.
func TestFetchFails(t *testing.T) {
	gone := errors.New("gone")
	s := new(store)
	h := s.snapshot(t, tree("data", 3_000), archivesOf(3_000))
	for fail := range 3 {
		fetches := 0
		fetch := func(a manifest.Hash, off, n int64) ([]byte, error) {
			if fetches++; fetches > fail {
				return nil, gone
			}
			return s.Fetch(a, off, n)
		}
		var last error
		for _, err := range h.AllFiles(fetch) {
			last = err
		}
		if !errors.Is(last, gone) || errors.Is(last, manifest.ErrInvalid) {
			t.Errorf("files, fetch %d fails: %v", fail, last)
		}
		fetches = 0
		for _, err := range h.AllArchives(fetch) {
			last = err
		}
		if !errors.Is(last, gone) || errors.Is(last, manifest.ErrInvalid) {
			t.Errorf("archives, fetch %d fails: %v", fail, last)
		}
	}
	s.fetches = 0
	for range h.AllFiles(s.Fetch) {
		break
	}
	for range h.AllArchives(s.Fetch) {
		break
	}
	for range h.FilesFrom("data", s.Fetch) {
		break
	}
	if s.fetches != 3 {
		t.Errorf("%d pieces read for the first lines of three iterations", s.fetches)
	}
}

// Maps are read one at a time, and each is verified.
func TestAllExtents(t *testing.T) {
	s := new(store)
	f := &manifest.File{Path: "db/app.sqlite", Type: manifest.Regular, UID: -1, GID: -1, Size: 2*manifest.MapSpan + 5000, Chunk: 4096, SHA256: hashOf("content")}
	var want []manifest.Extent
	var places []int64
	for off := int64(0); off < f.Size; off += manifest.MapSpan {
		var extents []manifest.Extent
		for at := off; at < min(off+manifest.MapSpan, f.Size); at += 4096 {
			extents = append(extents, manifest.Extent{Archive: hashOf("data", at%5), Off: at, Len: min(4096, f.Size-at)})
		}
		data, err := manifest.EncodeMap(extents)
		if err != nil {
			t.Fatal(err)
		}
		_, at := s.put(data)
		f.Maps = append(f.Maps, manifest.Map{Extent: manifest.Extent{Archive: hashOf("root", 0), Off: at, Len: int64(len(data))}, SHA256: manifest.HashOf(data)})
		want, places = append(want, extents...), append(places, at)
	}
	h := s.snapshot(t, []*manifest.File{f}, nil)
	for f, err := range h.AllFiles(s.Fetch) {
		if err != nil {
			t.Fatal(err)
		}
		var got []manifest.Extent
		for e, err := range f.AllExtents(s.Fetch) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%d extents, want %d", len(got), len(want))
		}
		s.fetches = 0
		for range f.AllExtents(s.Fetch) {
			break
		}
		if s.fetches != 1 {
			t.Errorf("%d maps read for the first extent", s.fetches)
		}
		for i, at := range places {
			s.archives[0].data[at+100] ^= 1
			var bad []error
			var got []manifest.Extent
			lost := int64(0)
			for e, err := range f.AllExtents(s.Fetch) {
				if err != nil {
					bad, lost = append(bad, err), lost+e.Len
				} else {
					got = append(got, e)
				}
			}
			s.archives[0].data[at+100] ^= 1
			from, to := i*4096, min((i+1)*4096, len(want)) // of the map
			if len(bad) != 1 || !errors.Is(bad[0], manifest.ErrInvalid) || lost != min(manifest.MapSpan, f.Size-int64(i)*manifest.MapSpan) ||
				!slices.Equal(got, slices.Delete(slices.Clone(want), from, to)) {
				t.Errorf("a flipped bit in map %d: %v, %d bytes lost, and %d extents", i, bad, lost, len(got))
			}
		}
	}
}

// A bit flipped anywhere in any piece is noticed, and the piece is named.
func TestFlippedPiece(t *testing.T) {
	s := new(store)
	h := s.snapshot(t, tree("data", 1_500), archivesOf(10))
	for _, table := range []manifest.Table{h.Files, h.Archives} {
		for _, p := range table.Pieces {
			for _, at := range []int64{0, 1, p.Len / 2, p.Len - 1} {
				b := &s.archives[p.Archive].data[p.Off+at]
				*b ^= 4
				var last error
				for _, err := range h.AllFiles(s.Fetch) {
					last = err
				}
				for _, err := range h.AllArchives(s.Fetch) {
					last = errors.Join(last, err)
				}
				*b ^= 4
				if !errors.Is(last, manifest.ErrInvalid) || !bytes.Contains([]byte(last.Error()), fmt.Appendf(nil, "%q", p.First)) {
					t.Fatalf("byte %d of piece %q flipped: %v", at, p.First, last)
				}
			}
		}
	}
}
