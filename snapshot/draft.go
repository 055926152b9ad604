package snapshot

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// zeros is the ordinal of the archive that zeros lie in.
const zeros = -1

// A draft is the files table of one source while its archives have no names yet: lines whose extents refer to
// archives by ordinal. It lies in a scratch file.
//
// A line comes in records, one for each MapSpan of the file, so that a huge file needs no more memory than
// any other.
type draft struct {
	file  *os.File
	buf   *bufio.Writer
	enc   *gob.Encoder
	large bool // some file has more extents than fit into its line
}

// A record is the extents of MapSpan bytes of a file, or of its rest; File comes with the last record of a file.
type record struct {
	Path   string
	Places []archive.Place
	File   *manifest.File
	Again  bool // the records of this file so far do not count
}

func newDraft(dir string) (*draft, error) {
	f, err := os.CreateTemp(dir, "draft-*")
	if err != nil {
		return nil, err
	}
	d := &draft{file: f, buf: bufio.NewWriterSize(f, 64<<10)}
	d.enc = gob.NewEncoder(d.buf)
	return d, nil
}

func (d *draft) add(r record) error {
	if err := d.enc.Encode(&r); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	return nil
}

// finish ends the writing; records may be read any number of times after it.
func (d *draft) finish() error {
	if err := d.buf.Flush(); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	return nil
}

// records yields all records, in the order they were added.
func (d *draft) records() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		if _, err := d.file.Seek(0, io.SeekStart); err != nil {
			yield(record{}, err)
			return
		}
		dec := gob.NewDecoder(bufio.NewReaderSize(d.file, 64<<10))
		for {
			var r record
			err := dec.Decode(&r)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (d *draft) close() {
	d.file.Close()
	os.Remove(d.file.Name())
}
