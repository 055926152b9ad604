package manifest

import "fmt"

// Put receives a finished piece and the key of its first line: a path, or a hash as text.
type Put func(first string, piece []byte) error

// A TableWriter cuts the lines of a table into pieces. Lines are added in table order; Close ends the last
// piece. It holds one piece in memory. A line that is refused is not in the table, and the next one may be added; after an
// error of Put the table is lost.
type TableWriter struct {
	Count, Bytes int64 // of the lines so far

	put      Put
	compare  func(a, b string) int
	archives *archiveList
	lines    []byte
	first    string
	last     string

	file fileLine // the one that is added, and its text
	line []byte
}

// NewFileTable returns a writer of a files table.
func NewFileTable(put Put) *TableWriter {
	return &TableWriter{put: put, compare: ComparePaths, archives: newArchiveList()}
}

// NewArchiveTable returns a writer of an archives table.
func NewArchiveTable(put Put) *TableWriter {
	return &TableWriter{put: put, compare: compareHashes, archives: newArchiveList()}
}

// AddFile adds a line to a files table.
func (t *TableWriter) AddFile(f *File) error {
	size := int64(0)
	if f.Type == Regular {
		size = f.Size
	}
	return t.add(f.Path, []byte(f.Path), size, func(archives *archiveList) error {
		err := f.line(&t.file, archives)
		if err == nil {
			t.line, err = t.file.append(t.line[:0])
		}
		return err
	})
}

// AddArchive adds a line to an archives table.
func (t *TableWriter) AddArchive(a *Archive) error {
	return t.add(a.SHA256.String(), a.SHA256[:], a.Size, func(*archiveList) error {
		err := a.Check()
		if err == nil {
			t.line, err = marshal(a)
		}
		return err
	})
}

// add adds the line that encode puts into t.line, for a piece that names these archives.
func (t *TableWriter) add(name string, key []byte, size int64, encode func(*archiveList) error) error {
	if t.last != "" && t.compare(t.last, name) >= 0 {
		return fmt.Errorf("add %q to a table: it does not come after %q", name, t.last)
	}
	known := len(t.archives.hashes)
	archives := t.archives
	err := encode(archives)
	if err == nil && len(t.lines) > 0 && len(t.lines)+len(t.line) > pieceTarget {
		archives = newArchiveList() // they have other numbers in the next piece
		err = encode(archives)
	}
	if n := len(t.line) + archivesLineLen(len(archives.hashes)); err == nil && n > MaxPiece {
		err = invalid("it needs a piece of %d bytes, more than %d", n, MaxPiece)
	}
	if err == nil && t.Bytes+size < t.Bytes {
		err = invalid("sizes sum up to more than fits")
	}
	if err != nil {
		t.archives.truncate(known)
		return fmt.Errorf("add %q to a table: %w", name, err)
	}
	if archives != t.archives {
		t.archives.truncate(known)
		if err := t.flush(); err != nil {
			return err
		}
		t.archives = archives
	}
	if len(t.lines) == 0 {
		t.first = name
	}
	t.lines = append(t.lines, t.line...)
	t.last = name
	t.Count++
	t.Bytes += size
	if endsPiece(key) {
		return t.flush()
	}
	return nil
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
	if err := t.put(t.first, piece); err != nil {
		return fmt.Errorf("put piece %q of a table: %w", t.first, err)
	}
	return nil
}
