package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
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
	enc   encoder
	count int          // of the lines so far
	here  int          // of the records since the last line
	large map[int]bool // the lines, by number, that have more extents than fit into them
	void  map[int]int  // of lines, by number: how many records come before them that do not count
}

// A record is MapSpan bytes of a file, or its rest; File comes with the last record of a file.
type record struct {
	Path   string
	Chunk  int64
	Places []archive.Place
	Sums   []archive.ChunkSum // of the chunks; that of zeros is zero
	File   *manifest.File
	State  *state // with File: what proves later that the file is still the same; may be nil
	Large  bool   // the file has more extents than fit into its line
}

func newDraft(dir string) (*draft, error) {
	f, err := os.CreateTemp(dir, "draft-*")
	if err != nil {
		return nil, err
	}
	return &draft{file: f, buf: bufio.NewWriterSize(f, 64<<10), large: map[int]bool{}, void: map[int]int{}}, nil
}

// add appends a record. Whether a file is large is known with its last record.
func (d *draft) add(r record) error {
	b, err := d.enc.record(r)
	if err == nil {
		_, err = d.buf.Write(b)
	}
	if err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	d.here++
	if r.File == nil {
		return nil
	}
	if r.Large {
		d.large[d.count] = true
	}
	d.count++
	d.here = 0
	return nil
}

// again says that the records since the last line do not count: the file is read once more, or has no line after all.
func (d *draft) again() {
	if d.here > 0 {
		d.void[d.count] = d.here
	}
}

// A draftMark is how far a draft was written, between two lines.
type draftMark struct {
	off   int64
	count int
}

func (d *draft) mark() (draftMark, error) {
	if err := d.finish(); err != nil {
		return draftMark{}, err
	}
	off, err := d.file.Seek(0, io.SeekCurrent)
	return draftMark{off, d.count}, err
}

// forget forgets the lines since a mark.
func (d *draft) forget(to draftMark) error {
	if err := d.finish(); err != nil {
		return err
	}
	if err := d.file.Truncate(to.off); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	if _, err := d.file.Seek(to.off, io.SeekStart); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	later := func(line int) bool { return line >= to.count }
	maps.DeleteFunc(d.large, func(line int, _ bool) bool { return later(line) })
	maps.DeleteFunc(d.void, func(line, _ int) bool { return later(line) })
	d.count, d.here = to.count, 0
	return nil
}

// finish ends the writing; records may be read any number of times after it.
func (d *draft) finish() error {
	if err := d.buf.Flush(); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	return nil
}

// records yields the records that count, in the order they were added. Large is set in all records of a line. What a record holds
// is valid until the next one.
func (d *draft) records() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		if _, err := d.file.Seek(0, io.SeekStart); err != nil {
			yield(record{}, err)
			return
		}
		dec := decoder{r: bufio.NewReaderSize(d.file, 64<<10)}
		for line, n := 0, 0; ; {
			r, err := dec.record()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(record{}, fmt.Errorf("read a scratch file: %w", err))
				return
			}
			if n++; n <= d.void[line] {
				continue
			}
			r.Large = d.large[line]
			if !yield(r, nil) {
				return
			}
			if r.File != nil {
				line, n = line+1, 0
			}
		}
	}
}

func (d *draft) close() {
	d.file.Close()
	os.Remove(d.file.Name())
}
