package manifest

import (
	"fmt"
)

// Put receives a finished piece and the key of its first line: a path, or a hash as text.
type Put func(first string, piece []byte) error

// A TableWriter cuts the lines of a table into pieces. Lines are added in table order; Close ends the last
// piece. It holds one piece in memory.
type TableWriter struct {
	Count, Bytes int64 // of the lines so far

	put      Put
	compare  func(a, b string) int
	archives *archiveList
	lines    []byte
	first    string
	last     string
}

// NewFileTable returns a writer of a files table.
func NewFileTable(put Put) *TableWriter {
	return &TableWriter{put: put, compare: ComparePaths, archives: newArchiveList()}
}

// NewArchiveTable returns a writer of an archives table.
func NewArchiveTable(put Put) *TableWriter {
	return &TableWriter{put: put, compare: compareHashes, archives: newArchiveList()}
}

func compareHashes(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// AddFile adds a line to a files table.
func (t *TableWriter) AddFile(f *File) error {
	return t.add(f.Path, []byte(f.Path), f.Size, func() (any, error) {
		l, err := f.line(t.archives)
		if err != nil {
			return nil, err
		}
		return l, f.check(l)
	})
}

// AddArchive adds a line to an archives table.
func (t *TableWriter) AddArchive(a *Archive) error {
	return t.add(a.SHA256.String(), a.SHA256[:], a.Size, func() (any, error) { return a, a.Check() })
}

func (t *TableWriter) add(name string, key []byte, size int64, value func() (any, error)) error {
	if t.last != "" && t.compare(t.last, name) >= 0 {
		return fmt.Errorf("add %q to a table: it does not come after %q", name, t.last)
	}
	known := len(t.archives.hashes)
	line, err := encodeLine(value)
	if err != nil {
		return fmt.Errorf("add %q to a table: %w", name, err)
	}
	if len(t.lines) > 0 && len(t.lines)+len(line) > pieceTarget {
		t.archives.truncate(known)
		if err := t.flush(); err != nil {
			return err
		}
		if line, err = encodeLine(value); err != nil {
			return err
		}
	}
	if len(t.lines) == 0 {
		t.first = name
	}
	t.lines = append(t.lines, line...)
	t.last = name
	t.Count++
	t.Bytes += size
	if endsPiece(key) {
		return t.flush()
	}
	return nil
}

func encodeLine(value func() (any, error)) ([]byte, error) {
	v, err := value()
	if err != nil {
		return nil, err
	}
	return marshal(v)
}

// Close ends the last piece.
func (t *TableWriter) Close() error { return t.flush() }

func (t *TableWriter) flush() error {
	if len(t.lines) == 0 {
		return nil
	}
	head, err := t.archives.line()
	if err != nil {
		return err
	}
	piece := append(head, t.lines...)
	t.lines = t.lines[:0]
	t.archives = newArchiveList()
	return t.put(t.first, piece)
}
