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

	"lifeboat/archive"
	"lifeboat/manifest"
)

// writeBase writes what the next snapshot will be compared with.
func (t *take) writeBase(out io.Writer, id manifest.ID, head *manifest.Head, stored []byte) error {
	w := newBaseWriter(out, t.archives, head)
	for _, c := range t.captured {
		name := c.names()
		w.begin(c.Source.Name)
		for r, err := range c.draft.records() {
			if err == nil {
				err = w.add(r, name)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, files := range t.maps.of {
		for _, maps := range files {
			for _, m := range maps {
				w.addMap(m)
			}
		}
	}
	c := contents{ID: id.String(), Manifest: stored, ReadAll: t.began.UTC()}
	if b := t.opts.Base; b != nil && !t.opts.ReadAll {
		c.ReadAll = b.ReadAll
	}
	return w.finish(c)
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
	sections []section
	firsts   [][]first // by section
	count    int       // of firsts
	path     string    // of the last record
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

// newBaseWriter begins a base of a snapshot whose files use these archives.
func newBaseWriter(out io.Writer, archives []*manifest.Archive, head *manifest.Head) *baseWriter {
	w := &baseWriter{out: out, digest: sha256.New(), index: map[manifest.Hash]int{}}
	w.buf = bufio.NewWriterSize(io.MultiWriter(out, w.digest), 256<<10)
	for _, a := range archives {
		w.archive(a)
	}
	roots := make([]int, len(head.Roots))
	for i := range head.Roots {
		roots[i] = w.archive(&head.Roots[i])
	}
	for _, t := range []manifest.Table{head.Files, head.Archives} {
		for _, p := range t.Pieces {
			w.archives[roots[p.Archive]].Alive += p.Len
		}
	}
	return w
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
func (w *baseWriter) begin(source string) {
	w.sections = append(w.sections, section{Source: source, Off: w.off})
	w.firsts = append(w.firsts, nil)
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
	w.path = r.Path
	b, err := w.enc.record(r)
	if err == nil {
		_, err = w.buf.Write(b)
	}
	w.off += int64(len(b))
	s.Len += int64(len(b))
	return err
}

func (w *baseWriter) addMap(m manifest.Map) {
	i := w.index[m.Archive]
	w.archives[i].Alive += m.Len
	w.maps = append(w.maps, baseMap{Archive: i, Off: m.Off, Len: m.Len, SHA256: m.SHA256})
}

// finish writes where files begin, the table of contents, and the digest.
func (w *baseWriter) finish(c contents) error {
	for i, list := range w.firsts {
		slices.SortStableFunc(list, func(a, b first) int { return cmp.Compare(a.sum, b.sum) })
		for _, f := range list {
			var b [firstSize]byte
			binary.BigEndian.PutUint64(b[:], f.sum)
			binary.BigEndian.PutUint64(b[8:], uint64(f.off))
			if _, err := w.buf.Write(b[:]); err != nil {
				return err
			}
		}
		w.sections[i].FirstsOff, w.sections[i].Firsts = w.off, int64(len(list))
		w.off += firstSize * int64(len(list))
	}
	c.Format, c.Sections, c.Maps, c.Archives = baseFormat, w.sections, w.maps, w.archives
	data, err := json.Marshal(c)
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
