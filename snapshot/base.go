package snapshot

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A Base is the snapshot that a new one is compared with: what is the same becomes extents into its archives, and only the rest is packed.
// It is a file, which the last capture left: for each source the records of its draft, in the order of the files table, so that it is read
// beside the walk from the beginning to the end and takes no memory to speak of. At its end is a table of contents, the manifest that
// it describes, and a digest of all of it, which is checked before anything is believed.
//
// A source that the last capture left out, or of which there was nothing, is in it as an earlier one found it: its records are carried on.
//
// Nothing is lost with it: see RebuildBase. A Base may be used by one capture at a time.
type Base struct {
	ID   manifest.ID
	Head *manifest.Head
	// Archives are those that the files of the snapshot use, or its tables.
	Archives []BaseArchive
	// Scale divides the sizes that LeanOn goes by, for a simulation on data that is so many times smaller than what is meant; 0 means 1.
	Scale int64
	// Limit is where archives end, as Options.ArchiveLimit has it; LeanOn goes by it.
	Limit int64

	file     *os.File
	sections []section
	origins  []origin // ID, and those of the sources that it left out
	mapList  []baseMap
	maps     map[manifest.Hash]manifest.Extent
	usable   []bool // by index in Archives; see LeanOn
	used     []bool
	index    map[manifest.Hash]int
}

// A BaseArchive is an archive that a new snapshot may lean on.
type BaseArchive struct {
	manifest.Archive
	Source string `json:"source,omitempty"` // whose content it holds; "" for tables
	Alive  int64  `json:"alive"`            // bytes of it that the snapshot uses
}

// baseFormat is what the table of contents begins with. What is of another format is no base.
const baseFormat = "lifeboat-base/2"

// contents is the table of contents of a base.
type contents struct {
	Format   string        `json:"format"`
	Origins  []origin      `json:"origins"` // the last snapshot, and then those of sources that were carried on
	Sections []section     `json:"sections"`
	Maps     []baseMap     `json:"maps,omitempty"`
	Archives []BaseArchive `json:"archives"`
}

// An origin is a snapshot that something in a base is of.
type origin struct {
	Name     string `json:"id"`
	Manifest []byte `json:"manifest"` // as it is stored

	id   manifest.ID
	head *manifest.Head
}

// A section is the records of one source.
type section struct {
	Source  string    `json:"source"`
	Origin  int       `json:"origin,omitempty"`
	ReadAll time.Time `json:"read_all"`          // when every byte of it was last read; zero if that is not known
	Changed int64     `json:"changed,omitempty"` // what its content takes in the store that was new, but for what was stored again; 0 also if that is not known
	Off     int64     `json:"off"`
	Len     int64     `json:"len"`

	FirstsOff int64 `json:"firsts_off"` // where its files begin, ascending by sum; see first
	Firsts    int64 `json:"firsts"`

	Databases []baseDatabase `json:"databases,omitempty"` // at most maxDatabases
}

// A baseDatabase says where the records of a database begin in a section.
type baseDatabase struct {
	Path string `json:"path"`
	Off  int64  `json:"off"`
}

// maxDatabases is how many databases of a source are listed; others are found only by their names or by reading their beginnings.
const maxDatabases = 1 << 14

// A baseMap is a map that lies in an archive.
type baseMap struct {
	Source  string        `json:"source"`
	Archive int           `json:"archive"`
	Off     int64         `json:"off"`
	Len     int64         `json:"len"`
	SHA256  manifest.Hash `json:"sha256"`
}

// A base ends with how long the contents are, in 8 bytes, and the SHA-256 of all that is before it.
const baseEnd = 8 + sha256.Size

// maxContents bounds what is read into memory of a base.
const maxContents = 1 << 30

// ErrNoBase marks a file that is no base, or not one of this version: there is nothing to be compared with until it is made anew.
var ErrNoBase = errors.New("it is not what a snapshot can be compared with")

// OpenBase opens a base, after it has read all of it and compared it with its digest. Close closes it.
func OpenBase(path string) (_ *Base, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	c, err := readContents(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := &Base{Archives: c.Archives, file: f, sections: c.Sections, origins: c.Origins, mapList: c.Maps,
		maps: make(map[manifest.Hash]manifest.Extent, len(c.Maps)), index: make(map[manifest.Hash]int, len(c.Archives)),
		usable: make([]bool, len(c.Archives)), used: make([]bool, len(c.Archives))}
	for i := range b.origins {
		if err := b.origins[i].parse(); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", path, ErrNoBase, err)
		}
	}
	if len(b.origins) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNoBase)
	}
	b.ID, b.Head = b.origins[0].id, b.origins[0].head
	for i := range c.Archives {
		if err := c.Archives[i].Check(); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", path, ErrNoBase, err)
		}
		b.index[c.Archives[i].SHA256] = i
	}
	for _, s := range c.Sections {
		if s.Origin < 0 || s.Origin >= len(b.origins) {
			return nil, fmt.Errorf("%s: %w", path, ErrNoBase)
		}
	}
	for _, m := range c.Maps {
		if m.Archive < 0 || m.Archive >= len(c.Archives) {
			return nil, fmt.Errorf("%s: %w", path, ErrNoBase)
		}
		b.maps[m.SHA256] = manifest.Extent{Archive: c.Archives[m.Archive].SHA256, Off: m.Off, Len: m.Len}
	}
	return b, nil
}

func (o *origin) parse() (err error) {
	if o.id, err = manifest.ParseID(o.Name); err == nil {
		o.head, err = layout.ParseManifest(o.id, o.Manifest)
	}
	return err
}

// readContents reads the table of contents of a file that is whole.
func readContents(f *os.File) (*contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size() - baseEnd
	if end < 0 {
		return nil, ErrNoBase
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(f, 0, end+8)); err != nil {
		return nil, err
	}
	var last [baseEnd]byte
	if _, err := f.ReadAt(last[:], end); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint64(last[:]))
	if string(digest.Sum(nil)) != string(last[8:]) || n < 0 || n > min(end, maxContents) {
		return nil, fmt.Errorf("%w: its bytes do not have the digest at its end", ErrNoBase)
	}
	data := make([]byte, n)
	if _, err := f.ReadAt(data, end-n); err != nil {
		return nil, err
	}
	var c contents
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBase, err)
	}
	if c.Format != baseFormat {
		return nil, fmt.Errorf("%w: it is of format %.40q", ErrNoBase, c.Format)
	}
	return &c, nil
}

// Close closes the file.
func (b *Base) Close() error {
	if b == nil {
		return nil
	}
	return b.file.Close()
}

// IDs returns the snapshots that something in it is of: ID, and earlier ones of sources that ID left out.
func (b *Base) IDs() (ids []manifest.ID) {
	for _, o := range b.origins {
		ids = append(ids, o.id)
	}
	return ids
}

// ReadAll returns when every byte of the sources was last read: of the one of which that is longest ago. One that it does not have will be
// read anyway.
func (b *Base) ReadAll(sources []Source) (at time.Time) {
	first := true
	for _, src := range sources {
		if s, ok := b.section(src.Name); ok && (first || s.ReadAll.Before(at)) {
			at, first = s.ReadAll, false
		}
	}
	return at
}

func (b *Base) section(source string) (section, bool) {
	if b != nil {
		for _, s := range b.sections {
			if s.Source == source {
				return s, true
			}
		}
	}
	return section{}, false
}

// databases returns where the records of the databases of a source begin, by their paths.
func (b *Base) databases(source string) map[string]int64 {
	s, _ := b.section(source)
	list := make(map[string]int64, len(s.Databases))
	for _, d := range s.Databases {
		list[d.Path] = d.Off
	}
	return list
}

// database returns what is known of a database, or nil.
func (b *Base) database(source, path string) (*known, error) {
	s, _ := b.section(source)
	for _, d := range s.Databases {
		if d.Path == path && d.Off >= 0 && d.Off < s.Len {
			return knownDatabase(b.cursorAt(s, d.Off, false), path)
		}
	}
	return nil, nil
}

// Used returns the archives that the new snapshot leans on.
func (b *Base) Used() []*manifest.Archive {
	if b == nil {
		return nil
	}
	var list []*manifest.Archive
	for i, used := range b.used {
		if used {
			list = append(list, &b.Archives[i].Archive)
		}
	}
	return list
}

// An archive of the base has an ordinal below that of zeros.
func ordinalOf(index int) int { return zeros - 1 - index }
func indexOf(ordinal int) int { return zeros - 1 - ordinal }

// use notes that an archive is leaned on, and returns its name.
func (b *Base) use(ordinal int) manifest.Hash {
	i := indexOf(ordinal)
	b.used[i] = true
	return b.Archives[i].SHA256
}

// mapOf returns where a map lies that the base has too, if it may be leaned on.
func (b *Base) mapOf(sum manifest.Hash) (archive.Place, bool) {
	if b == nil {
		return archive.Place{}, false
	}
	e, ok := b.maps[sum]
	if !ok || !b.usable[b.index[e.Archive]] {
		return archive.Place{}, false
	}
	return archive.Place{Archive: ordinalOf(b.index[e.Archive]), Off: e.Off, Len: e.Len}, true
}

// pieces returns the pieces of the tables of the base that may be leaned on, by their digests; the archives are named by ordinals.
func (b *Base) pieces() map[manifest.Hash]archive.Place {
	if b == nil {
		return nil
	}
	pieces := map[manifest.Hash]archive.Place{}
	for _, o := range b.origins {
		for _, t := range []manifest.Table{o.head.Files, o.head.Archives} {
			for _, p := range t.Pieces {
				if i, ok := b.index[o.head.Roots[p.Archive].SHA256]; ok && b.usable[i] {
					pieces[p.SHA256] = archive.Place{Archive: ordinalOf(i), Off: p.Off, Len: p.Len}
				}
			}
		}
	}
	return pieces
}

// A cursor reads what the base has of one source, file by file in the order of the files table. A nil cursor finds nothing.
type cursor struct {
	base *Base
	of   section
	dec  decoder
	rec  record // the one that comes, unless over
	over bool
	err  error

	open  bool  // rec is of the file that is being compared
	i     int   // the chunk that comes, in rec
	place int   // the place that it lies in
	off   int64 // how far into that

	asked answer // of the last line
}

// An answer is what line has said.
type answer struct {
	path  string
	file  *manifest.File
	proof *state
}

// cursor returns a cursor at the beginning of a source.
func (b *Base) cursor(source string) *cursor {
	s, ok := b.section(source)
	if !ok {
		return nil
	}
	return b.cursorAt(s, 0, false)
}

// bareCursor returns one that has no lines, and is of no use but to compare contents.
func (b *Base) bareCursor(source string) *cursor {
	s, ok := b.section(source)
	if !ok {
		return nil
	}
	return b.cursorAt(s, 0, true)
}

// cursorAt returns a cursor at a record of a section.
func (b *Base) cursorAt(s section, off int64, bare bool) *cursor {
	c := &cursor{base: b, of: s, dec: decoder{bare: bare, r: bufio.NewReaderSize(io.NewSectionReader(b.file, s.Off+off, s.Len-off), 256<<10)}}
	c.next()
	return c
}

// moved returns a cursor at a file of the same source that begins with a chunk, or nil: the file that is being compared may be that one under
// another name.
func (c *cursor) moved(sum archive.ChunkSum, chunk int) (*cursor, error) {
	if c == nil {
		return nil, nil
	}
	var b [firstSize]byte
	var err error
	at := func(i int) (first, bool) {
		if _, readErr := c.base.file.ReadAt(b[:], c.of.FirstsOff+firstSize*int64(i)); readErr != nil {
			err = readErr
			return first{}, false
		}
		return first{binary.BigEndian.Uint64(b[:]), int64(binary.BigEndian.Uint64(b[8:]))}, true
	}
	want := binary.BigEndian.Uint64(sum[:])
	i := sort.Search(int(c.of.Firsts), func(i int) bool {
		f, ok := at(i)
		return !ok || f.sum >= want
	})
	if err != nil || i == int(c.of.Firsts) {
		return nil, err
	}
	f, ok := at(i)
	if !ok || f.sum != want || f.off < 0 || f.off >= c.of.Len {
		return nil, err
	}
	m := c.base.cursorAt(c.of, f.off, true)
	if m.over || m.rec.Chunk != int64(chunk) {
		return nil, m.err
	}
	m.open = true
	return m, nil
}

// next reads the record that comes.
func (c *cursor) next() {
	c.rec, c.err = c.dec.record()
	if errors.Is(c.err, io.EOF) {
		c.err = nil
		c.over = true
	}
	c.over = c.over || c.err != nil
	for i := range c.rec.Places {
		at := &c.rec.Places[i]
		if at.Archive == zeros {
			continue
		}
		if at.Archive < 0 || at.Archive >= len(c.base.Archives) || c.base.Archives[at.Archive].Contains(at.Off, at.Len) != nil {
			c.rec, c.err, c.over = record{}, errRecord, true
			return
		}
		at.Archive = ordinalOf(at.Archive)
	}
	c.i, c.place, c.off = 0, 0, 0
}

// find goes to the records of a file, which must come after those of the file before.
func (c *cursor) find(path string) (bool, error) {
	if c == nil {
		return false, nil
	}
	for !c.over && manifest.ComparePaths(c.rec.Path, path) < 0 {
		c.next()
	}
	return !c.over && c.rec.Path == path, c.err
}

// begin begins to compare a file, if the base has it in chunks of the same size.
func (c *cursor) begin(path string, chunk int) error {
	found, err := c.find(path)
	if c != nil {
		c.open = found && c.rec.Chunk == int64(chunk)
	}
	return err
}

// end ends the comparison: nothing more is found.
func (c *cursor) end() {
	if c != nil {
		c.open = false
	}
}

// chunk returns the sum of the next n bytes, which are the next chunk, and where they lie. The place is empty where there is none that may
// be leaned on.
func (c *cursor) chunk(n int64) (sum archive.ChunkSum, at archive.Place, err error) {
	if c == nil || !c.open {
		return sum, at, nil
	}
	if c.i == len(c.rec.Sums) {
		last := c.rec.File != nil
		if !last {
			c.next()
		}
		if last || c.over {
			c.open = false
			return sum, at, c.err
		}
	}
	if c.place == len(c.rec.Places) {
		return sum, at, errRecord
	}
	sum = c.rec.Sums[c.i]
	c.i++
	p := c.rec.Places[c.place]
	at = archive.Place{Archive: p.Archive, Off: p.Off + c.off, Len: min(c.rec.Chunk, p.Len-c.off)}
	if c.off += at.Len; c.off == p.Len {
		c.place++
		c.off = 0
	}
	if at.Archive == zeros || at.Len != n || !c.base.usable[indexOf(at.Archive)] {
		return sum, archive.Place{}, nil
	}
	return sum, at, nil
}

// skip passes over n bytes.
func (c *cursor) skip(n int64) error {
	for c != nil && c.open && n > 0 {
		k := min(n, c.rec.Chunk)
		if _, _, err := c.chunk(k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// copyTo appends all that the base has of the file.
func (c *cursor) copyTo(e *extents) error {
	for {
		if err := e.run(c.rec); err != nil {
			return err
		}
		if c.rec.File != nil {
			c.open = false
			return nil
		}
		c.next()
		if c.over {
			return errors.Join(errRecord, c.err)
		}
	}
}

// line returns the line of a file in the base and what proves that it is still the same, if there is such proof and all of it may be leaned
// on; else nil.
func (c *cursor) line(path string) (*manifest.File, *state, error) {
	if c == nil {
		return nil, nil, nil
	}
	if c.asked.path != path {
		file, proof, err := c.lookUp(path)
		if err != nil {
			return nil, nil, err
		}
		c.asked = answer{path, file, proof}
	}
	return c.asked.file, c.asked.proof, nil
}

func (c *cursor) lookUp(path string) (*manifest.File, *state, error) {
	found, err := c.find(path)
	if !found {
		return nil, nil, err
	}
	for leans := true; ; c.next() {
		if c.over {
			return nil, nil, errors.Join(errRecord, c.err)
		}
		for _, at := range c.rec.Places {
			leans = leans && (at.Archive == zeros || c.base.usable[indexOf(at.Archive)])
		}
		if c.rec.File == nil {
			continue
		}
		if !leans || c.rec.State == nil {
			return nil, nil, nil
		}
		return c.rec.File, c.rec.State, nil
	}
}
