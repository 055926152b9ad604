package manifest

import (
	"bytes"
	"fmt"
	"iter"
)

// Fetch returns n bytes at off of the tar stream of an archive. The caller of a Fetch checks digests; the Fetch
// itself need not.
type Fetch func(archive Hash, off, n int64) ([]byte, error)

// AllFiles yields the files table in order, one piece in memory at a time. It ends after the first error;
// ErrInvalid means that the table breaks a rule, including those that span lines: order, parents,
// hardlinks, counts. Whether the archives that extents and maps lie in are in the archives table, and long enough, it
// does not check; see FindArchivePiece and Archive.Contains. Of each file that has several names it keeps 16 bytes.
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

// WholeFiles yields the lines of the pieces of the files table that can be read. lost is told of each other piece: with which path it begins, with which
// the one after it, "" for none, and why it cannot be read; an error that it returns ends the reading. Only what is to hold within a piece is checked.
func (h *Head) WholeFiles(fetch Fetch, lost func(first, next string, err error) error) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		for i, p := range h.Files.Pieces {
			if _, _, err := h.piece(p, fetch); err != nil {
				next := ""
				if i+1 < len(h.Files.Pieces) {
					next = h.Files.Pieces[i+1].First
				}
				if err := lost(p.First, next, err); err != nil {
					yield(nil, fmt.Errorf("files table: %w", err))
					return
				}
				continue
			}
			for f, err := range h.filesOf(i, fetch) {
				if !yield(f, err) || err != nil {
					return
				}
			}
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
	if plainLine(line, &l) {
		return l.file(archives)
	}
	l = fileLine{}
	if err := unmarshal(line, &l); err != nil {
		return nil, err
	}
	return l.file(archives)
}
