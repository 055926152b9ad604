package manifest

import (
	"fmt"
	"iter"
	"sort"
)

// Fetch returns n bytes at off of the tar stream of an archive. The caller of a Fetch checks digests; the Fetch
// itself need not.
type Fetch func(archive Hash, off, n int64) ([]byte, error)

// AllFiles yields the files table in order, one piece in memory at a time. It ends after the first error;
// ErrInvalid means that the table breaks a rule, including those that span lines: order, parents,
// hardlinks, counts.
func (h *Head) AllFiles(fetch Fetch) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		check := newTreeCheck(h)
		for i := range h.Files.Pieces {
			for f, err := range h.filesOf(i, fetch) {
				if err == nil {
					err = check.add(f)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(f, nil) {
					return
				}
			}
		}
		if err := check.end(); err != nil {
			yield(nil, err)
		}
	}
}

// FilesFrom yields files in table order, beginning with the piece that would hold path; so what is at and
// below path comes without reading what is far before it. Rules that span pieces are not checked.
func (h *Head) FilesFrom(path string, fetch Fetch) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		for i := h.Files.find(path, ComparePaths); i < len(h.Files.Pieces); i++ {
			for f, err := range h.filesOf(i, fetch) {
				if err != nil {
					yield(nil, err)
					return
				}
				if ComparePaths(f.Path, path) >= 0 && !yield(f, nil) {
					return
				}
			}
		}
	}
}

// AllArchives yields the archives table in order, one piece in memory at a time.
func (h *Head) AllArchives(fetch Fetch) iter.Seq2[*Archive, error] {
	return func(yield func(*Archive, error) bool) {
		var count, bytes int64
		last := ""
		for i := range h.Archives.Pieces {
			archives, err := h.ArchivesOf(i, fetch)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, a := range archives {
				if name := a.SHA256.String(); name <= last {
					yield(nil, invalid("archive %s is out of order", name))
					return
				} else {
					last = name
				}
				count, bytes = count+1, bytes+a.Size
				if !yield(a, nil) {
					return
				}
			}
		}
		if count != h.Archives.Count || bytes != h.Archives.Bytes {
			yield(nil, invalid("archives table has %d lines of %d bytes, the head says %d of %d", count, bytes, h.Archives.Count, h.Archives.Bytes))
		}
	}
}

// FindArchivePiece returns the index of the piece of the archives table that would hold an archive, for
// ArchivesOf, or -1.
func (h *Head) FindArchivePiece(archive Hash) int {
	name := archive.String()
	i := h.Archives.find(name, compareHashes)
	if i >= len(h.Archives.Pieces) || h.Archives.Pieces[i].First > name {
		return -1
	}
	return i
}

// ArchivesOf reads piece i of the archives table.
func (h *Head) ArchivesOf(i int, fetch Fetch) ([]*Archive, error) {
	p := h.Archives.Pieces[i]
	lines, _, err := h.lines(p, fetch)
	if err != nil {
		return nil, err
	}
	archives := make([]*Archive, len(lines))
	for j, line := range lines {
		a := new(Archive)
		if err := unmarshal(line, a); err != nil {
			return nil, fmt.Errorf("archives table, piece %s: %w", p.First, err)
		}
		if err := a.Check(); err != nil {
			return nil, err
		}
		if j > 0 && archives[j-1].SHA256.String() >= a.SHA256.String() {
			return nil, invalid("archive %s is out of order", a.SHA256)
		}
		archives[j] = a
	}
	if archives[0].SHA256.String() != p.First {
		return nil, invalid("piece %s begins with %s", p.First, archives[0].SHA256)
	}
	return archives, nil
}

// AllExtents yields the content of a file in order, reading its maps, if it has any, one at a time.
func (f *File) AllExtents(fetch Fetch) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for _, e := range f.Extents {
			if !yield(e, nil) {
				return
			}
		}
		rest := f.Size
		for _, m := range f.Maps {
			extents, err := m.read(min(rest, MapSpan), fetch)
			if err != nil {
				yield(Extent{}, fmt.Errorf("map of %q: %w", f.Path, err))
				return
			}
			for _, e := range extents {
				if !yield(e, nil) {
					return
				}
			}
			rest -= MapSpan
		}
	}
}

func (m *Map) read(span int64, fetch Fetch) ([]Extent, error) {
	data, err := fetch(m.Archive, m.Off, m.Len)
	if err != nil {
		return nil, err
	}
	if HashOf(data) != m.SHA256 {
		return nil, invalid("its bytes do not have SHA-256 %s", m.SHA256)
	}
	return ParseMap(data, span)
}

// find returns the index of the last piece that begins at or before name, or 0.
func (t *Table) find(name string, compare func(a, b string) int) int {
	n := sort.Search(len(t.Pieces), func(i int) bool { return compare(t.Pieces[i].First, name) > 0 })
	return max(0, n-1)
}

// lines fetches and verifies a piece and returns its lines after the first, and the archives which that
// one names.
func (h *Head) lines(p PieceRef, fetch Fetch) ([][]byte, []Hash, error) {
	data, err := fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
	if err != nil {
		return nil, nil, fmt.Errorf("read piece %q: %w", p.First, err)
	}
	if HashOf(data) != p.SHA256 {
		return nil, nil, invalid("piece %q in archive %s: its bytes do not have SHA-256 %s", p.First, h.Roots[p.Archive].SHA256, p.SHA256)
	}
	lines, err := splitLines(data)
	if err != nil {
		return nil, nil, err
	}
	if len(lines) < 2 {
		return nil, nil, invalid("piece %q is empty", p.First)
	}
	archives, err := parseArchivesLine(lines[0])
	return lines[1:], archives, err
}

// filesOf yields the lines of piece i of the files table.
func (h *Head) filesOf(i int, fetch Fetch) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		p := h.Files.Pieces[i]
		lines, archives, err := h.lines(p, fetch)
		if err != nil {
			yield(nil, err)
			return
		}
		last := ""
		for j, line := range lines {
			f, err := parseFile(line, archives)
			switch {
			case err != nil:
			case j == 0 && f.Path != p.First:
				err = invalid("piece %q begins with %q", p.First, f.Path)
			case j > 0 && ComparePaths(last, f.Path) >= 0:
				err = invalid("%q is out of order", f.Path)
			}
			if err != nil {
				yield(nil, fmt.Errorf("files table, piece %q, line %d: %w", p.First, j+2, err))
				return
			}
			last = f.Path
			if !yield(f, nil) {
				return
			}
		}
	}
}

func parseFile(line []byte, archives []Hash) (*File, error) {
	var l fileLine
	if err := unmarshal(line, &l); err != nil {
		return nil, err
	}
	return l.file(archives)
}
