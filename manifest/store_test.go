package manifest_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"lifeboat/manifest"
)

// A tester is a testing.T, a testing.B or a rapid.T.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// A store stands in for the archives of a store: pieces and maps lie one after the other, behind gaps like those that
// tar headers make, in archives of about 1 MiB.
type store struct {
	archives []*archived
	fetches  int   // calls of Fetch
	fetched  int64 // bytes that it returned
	max      int64 // the longest of them
}

type archived struct {
	hash manifest.Hash
	data []byte
}

const gap = 512

// put appends data to the last archive and returns its place.
func (s *store) put(data []byte) (archive int, off int64) {
	if n := len(s.archives); n == 0 || len(s.archives[n-1].data) > 1<<20 {
		s.archives = append(s.archives, &archived{hash: hashOf("root", n)})
	}
	a := s.archives[len(s.archives)-1]
	a.data = append(a.data, make([]byte, gap)...)
	off = int64(len(a.data))
	a.data = append(a.data, data...)
	return len(s.archives) - 1, off
}

func (s *store) Fetch(archive manifest.Hash, off, n int64) ([]byte, error) {
	for _, a := range s.archives {
		if a.hash == archive {
			if off < 0 || n < 0 || off+n > int64(len(a.data)) {
				return nil, fmt.Errorf("fetch %d bytes at %d of %d", n, off, len(a.data))
			}
			s.fetches++
			s.fetched += n
			s.max = max(s.max, n)
			return a.data[off : off+n : off+n], nil
		}
	}
	return nil, fmt.Errorf("archive %s: %w", archive, fs.ErrNotExist)
}

// roots describes the archives of the store.
func (s *store) roots() []manifest.Archive {
	roots := make([]manifest.Archive, len(s.archives))
	for i, a := range s.archives {
		roots[i] = describe(a.hash, int64(len(a.data)))
	}
	return roots
}

// describe returns a valid description of an archive with a tar stream of that length.
func describe(hash manifest.Hash, length int64) manifest.Archive {
	a := manifest.Archive{SHA256: hash, Length: length, Data: length / 2,
		Index: manifest.Index{Off: length / 2, Len: length / 4, SHA256: manifest.HashOf(hash[:])}}
	for rest := length; rest > 0; rest -= manifest.FrameSize {
		n := min(rest, manifest.FrameSize)/2 + 1
		a.Frames = append(a.Frames, n)
		a.Size += n
	}
	return a
}

// putInto returns a Put that stores pieces and lists them.
func (s *store) putInto(pieces *[]manifest.PieceRef) manifest.Put {
	return func(first string, piece []byte) error {
		archive, off := s.put(piece)
		*pieces = append(*pieces, manifest.PieceRef{First: first, Archive: archive, Off: off, Len: int64(len(piece)), SHA256: manifest.HashOf(piece)})
		return nil
	}
}

// writeFiles stores a files table.
func (s *store) writeFiles(t tester, files []*manifest.File) manifest.Table {
	t.Helper()
	var table manifest.Table
	w := manifest.NewFileTable(s.putInto(&table.Pieces))
	for _, f := range files {
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table.Count, table.Bytes = w.Count, w.Bytes
	return table
}

// writeArchives stores an archives table.
func (s *store) writeArchives(t tester, archives []*manifest.Archive) manifest.Table {
	t.Helper()
	var table manifest.Table
	w := manifest.NewArchiveTable(s.putInto(&table.Pieces))
	for _, a := range archives {
		if err := w.AddArchive(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table.Count, table.Bytes = w.Count, w.Bytes
	return table
}

// sourcesOf returns the sources that a files table has: those with a line for a root are directories.
func sourcesOf(files []*manifest.File) []manifest.Source {
	var sources []manifest.Source
	for _, f := range files {
		name := manifest.SourceOf(f.Path)
		if n := len(sources); n == 0 || sources[n-1].Name != name {
			kind := manifest.DirectorySource
			if strings.Contains(f.Path, "/") {
				kind = manifest.FileSource
				if f.SQLite != nil {
					kind = manifest.SQLiteSource
				}
			}
			sources = append(sources, manifest.Source{Name: name, Type: kind, Root: "/srv/" + name,
				Consistency: manifest.Stable})
		}
		s := &sources[len(sources)-1]
		s.Files++
		if f.Type == manifest.Regular {
			s.Bytes += f.Size
		}
		if f.SQLite != nil {
			s.Databases++
		}
	}
	return sources
}

// snapshot stores both tables and returns the head of them, as read back from its encoding.
func (s *store) snapshot(t tester, files []*manifest.File, archives []*manifest.Archive) *manifest.Head {
	t.Helper()
	h := newHead()
	h.Sources = sourcesOf(files)
	h.Files = s.writeFiles(t, files)
	h.Archives = s.writeArchives(t, archives)
	h.Roots = s.roots()
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if h, err = manifest.ParseHead(data); err != nil {
		t.Fatal(err)
	}
	return h
}

// newHead returns a head without sources.
func newHead() *manifest.Head {
	return &manifest.Head{
		Format: manifest.Format, App: "vaultwarden", Kind: manifest.Backup, Stamp: "20260102T030405Z",
		Finished: time.Date(2026, 1, 2, 3, 4, 9, 0, time.UTC), Tool: "0.1.0",
		Host:        manifest.Host{Name: "lighthouse", OS: "linux", Arch: "amd64"},
		State:       manifest.Complete,
		Consistency: manifest.Consistency{Level: manifest.Transactional},
	}
}

// hashOf returns a hash that is the same for the same values.
func hashOf(values ...any) manifest.Hash { return manifest.HashOf(fmt.Append(nil, values...)) }

// tree returns n lines of a directory source: its root, directories of 100, and files of which some have names that
// share their beginnings.
func tree(source string, n int) []*manifest.File {
	rng := rand.New(rand.NewPCG(1, 2))
	files := []*manifest.File{{Path: source, Type: manifest.Directory, Mode: 0o755, UID: 0, GID: 0, ModTime: 1e18}}
	for i := 0; len(files) < n; i++ {
		if i%100 == 0 {
			files = append(files, &manifest.File{Path: fmt.Sprintf("%s/d%06d", source, i/100), Type: manifest.Directory,
				Mode: 0o750, UID: 1000, GID: 1000, User: "app", Group: "app", ModTime: 1e18})
			continue
		}
		size := rng.Int64N(200_000)
		f := &manifest.File{Path: fmt.Sprintf("%s/d%06d/file-%08d.json", source, i/100, i), Type: manifest.Regular,
			Mode: 0o640, UID: 1000, GID: 1000, User: "app", Group: "app", ModTime: manifest.Timestamp(1e18 + rng.Int64N(1e17)),
			Size: size, SHA256: hashOf("content", i)}
		if size > 0 {
			f.Chunk, f.Extents = 65536, []manifest.Extent{{Archive: hashOf("data", i/1000), Off: rng.Int64N(30 << 20), Len: size}}
		}
		files = append(files, f)
	}
	return files
}

// archivesOf returns n lines of an archives table.
func archivesOf(n int) []*manifest.Archive {
	archives := make([]*manifest.Archive, n)
	for i := range archives {
		h := hashOf("sorted", i)
		h[0], h[1], h[2] = byte(i>>16), byte(i>>8), byte(i)
		a := describe(h, 1<<20+int64(i%5000))
		archives[i] = &a
	}
	return archives
}
