package manifest

import (
	"bytes"
	"fmt"
	"iter"
	"sort"
)

// Fetch returns n bytes at off of the tar stream of an archive. The caller of a Fetch checks digests; the Fetch
// itself need not.
type Fetch func(archive Hash, off, n int64) ([]byte, error)

// AllFiles yields the files table in order, one piece in memory at a time. It ends after the first error;
// ErrInvalid means that the table breaks a rule, including those that span lines: order, parents,
// hardlinks, counts. Whether the archives that extents and maps lie in are in the archives table, and long enough, it
// does not check.
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
// below path comes without reading what is far before it. Order is checked; parents, hardlinks and counts are not.
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
		for i := range h.Archives.Pieces {
			archives, err := h.ArchivesOf(i, fetch)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, a := range archives {
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
	_, lines, err := h.piece(p, fetch)
	if err != nil {
		return nil, fmt.Errorf("archives table: %w", err)
	}
	var archives []*Archive
	order := h.Archives.order(i, compareHashes)
	for line := range bytes.Lines(lines) {
		a := new(Archive)
		err := unmarshal(line, a)
		if err == nil {
			err = a.Check()
		}
		if err == nil {
			err = order.next(a.SHA256.String())
		}
		if err != nil {
			return nil, fmt.Errorf("archives table, piece %q, line %d: %w", p.First, order.line, err)
		}
		archives = append(archives, a)
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

// order checks the keys of the lines of one piece.
type order struct {
	compare func(a, b string) int
	piece   PieceRef
	before  string // the first key of the next piece; empty after the last
	last    string
	line    int // number of the line that comes next
}

func (t *Table) order(i int, compare func(a, b string) int) *order {
	o := &order{compare: compare, piece: t.Pieces[i], line: 2}
	if i+1 < len(t.Pieces) {
		o.before = t.Pieces[i+1].First
	}
	return o
}

// next checks the key of the next line.
func (o *order) next(key string) error {
	switch {
	case o.line == 2 && key != o.piece.First:
		return invalid("it begins with %q", key)
	case o.line > 2 && o.compare(o.last, key) >= 0, o.before != "" && o.compare(key, o.before) >= 0:
		return invalid("%q is out of order", key)
	}
	o.last = key
	o.line++
	return nil
}

// piece fetches and verifies a piece, and returns the archives that its first line names, and its other lines.
func (h *Head) piece(p PieceRef, fetch Fetch) (archives []Hash, lines []byte, err error) {
	data, err := fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
	if err != nil {
		return nil, nil, fmt.Errorf("read piece %q: %w", p.First, err)
	}
	if HashOf(data) != p.SHA256 {
		return nil, nil, invalid("piece %q in archive %s: its bytes do not have SHA-256 %s", p.First, h.Roots[p.Archive].SHA256, p.SHA256)
	}
	if archives, lines, err = parsePiece(data); err != nil {
		return nil, nil, fmt.Errorf("piece %q: %w", p.First, err)
	}
	return archives, lines, nil
}

// filesOf yields the lines of piece i of the files table.
func (h *Head) filesOf(i int, fetch Fetch) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		p := h.Files.Pieces[i]
		archives, lines, err := h.piece(p, fetch)
		if err != nil {
			yield(nil, fmt.Errorf("files table: %w", err))
			return
		}
		order := h.Files.order(i, ComparePaths)
		for line := range bytes.Lines(lines) {
			f, err := parseFile(line, archives)
			if err == nil {
				err = order.next(f.Path)
			}
			if err != nil {
				yield(nil, fmt.Errorf("files table, piece %q, line %d: %w", p.First, order.line, err))
				return
			}
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
