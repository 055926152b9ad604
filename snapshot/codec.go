package snapshot

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// The records of a draft are read by the process that wrote them; those of a base by a later one, so a base has a version. Each
// is its length and its fields in order, numbers as varints. There are as many records as files, which is why this is not
// left to a codec that has to look up what it encodes.

// An encoder writes records.
type encoder struct{ body, out []byte }

// What a record has besides places.
const (
	hasFile = 1 << iota
	hasState
)

// record returns the bytes of a record, valid until the next call.
func (e *encoder) record(r record) ([]byte, error) {
	e.body = e.body[:0]
	flags := uint64(0)
	if r.File != nil {
		flags |= hasFile
	}
	if r.State != nil {
		flags |= hasState
	}
	e.uint(flags)
	e.string(r.Path)
	e.int(r.Chunk)
	e.uint(uint64(len(r.Places)))
	for _, p := range r.Places {
		e.int(int64(p.Archive))
		e.int(p.Off)
		e.int(p.Len)
	}
	e.uint(uint64(len(r.Sums)))
	for i := range r.Sums {
		e.body = append(e.body, r.Sums[i][:]...)
	}
	if r.File != nil {
		if err := e.file(r.File); err != nil {
			return nil, err
		}
	}
	if r.State != nil {
		e.state(r.State)
	}
	e.out = binary.AppendUvarint(e.out[:0], uint64(len(e.body)))
	e.out = append(e.out, e.body...)
	return e.out, nil
}

// rare is what few lines have.
type rare struct {
	SQLite *manifest.SQLite `json:",omitempty"`
	Xattrs []manifest.Xattr `json:",omitempty"`
}

// file writes what a line has but its path, which is the record's, and its extents and maps.
func (e *encoder) file(f *manifest.File) error {
	e.string(string(f.Type))
	e.uint(uint64(f.Mode))
	for _, n := range []int64{f.UID, f.GID, int64(f.ModTime), f.Size, f.Links, f.Chunk} {
		e.int(n)
	}
	for _, s := range []string{f.User, f.Group, f.Link, f.Marked} {
		e.string(s)
	}
	e.body = append(e.body, f.SHA256[:]...)
	if f.SQLite == nil && len(f.Xattrs) == 0 {
		e.uint(0)
		return nil
	}
	more, err := json.Marshal(rare{f.SQLite, f.Xattrs})
	e.uint(uint64(len(more)))
	e.body = append(e.body, more...)
	return err
}

func (e *encoder) state(s *state) {
	e.stamp(s.file)
	if s.log == (stamp{}) {
		e.uint(0)
		return
	}
	e.uint(1)
	e.stamp(s.log)
}

func (e *encoder) stamp(s stamp) {
	e.uint(s.Dev)
	e.uint(s.Ino)
	for _, n := range []int64{s.Size, s.Modified, s.Changed} {
		e.int(n)
	}
}

func (e *encoder) uint(n uint64) { e.body = binary.AppendUvarint(e.body, n) }
func (e *encoder) int(n int64)   { e.body = binary.AppendVarint(e.body, n) }

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	e.body = append(e.body, s...)
}

// A decoder reads records. After the first thing that is not as it should be, everything is empty.
type decoder struct {
	r      *bufio.Reader
	bare   bool // of lines and states nothing is wanted but whether there are any: a line is noLine, a state nil
	body   []byte
	rest   []byte
	places []archive.Place
	sums   []archive.ChunkSum
	broken bool

	// Made by the dozen, since there are many.
	files  []manifest.File
	states []state
	owner  [2]string // the last user and group, which most files have in common
}

// noLine is in the place of the line of a bare record.
var noLine manifest.File

// dozen is how many lines or states are made at once.
const dozen = 64

var errRecord = errors.New("a record is not as it was written")

// record returns the next record, or io.EOF. Its places and sums are valid until the next call.
func (d *decoder) record() (record, error) {
	n, err := binary.ReadUvarint(d.r)
	if err != nil {
		return record{}, err
	}
	if uint64(cap(d.body)) < n {
		d.body = make([]byte, n)
	}
	d.body = d.body[:n]
	if _, err := io.ReadFull(d.r, d.body); err != nil {
		return record{}, fmt.Errorf("%w: %w", errRecord, io.ErrUnexpectedEOF)
	}
	d.rest = d.body
	flags := d.uint()
	r := record{Path: d.string(), Chunk: d.int()}
	d.places = d.places[:0]
	for n := d.uint(); n > 0 && !d.broken; n-- {
		d.places = append(d.places, archive.Place{Archive: int(d.int()), Off: d.int(), Len: d.int()})
	}
	r.Places = d.places
	d.sums = d.sums[:0]
	for n := d.uint(); n > 0 && !d.broken; n-- {
		var sum archive.ChunkSum
		copy(sum[:], d.bytes(uint64(len(sum))))
		d.sums = append(d.sums, sum)
	}
	r.Sums = d.sums
	if d.bare {
		if flags&hasFile != 0 {
			r.File = &noLine
		}
		if d.broken {
			return record{}, errRecord
		}
		return r, nil
	}
	if flags&hasFile != 0 {
		r.File = d.file()
		r.File.Path = r.Path
	}
	if flags&hasState != 0 {
		r.State = d.state()
	}
	if d.broken || len(d.rest) > 0 {
		return record{}, errRecord
	}
	return r, nil
}

func (d *decoder) file() *manifest.File {
	if len(d.files) == 0 {
		d.files = make([]manifest.File, dozen)
	}
	f := &d.files[0]
	d.files = d.files[1:]
	f.Type, f.Mode = fileType(d.bytes(d.uint())), uint32(d.uint())
	f.UID, f.GID, f.ModTime = d.int(), d.int(), manifest.Timestamp(d.int())
	f.Size, f.Links, f.Chunk = d.int(), d.int(), d.int()
	f.User, f.Group, f.Link, f.Marked = d.name(&d.owner[0]), d.name(&d.owner[1]), d.string(), d.string()
	copy(f.SHA256[:], d.bytes(uint64(len(f.SHA256))))
	if more := d.bytes(d.uint()); len(more) > 0 {
		var r rare
		d.broken = d.broken || json.Unmarshal(more, &r) != nil
		f.SQLite, f.Xattrs = r.SQLite, r.Xattrs
	}
	return f
}

func (d *decoder) state() *state {
	if len(d.states) == 0 {
		d.states = make([]state, dozen)
	}
	s := &d.states[0]
	d.states = d.states[1:]
	s.file = d.stamp()
	if d.uint() != 0 {
		s.log = d.stamp()
	}
	return s
}

func (d *decoder) stamp() stamp {
	return stamp{Dev: d.uint(), Ino: d.uint(), Size: d.int(), Modified: d.int(), Changed: d.int()}
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.bytes(size(n))
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	d.bytes(size(n))
	return v
}

// size turns the length of a varint that could not be read into one that is refused.
func size(n int) uint64 {
	if n <= 0 {
		return math.MaxUint64
	}
	return uint64(n)
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.broken, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes(d.uint())) }

// name reads a string that is often the same as the last one.
func (d *decoder) name(last *string) string {
	if b := d.bytes(d.uint()); string(b) != *last {
		*last = string(b)
	}
	return *last
}

// fileType returns the type that is called so.
func fileType(name []byte) manifest.FileType {
	for _, t := range [...]manifest.FileType{manifest.Regular, manifest.Directory, manifest.Symlink, manifest.Hardlink} {
		if string(name) == string(t) {
			return t
		}
	}
	return manifest.FileType(name)
}
