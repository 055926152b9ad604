package snapshot

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// writeBase writes what the next snapshot will be compared with.
func (t *take) writeBase(out io.Writer, id manifest.ID, head *manifest.Head, stored []byte) error {
	w := newBaseWriter(out, t.archives)
	w.origin(origin{Name: id.String(), Manifest: stored, head: head})
	for _, c := range t.captured {
		name := c.names()
		w.begin(section{Source: c.Source.Name, ReadAll: t.readAll(c.Source.Name), Changed: c.changed()})
		for r, err := range c.draft.records() {
			if err == nil {
				err = w.add(r, name)
			}
			if err != nil {
				return err
			}
		}
	}
	for c, files := range t.maps.of {
		for _, maps := range files {
			for _, m := range maps {
				w.addMap(c.Source.Name, m)
			}
		}
	}
	if err := t.carryOn(w); err != nil {
		return err
	}
	return w.finish()
}

// readAll returns when every byte of a source that was captured was last read.
func (t *take) readAll(source string) time.Time {
	if s, ok := t.opts.Base.section(source); ok && !t.opts.ReadAll {
		return s.ReadAll
	}
	return t.began.UTC()
}

// carryOn writes what the base has of the sources that belong to the application and are not in this snapshot: they were left out, or
// there was nothing of them.
func (t *take) carryOn(w *baseWriter) error {
	captured := map[string]bool{}
	for _, c := range t.captured {
		captured[c.Source.Name] = true
	}
	for _, name := range t.meant {
		if s, ok := t.opts.Base.section(name); ok && !captured[name] {
			if err := w.carry(t.opts.Base, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed returns how many bytes the content takes in the store that was new, about: archives have it together with what was stored again.
func (c *capture) changed() int64 {
	var data, size int64
	for _, a := range c.writer.Archives() {
		data += a.Data
		size += a.Size
	}
	return int64(float64(size) * float64(data-c.again) / float64(max(1, data)))
}

// A baseWriter writes a base.
type baseWriter struct {
	out      io.Writer
	buf      *bufio.Writer
	digest   hash.Hash
	off      int64
	enc      encoder
	archives []BaseArchive
	index    map[manifest.Hash]int
	origins  []origin
	counted  map[manifest.Hash]bool // pieces
	sections []section
	firsts   [][]first // by section
	count    int       // of firsts
	path     string    // of the last record
	at       int64     // where the records of that file begin in the section
	maps     []baseMap
	places   []archive.Place
}

// A first says where a file begins in a section, by the sum of its first chunk, so that it is found again when it was moved. There are no more
// than maxFirsts.
type first struct {
	sum uint64 // the beginning of it
	off int64
}

const (
	firstSize = 16
	maxFirsts = 1 << 20
)

// newBaseWriter begins a base of a snapshot whose files use these archives. Its origin follows.
func newBaseWriter(out io.Writer, archives []*manifest.Archive) *baseWriter {
	w := &baseWriter{out: out, digest: sha256.New(), index: map[manifest.Hash]int{}, counted: map[manifest.Hash]bool{}}
	w.buf = bufio.NewWriterSize(io.MultiWriter(out, w.digest), 256<<10)
	for _, a := range archives {
		w.archive(a)
	}
	return w
}

// origin adds a snapshot that something in the base is of, unless it is there, and returns its number.
func (w *baseWriter) origin(o origin) int {
	if i := slices.IndexFunc(w.origins, func(other origin) bool { return other.Name == o.Name }); i >= 0 {
		return i
	}
	w.origins = append(w.origins, o)
	roots := make([]int, len(o.head.Roots))
	for i := range o.head.Roots {
		roots[i] = w.archive(&o.head.Roots[i])
	}
	for _, t := range []manifest.Table{o.head.Files, o.head.Archives} {
		for _, p := range t.Pieces {
			if !w.counted[p.SHA256] {
				w.archives[roots[p.Archive]].Alive += p.Len
			}
			w.counted[p.SHA256] = true
		}
	}
	return len(w.origins) - 1
}

func (w *baseWriter) archive(a *manifest.Archive) int {
	i, ok := w.index[a.SHA256]
	if !ok {
		i = len(w.archives)
		w.index[a.SHA256] = i
		w.archives = append(w.archives, BaseArchive{Archive: *a})
	}
	return i
}

// begin begins the records of a source.
func (w *baseWriter) begin(s section) {
	s.Off, s.Len, s.Databases = w.off, 0, nil
	w.sections = append(w.sections, s)
	w.firsts = append(w.firsts, nil)
	w.path = ""
}

// carry writes what another base has of a source.
func (w *baseWriter) carry(b *Base, s section) error {
	from := s
	s.Origin = w.origin(b.origins[s.Origin])
	w.begin(s)
	name := func(ordinal int) manifest.Hash {
		a := &b.Archives[indexOf(ordinal)].Archive
		w.archive(a)
		return a.SHA256
	}
	c := b.cursorAt(from, 0, false)
	for ; !c.over; c.next() {
		if err := w.add(c.rec, name); err != nil {
			return err
		}
	}
	for _, m := range b.mapList {
		if a := &b.Archives[m.Archive].Archive; m.Source == s.Source {
			w.archive(a)
			w.addMap(s.Source, manifest.Map{Extent: manifest.Extent{Archive: a.SHA256, Off: m.Off, Len: m.Len}, SHA256: m.SHA256})
		}
	}
	return c.err
}

// add appends a record of a draft, whose archives name names.
func (w *baseWriter) add(r record, name func(ordinal int) manifest.Hash) error {
	w.places = w.places[:0]
	for _, at := range r.Places {
		if at.Archive != zeros {
			i, ok := w.index[name(at.Archive)]
			if !ok {
				return fmt.Errorf("archive %s is not among those of the snapshot", name(at.Archive))
			}
			at.Archive = i
		}
		w.places = append(w.places, at)
	}
	r.Places = w.places
	return w.write(r)
}

// write appends a record, whose archives are those of the base.
func (w *baseWriter) write(r record) error {
	s := &w.sections[len(w.sections)-1]
	for _, at := range r.Places {
		if at.Archive != zeros {
			w.archives[at.Archive].Source = s.Source
			w.archives[at.Archive].Alive += at.Len
		}
	}
	if r.Path != w.path && len(r.Sums) > 0 && r.Places[0].Archive != zeros && w.count < maxFirsts {
		i := len(w.firsts) - 1
		w.firsts[i] = append(w.firsts[i], first{binary.BigEndian.Uint64(r.Sums[0][:]), s.Len})
		w.count++
	}
	if r.Path != w.path {
		w.at = s.Len
	}
	if r.File != nil && r.File.SQLite != nil && len(s.Databases) < maxDatabases {
		s.Databases = append(s.Databases, baseDatabase{r.Path, w.at})
	}
	w.path = r.Path
	b, err := w.enc.record(r)
	if err == nil {
		_, err = w.buf.Write(b)
	}
	w.off += int64(len(b))
	s.Len += int64(len(b))
	return err
}

func (w *baseWriter) addMap(source string, m manifest.Map) {
	i := w.index[m.Archive]
	w.archives[i].Alive += m.Len
	w.maps = append(w.maps, baseMap{Source: source, Archive: i, Off: m.Off, Len: m.Len, SHA256: m.SHA256})
}

// finish writes where files begin, the table of contents, and the digest.
func (w *baseWriter) finish() error {
	var b []byte
	for i, list := range w.firsts {
		slices.SortStableFunc(list, func(a, b first) int { return cmp.Compare(a.sum, b.sum) })
		for _, f := range list {
			b = binary.BigEndian.AppendUint64(b[:0], f.sum)
			b = binary.BigEndian.AppendUint64(b, uint64(f.off))
			if _, err := w.buf.Write(b); err != nil {
				return err
			}
		}
		w.sections[i].FirstsOff, w.sections[i].Firsts = w.off, int64(len(list))
		w.off += firstSize * int64(len(list))
	}
	data, err := json.Marshal(contents{Format: baseFormat, Origins: w.origins, Sections: w.sections, Maps: w.maps, Archives: w.archives})
	if err != nil {
		return err
	}
	if _, err := w.buf.Write(data); err != nil {
		return err
	}
	if err := binary.Write(w.buf, binary.LittleEndian, uint64(len(data))); err != nil {
		return err
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	_, err = w.out.Write(w.digest.Sum(nil))
	return err
}
