package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"slices"
	"strings"

	"lifeboat/archive"
	"lifeboat/internal/validjson"
	"lifeboat/manifest"
)

// plainChunk is the chunk size of files that are not databases.
const plainChunk = 64 << 10

// blockSize is how much of a file is handed from the reader to the packer at once: a whole number of chunks of any size.
const blockSize = archive.MaxSegment

// An item is what the reader hands to the packer: a file, or the next bytes of one.
type item struct {
	file    *manifest.File // on the first item of a file; its Size is what is expected
	block   []byte         // the next bytes
	small   bool           // the block is the whole file, and lies in the batch
	zeros   int64          // the next bytes are so many zeros, a whole number of blocks unless they are the last
	again   bool           // forget the bytes so far: the file is read once more
	prefix  int64          // with again: how many bytes of it there is to be a digest of
	digest  chan<- digests
	reached chan<- struct{} // closed when the packer has come so far
	drop    bool            // the file could not be read to its end: it has no line
	end     bool            // the file is complete, and all of its line but digest and extents is right
	same    bool            // all of its line is right, and its content is that of the base
	state   *state          // with end: what proves later that it is still the same
	cut     bool            // and nothing more goes into the archive that is open
	mark    bool            // what comes from now on may have to be forgotten
	forget  bool            // forget all that came since the mark
}

// digests are those of the bytes of a file so far.
type digests struct{ all, prefix manifest.Hash }

// A packer hashes files, cuts them into chunks, packs those that are not zeros into segments, and writes lines to the draft.
type packer struct {
	c       *capture
	file    *manifest.File
	digest  hash.Hash
	off     int64 // bytes of the file so far
	mark    int64 // where the prefix ends whose digest may be asked for
	prefix  manifest.Hash
	json    bool // the file should be JSON
	badJSON bool
	single  manifest.Hash // of a file that is one chunk, whose sum is the beginning of it; zero for any other

	base  *cursor // what the content is compared with, chunk by chunk; nil for nothing
	moved *cursor // the file that it may have been under another name, in the place of base; nil for none

	segment int    // the longest, in bytes: no longer than an archive is to be
	seg     []byte // new bytes that are not packed yet
	sums    []archive.ChunkSum
	segOff  int64     // where the first of them lies in the file
	waiting []stretch // of the file, from the first byte in seg on

	extents extents
	memory  memory

	marked struct { // what there was at the mark
		draft draftMark
		line  manifest.Source
	}
}

// A stretch is bytes of a file that follow each other: in the segment that is being collected, or in a place that
// is known.
type stretch struct {
	inSegment bool
	place     archive.Place
	sum       archive.ChunkSum // of a stretch that is one chunk
}

func newPacker(c *capture) *packer {
	segment := archive.MaxSegment
	if limit := c.t.opts.ArchiveLimit; limit > 0 {
		segment = int(min(limit, archive.MaxSegment))
	}
	return &packer{c: c, digest: sha256.New(), base: c.t.opts.Base.bareCursor(c.Source.Name),
		segment: segment, seg: make([]byte, 0, archive.MaxSegment), extents: extents{draft: c.draft}}
}

func (p *packer) take(it item) error {
	if it.same {
		if err := p.same(it); err != nil {
			return err
		}
	}
	if it.file != nil && !it.again && !it.same {
		if err := p.begin(it.file); err != nil {
			return err
		}
		if it.small && len(it.block) <= p.chunk() {
			p.single = manifest.HashOf(it.block)
		}
	}
	if it.again {
		if err := p.again(it); err != nil {
			return err
		}
	}
	if it.drop {
		return p.drop()
	}
	if it.mark {
		if err := p.setMark(); err != nil {
			return err
		}
	}
	if it.forget {
		if err := p.forget(); err != nil {
			return err
		}
	}
	if len(it.block) > 0 {
		if err := p.block(it.block); err != nil {
			return err
		}
	}
	if it.zeros > 0 {
		if err := p.zeros(it.zeros); err != nil {
			return err
		}
	}
	if it.digest != nil {
		it.digest <- digests{manifest.Hash(p.digest.Sum(nil)), p.prefix}
	}
	if it.end {
		if err := p.end(it.state); err != nil {
			return err
		}
	}
	if it.cut {
		if err := p.c.writer.Cut(); err != nil {
			return err
		}
	}
	if it.reached != nil {
		close(it.reached)
	}
	return nil
}

func (p *packer) begin(f *manifest.File) error {
	p.file = f
	p.memory.forget(min(f.Size/int64(p.chunk())+1, maxMemory))
	p.json = strings.HasSuffix(f.Path, ".json") && f.SQLite == nil
	p.extents.begin(f.Path)
	p.restart(0)
	p.moved = nil
	return p.base.begin(f.Path, p.chunk())
}

// same packs a file whose content is that of the base.
func (p *packer) same(it item) error {
	p.file = it.file
	p.extents.begin(it.file.Path)
	p.extents.chunk = it.file.Chunk
	if err := p.base.begin(it.file.Path, int(it.file.Chunk)); err != nil {
		return err
	}
	if err := p.base.copyTo(&p.extents); err != nil {
		return err
	}
	p.c.t.opts.Meter.Add(it.file.Size)
	return p.counted(it.state)
}

// again begins another attempt at the file. What the last one was packed to is remembered, so it must all be packed.
func (p *packer) again(it item) error {
	if err := p.flush(); err != nil {
		return err
	}
	if it.file != nil {
		p.file = it.file
	}
	p.memory.again()
	p.base.end() // what the last attempt found there is remembered
	p.moved = nil
	p.extents.again()
	p.restart(it.prefix)
	if it.prefix == 0 {
		p.digest.Sum(p.prefix[:0])
	}
	return nil
}

// drop forgets the file.
func (p *packer) drop() error {
	p.seg, p.sums, p.waiting = p.seg[:0], p.sums[:0], p.waiting[:0]
	p.extents.again()
	return nil
}

// setMark notes where the packer is, between two files.
func (p *packer) setMark() (err error) {
	p.marked.line = p.c.line
	p.marked.draft, err = p.c.draft.mark()
	return err
}

// forget goes back to the mark. What was packed since lies in archives in vain.
func (p *packer) forget() error {
	was, now := p.marked.line, &p.c.line
	p.c.t.opts.Meter.Add(was.Bytes - now.Bytes)
	now.Files, now.Bytes, now.Databases = was.Files, was.Bytes, was.Databases
	p.base = p.c.t.opts.Base.bareCursor(p.c.Source.Name)
	return p.c.draft.forget(p.marked.draft)
}

func (p *packer) restart(mark int64) {
	p.digest.Reset()
	p.off, p.mark = 0, mark
	p.prefix = manifest.Hash{}
	p.badJSON = false
	p.single = manifest.Hash{}
	p.extents.chunk = int64(p.chunk())
}

func (p *packer) chunk() int {
	if p.file.SQLite != nil {
		return max(4096, p.file.SQLite.PageSize)
	}
	return plainChunk
}

// zeroBlock is as long as a block, and longer than the longest chunk.
var zeroBlock [blockSize]byte

// zeros packs zeros that nobody had to read.
func (p *packer) zeros(n int64) error {
	if p.json {
		p.badJSON = p.off == 0
	}
	for left := n; left > 0; {
		b := zeroBlock[:min(blockSize, left)]
		p.hash(b)
		p.off += int64(len(b))
		left -= int64(len(b))
	}
	p.c.t.opts.Meter.Add(n)
	chunk := int64(p.chunk())
	for left := n; left > 0; left -= chunk {
		p.memory.add(archive.ChunkSum{}, archive.Place{Archive: zeros, Len: min(chunk, left)})
	}
	if err := errors.Join(p.base.skip(n), p.moved.skip(n)); err != nil {
		return err
	}
	return p.place(archive.Place{Archive: zeros, Len: n}, archive.ChunkSum{})
}

// block packs the next bytes of the file. Only the last block of a file is not a whole number of chunks.
func (p *packer) block(b []byte) error {
	if p.single.IsZero() {
		p.hash(b)
	}
	p.c.t.opts.Meter.Add(int64(len(b)))
	if p.json { // as long as it fits into one block
		p.badJSON = p.off == 0 && !validjson.Valid(b)
	}
	chunk := p.chunk()
	for len(b) > 0 {
		n := min(chunk, len(b))
		if err := p.one(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		p.off += int64(n)
	}
	return nil
}

func (p *packer) hash(b []byte) {
	if n := p.mark - p.off; n > 0 && n <= int64(len(b)) {
		p.digest.Write(b[:n])
		p.digest.Sum(p.prefix[:0])
		b = b[n:]
	}
	p.digest.Write(b)
}

// sum returns the sum of a chunk.
func (p *packer) sum(b []byte) archive.ChunkSum {
	if !p.single.IsZero() {
		return archive.ChunkSum(p.single[:])
	}
	return archive.SumOf(b)
}

// one packs one chunk.
func (p *packer) one(b []byte) error {
	n := int64(len(b))
	before := p.base
	if p.moved != nil {
		before = p.moved
	}
	was, at, err := before.chunk(n)
	if err != nil {
		return err
	}
	if bytes.Equal(b, zeroBlock[:n]) {
		p.memory.add(archive.ChunkSum{}, archive.Place{Archive: zeros, Len: n})
		return p.place(archive.Place{Archive: zeros, Len: n}, archive.ChunkSum{})
	}
	sum := p.sum(b)
	if at, ok := p.memory.same(sum); ok {
		return p.place(at, sum)
	}
	if p.off == 0 && was != sum && p.memory.first() {
		if p.moved, err = p.base.moved(sum, p.chunk()); err != nil {
			return err
		}
		if was, at, err = p.moved.chunk(n); err != nil {
			return err
		}
	}
	if at.Len == n && was == sum {
		p.memory.add(sum, at)
		return p.place(at, sum)
	}
	if was == sum {
		p.c.again += n
	}
	if len(p.seg)+len(b) > p.segment {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if len(p.seg) == 0 {
		p.segOff = p.off
	}
	p.seg = append(p.seg, b...)
	p.sums = append(p.sums, sum)
	p.memory.add(sum, archive.Place{})
	p.waiting = append(p.waiting, stretch{inSegment: true, place: archive.Place{Len: n}, sum: sum})
	return nil
}

// place adds a chunk, or zeros, whose place is known. It waits behind those that have none yet.
func (p *packer) place(at archive.Place, sum archive.ChunkSum) error {
	if len(p.seg) == 0 {
		return p.extents.add(at, sum)
	}
	p.waiting = append(p.waiting, stretch{place: at, sum: sum})
	return nil
}

// flush packs the segment, and so gives every stretch its place.
func (p *packer) flush() error {
	if len(p.seg) == 0 {
		return nil
	}
	name := archive.WholeName(p.file.Path)
	if int64(len(p.seg)) != p.file.Size {
		name = archive.PartName(p.file.Path, p.segOff)
	}
	at, err := p.c.writer.Add(archive.Segment{Name: name, Data: p.seg, Chunk: p.chunk(), Sums: p.sums})
	if err != nil {
		return err
	}
	next := at.Off
	for _, s := range p.waiting {
		if s.inSegment {
			n := s.place.Len
			s.place = archive.Place{Archive: at.Archive, Off: next, Len: n}
			p.memory.placed(s.place)
			next += n
		}
		if err := p.extents.add(s.place, s.sum); err != nil {
			return err
		}
	}
	p.seg, p.sums, p.waiting = p.seg[:0], p.sums[:0], p.waiting[:0]
	return nil
}

func (p *packer) end(proof *state) error {
	if err := p.flush(); err != nil {
		return err
	}
	f := p.file
	if f.Type == manifest.Regular {
		f.Size = p.off
		if f.SHA256 = p.single; f.SHA256.IsZero() {
			p.digest.Sum(f.SHA256[:0])
		}
		if f.Size > 0 {
			f.Chunk = int64(p.chunk())
		}
		if p.badJSON {
			proof = nil // the next snapshot is to say so too
			p.c.t.problems.addDetail(problemJSON, p.c.Source.Name, f.Path, "it is stored as it is, but does not parse as JSON")
		}
	}
	return p.counted(proof)
}

// counted ends a file whose line is complete.
func (p *packer) counted(proof *state) error {
	f := p.file
	p.c.t.opts.Meter.File()
	p.c.line.Files++
	p.c.line.Bytes += f.Size
	if f.SQLite != nil {
		p.c.line.Databases++
	}
	return p.extents.end(f, proof)
}

// extents joins the places of a file to extents and writes them to the draft, one record for each MapSpan.
type extents struct {
	draft  *draft
	path   string
	chunk  int64              // chunk size
	places []archive.Place    // of this record
	sums   []archive.ChunkSum // of this record
	span   int64              // bytes in places
	total  int                // extents in earlier records
}

func (e *extents) begin(path string) {
	*e = extents{draft: e.draft, path: path, chunk: e.chunk, places: e.places[:0], sums: e.sums[:0]}
}

// add appends one chunk, or any number of zeros. A record holds whole chunks, so only zeros are ever divided.
func (e *extents) add(at archive.Place, sum archive.ChunkSum) error {
	for at.Len > 0 {
		if err := e.room(at.Archive); err != nil {
			return err
		}
		n := min(at.Len, manifest.MapSpan-e.span)
		e.join(archive.Place{Archive: at.Archive, Off: at.Off, Len: n})
		for range (n + e.chunk - 1) / e.chunk {
			e.sums = append(e.sums, sum)
		}
		e.span += n
		at.Len -= n
	}
	return nil
}

// run appends what a record of the base has, which begins and ends where records do.
func (e *extents) run(r record) error {
	for _, at := range r.Places {
		if err := e.room(at.Archive); err != nil {
			return err
		}
		e.join(at)
		e.span += at.Len
	}
	e.sums = append(e.sums, r.Sums...)
	return nil
}

// room writes the record if it is full, before something that lies in an archive is appended.
func (e *extents) room(next int) error {
	if e.span < manifest.MapSpan {
		return nil
	}
	if err := e.draft.add(record{Path: e.path, Chunk: e.chunk, Places: e.places, Sums: e.sums}); err != nil {
		return err
	}
	e.total += len(e.places)
	if e.places[len(e.places)-1].Archive == zeros && next == zeros {
		e.total-- // one run of zeros, which is cut only here
	}
	e.places, e.sums, e.span = e.places[:0], e.sums[:0], 0
	return nil
}

// join appends a place, or makes the last one longer when this one follows it. Members lie at least a header apart, so
// what follows directly is of the same member.
func (e *extents) join(at archive.Place) {
	if k := len(e.places) - 1; k >= 0 && e.places[k].Archive == at.Archive {
		last := &e.places[k]
		if at.Archive == zeros || last.Off+last.Len == at.Off {
			last.Len += at.Len
			return
		}
	}
	e.places = append(e.places, at)
}

// again forgets the extents of the file so far.
func (e *extents) again() {
	e.begin(e.path)
	e.draft.again()
}

func (e *extents) end(f *manifest.File, proof *state) error {
	return e.draft.add(record{Path: e.path, Chunk: e.chunk, Places: e.places, Sums: e.sums, File: f, State: proof,
		Large: e.total+len(e.places) > manifest.MaxInline})
}

// memory remembers what the last attempt at a file was packed to, chunk by chunk, so that when a file is read
// again because it changed, only what changed is packed again.
type memory struct {
	last, next []chunkAt
	index      int // of the chunk that comes
	unplaced   int // index in next of the first chunk that waits for its place
}

type chunkAt struct {
	sum archive.ChunkSum
	at  archive.Place
}

// maxMemory is how many chunks are remembered: 16 GiB of a file. What lies beyond is packed again.
const maxMemory = 1 << 18

// first reports that this is the first attempt.
func (m *memory) first() bool { return len(m.last) == 0 }

// forget begins a file that is likely to have so many chunks.
func (m *memory) forget(chunks int64) {
	*m = memory{last: m.last[:0], next: slices.Grow(m.next[:0], int(chunks))}
}

// again begins another attempt at the same file.
func (m *memory) again() { *m = memory{last: m.next, next: m.last[:0]} }

// same returns the place of the chunk that comes, if the last attempt found the same one there.
func (m *memory) same(sum archive.ChunkSum) (archive.Place, bool) {
	if m.index >= len(m.last) || m.last[m.index].sum != sum {
		return archive.Place{}, false
	}
	at := m.last[m.index].at
	m.add(sum, at)
	return at, true
}

// add remembers the chunk that comes. An empty place says that it will be given by placed.
func (m *memory) add(sum archive.ChunkSum, at archive.Place) {
	m.index++
	if len(m.next) < maxMemory {
		m.next = append(m.next, chunkAt{sum, at})
	}
}

// placed gives a place to the first chunk that waits for one.
func (m *memory) placed(at archive.Place) {
	for m.unplaced < len(m.next) && m.next[m.unplaced].at.Len != 0 {
		m.unplaced++
	}
	if m.unplaced < len(m.next) {
		m.next[m.unplaced].at = at
	}
}
