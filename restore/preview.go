package restore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// What a restore in place does with a file.
type Action string

const (
	Add     Action = "add"
	Change  Action = "change"
	Keep    Action = "keep"    // it is right already
	Stay    Action = "stay"    // it is not in the snapshot
	Discard Action = "discard" // it is not in the snapshot, and goes
)

// A Preview is what a restore in place would do.
type Preview struct {
	Stamp     manifest.Stamp   `json:"stamp"`
	Sources   []Source         `json:"sources"`
	Changes   []PlannedChange  `json:"changes"` // all but those that are kept as they are; at most MaxChanges
	Counts    map[Action]int64 `json:"counts"`  // of files, links and directories
	Databases []RowChange      `json:"databases"`
	Fetch     int64            `json:"fetch_bytes"`        // uncompressed, of files that are not there
	Space     []Space          `json:"space"`              // that is needed
	Seconds   *float64         `json:"seconds_to_fetch"`   // at the rate that was measured just now; null when nothing needs to be fetched
	Occupied  []string         `json:"occupied,omitempty"` // needs --confirm-service-stopped
	InUse     string           `json:"in_use,omitempty"`
	Denied    string           `json:"denied,omitempty"` // why this user may not do it
}

// MaxChanges is how many changes a preview lists.
const MaxChanges = 10000

// A PlannedChange is what would happen to one path.
type PlannedChange struct {
	Action Action `json:"action"`
	Path   string `json:"path"` // on this machine
	Now    int64  `json:"bytes_now"`
	Then   int64  `json:"bytes_then"`
}

// A RowChange compares a database as it is with what it would become.
type RowChange struct {
	Path   string      `json:"path"`
	Tables []TableDiff `json:"tables"`
	Note   string      `json:"note,omitempty"` // why the rows that are there now are not known
}

// A TableDiff is how many rows a table has and would have; -1 where there is no such table.
type TableDiff struct {
	Name string `json:"name"`
	Now  int64  `json:"rows_now"`
	Then int64  `json:"rows_then"`
}

// Space is what a restore needs on one file system, while the old state is kept.
type Space struct {
	Path   string `json:"path"`
	Need   int64  `json:"need_bytes"`
	Safety int64  `json:"safety_bytes"` // part of Need: what the safety snapshot takes at most, for it is compressed
	Free   int64  `json:"free_bytes"`
}

// PreviewInPlace finds out what InPlace would do. It changes nothing and reads every file that may be right already.
func PreviewInPlace(ctx context.Context, s *layout.Snapshot, opts InPlaceOptions) (*Preview, error) {
	r := &inPlace{snap: s, opts: opts}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	p := &preview{r: r, doc: &Preview{Stamp: s.ID.Stamp, Sources: []Source{}, Counts: map[Action]int64{}, Changes: []PlannedChange{}, Databases: []RowChange{}, Space: []Space{}},
		known: map[string]kind{}, need: map[string]int64{}}
	var err error
	for f, err := range s.Files(ctx) {
		if err != nil {
			return nil, err
		}
		if un := r.units.unitOf(f.Path); un != nil {
			if err := p.file(ctx, un, f); err != nil {
				return nil, err
			}
		}
	}
	if err := p.extras(); err != nil {
		return nil, err
	}
	p.doc.Sources = r.everySource(p.doc.Sources)
	p.doc.Occupied = r.occupied()
	if err := r.idle(); err != nil {
		p.doc.InUse = err.Error()
	}
	if err := r.allowed(); err != nil {
		p.doc.Denied = err.Error()
	}
	if p.doc.Space, err = p.space(); err != nil {
		return nil, err
	}
	if p.largest != nil {
		rate, err := measure(ctx, s, p.largest)
		if err != nil {
			return nil, err
		}
		seconds := float64(p.doc.Fetch) / rate
		p.doc.Seconds = &seconds
	}
	return p.doc, nil
}

// A kind is what the snapshot has at a path.
type kind byte

const (
	unknown kind = iota // nothing
	directory
	plain // a file that is no database, as far as it can be told
	database
	link
)

func kindOf(f *manifest.File) kind {
	switch {
	case f.SQLite != nil:
		return database
	case f.Type == manifest.Directory:
		return directory
	case f.Type == manifest.Symlink:
		return link
	}
	return plain
}

type preview struct {
	r       *inPlace
	doc     *Preview
	known   map[string]kind  // what the snapshot has at paths here
	need    map[string]int64 // bytes, by mount point
	largest *manifest.File   // that is to be fetched
}

func (p *preview) add(action Action, path string, now, then int64) {
	p.doc.Counts[action]++
	if action != Keep && len(p.doc.Changes) < MaxChanges {
		p.doc.Changes = append(p.doc.Changes, PlannedChange{action, strings.ToValidUTF8(path, "\uFFFD"), now, then})
	}
}

// count adds a line to what its source has.
func (p *preview) count(f *manifest.File) {
	name := manifest.SourceOf(f.Path)
	at := slices.IndexFunc(p.doc.Sources, func(s Source) bool { return s.Name == name })
	if at < 0 {
		at = len(p.doc.Sources)
		p.doc.Sources = append(p.doc.Sources, Source{Name: name, Path: p.r.units.targets[name]})
	}
	p.doc.Sources[at].Files++
	p.doc.Sources[at].Bytes += f.Size
}

// file compares one line of the snapshot with what is there.
func (p *preview) file(ctx context.Context, un *unit, f *manifest.File) error {
	path, err := p.r.units.at(f.Path)
	if err != nil {
		return err
	}
	p.known[path] = kindOf(f)
	p.need[un.mount] += f.Size + slack
	fi, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	action := Add
	now := int64(0)
	if err == nil {
		if fi.Mode().IsRegular() {
			now = fi.Size()
		}
		same, err := p.same(fi, path, f)
		if err != nil {
			return err
		}
		if action = Change; same {
			action = Keep
		}
	}
	p.add(action, path, now, f.Size)
	p.count(f)
	if f.Type == manifest.Regular && action != Keep {
		p.doc.Fetch += f.Size
		if p.largest == nil || f.Size > p.largest.Size {
			p.largest = f
		}
	}
	if f.SQLite != nil {
		p.doc.Databases = append(p.doc.Databases, rows(ctx, path, f.SQLite, err == nil))
	}
	return nil
}

// same reports whether something is what the snapshot has, but for its metadata. A database that has a log beside it is not.
func (p *preview) same(fi fs.FileInfo, path string, f *manifest.File) (bool, error) {
	switch f.Type {
	case manifest.Directory:
		return fi.IsDir(), nil
	case manifest.Symlink:
		to, err := os.Readlink(path)
		return err == nil && filepath.ToSlash(to) == f.Link, nil
	case manifest.Hardlink:
		return fi.Mode().IsRegular(), nil // its content is compared under its first name
	}
	if !fi.Mode().IsRegular() || fi.Size() != f.Size {
		return false, nil
	}
	if f.SQLite != nil {
		for _, beside := range sqlitedb.Sidecars(path) {
			if side, err := os.Lstat(beside); err == nil && side.Size() > 0 && !strings.HasSuffix(beside, "-shm") {
				return false, nil
			}
		}
	}
	sum, err := hashOf(path)
	return err == nil && sum == f.SHA256, nil
}

// rows compares the tables of a database.
func rows(ctx context.Context, path string, then *manifest.SQLite, there bool) RowChange {
	c := RowChange{Path: strings.ToValidUTF8(path, "\uFFFD"), Tables: []TableDiff{}}
	now := map[string]int64{}
	if there {
		facts, err := factsOf(ctx, path)
		if err != nil {
			c.Note = err.Error()
		}
		for _, t := range facts.Tables {
			now[t.Name] = t.Rows
		}
	}
	for _, t := range then.Tables {
		d := TableDiff{t.Name, -1, t.Rows}
		if n, ok := now[t.Name]; ok {
			d.Now = n
			delete(now, t.Name)
		}
		c.Tables = append(c.Tables, d)
	}
	for name, n := range now {
		c.Tables = append(c.Tables, TableDiff{name, n, -1})
	}
	slices.SortFunc(c.Tables, func(a, b TableDiff) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// factsOf reads what is in a database that may be in use, without a trace.
func factsOf(ctx context.Context, path string) (sqlitedb.Facts, error) {
	pinned, err := sqlitedb.Pin(ctx, path, sqlitedb.Options{})
	if err != nil {
		return sqlitedb.Facts{}, err
	}
	defer pinned.Close()
	return pinned.ReadFacts(ctx)
}

// extras lists what the snapshot does not have.
func (p *preview) extras() error {
	for _, un := range p.r.units.list {
		for _, path := range p.r.units.strangers(un) {
			if err := p.extra(path, true, nil); err != nil {
				return err
			}
		}
		fi, err := os.Lstat(un.target)
		if err != nil || !fi.IsDir() {
			continue
		}
		gone := p.r.opts.DeleteExtra || !un.dir || p.r.units.inVectorStore(manifest.Parent(un.path))
		if err := p.extrasOf(un, un.target, gone); err != nil {
			return err
		}
	}
	besides, err := p.r.besides()
	if err != nil {
		return err
	}
	for _, b := range besides {
		if err := p.extra(b.target, b.goes, nil); err != nil {
			return err
		}
	}
	return nil
}

// extrasOf lists those in one directory at the target of a unit, and in those below it.
func (p *preview) extrasOf(un *unit, dir string, gone bool) error {
	gone = gone || p.known[filepath.Join(dir, vectorStore)] != unknown
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if isOurs(e.Name()) {
			continue
		}
		if db, ok := sqlitedb.SidecarOf(e.Name()); ok && !e.IsDir() {
			switch p.known[filepath.Join(dir, db)] {
			case database:
				continue
			case plain:
				if err := p.extra(path, true, nil); err != nil {
					return err
				}
				continue
			}
		}
		switch known := p.known[path]; {
		case known == unknown:
			err = p.extra(path, gone, un)
		case e.IsDir():
			err = p.extrasOf(un, path, gone || known != directory)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// extra lists one of them, with all that is in it. un is the unit that it would be copied into; nil if it is not.
func (p *preview) extra(path string, gone bool, un *unit) error {
	return filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isOurs(e.Name()) {
			return skip(e)
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		size := int64(0)
		if fi.Mode().IsRegular() {
			size = fi.Size()
		}
		special := !fi.Mode().IsRegular() && !fi.IsDir() && fi.Mode()&fs.ModeSymlink == 0
		switch {
		case gone, special && un != nil:
			p.add(Discard, path, size, 0)
		default:
			if un != nil {
				p.need[un.mount] += size + slack
			}
			p.add(Stay, path, size, size)
		}
		return nil
	})
}

// space tells what is needed on each file system, in order of their paths.
func (p *preview) space() ([]Space, error) {
	at := p.r.units.parents(p.r.gone)
	safety, err := p.safety()
	if err != nil {
		return nil, err
	}
	mount := ""
	if safety > 0 {
		dir := nearest(p.r.opts.SaveIn)
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil, err
		}
		if mount = p.r.units.mountPoint(dir); at[mount] == "" {
			at[mount] = dir
		}
		p.need[mount] += safety
	}
	list := []Space{}
	for m, dir := range at {
		free, err := diskspace.Free(dir)
		if err != nil {
			return nil, err
		}
		sp := Space{Path: dir, Need: p.need[m], Free: free}
		if m == mount {
			sp.Safety = safety
		}
		list = append(list, sp)
	}
	slices.SortFunc(list, func(a, b Space) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// safety returns how many bytes the safety snapshot takes at most: it has all of the sources that have something to lose, and what lies beside databases.
func (p *preview) safety() (n int64, err error) {
	if p.r.opts.SaveIn == "" {
		return 0, nil
	}
	for _, c := range p.r.current() {
		for _, path := range append([]string{c.Path}, sqlitedb.Sidecars(c.Path)...) {
			err := filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				if err != nil {
					return err
				}
				if isOurs(e.Name()) {
					return skip(e)
				}
				fi, err := e.Info()
				if err == nil && fi.Mode().IsRegular() {
					n += fi.Size()
				}
				n += slack
				return err
			})
			if err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// measure returns at which rate a file can be read, in bytes a second, from the first bytes of it.
func measure(ctx context.Context, s *layout.Snapshot, f *manifest.File) (float64, error) {
	const enough = 16 << 20
	began := time.Now()
	w := &countdown{left: enough}
	if err := s.Copy(ctx, w, f); err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	n := enough - w.left
	return float64(max(n, 1)) / max(time.Since(began).Seconds(), 1e-6), nil
}

var errEnough = errors.New("enough was read")

// A countdown takes so many bytes and no more.
type countdown struct{ left int64 }

func (w *countdown) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left <= 0 {
		return len(p), errEnough
	}
	return len(p), nil
}
