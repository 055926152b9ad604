package snapshot

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

const (
	// maxTogether is how many databases are pinned before the capture begins. Others are pinned when the walk meets them.
	maxTogether = 64
	// maxFound is how many files are opened to find these, and maxListed how many entries of directories are looked at.
	maxFound  = 10_000
	maxListed = 1 << 20
)

// A candidate is a database that somebody may be using.
type candidate struct {
	c       *capture
	rel     string // "." if it is the source
	path    string // as it will be pinned
	wal     bool   // it seems to be in WAL mode
	changed int64  // when, in nanoseconds since 1970
}

// place is the path by which the walk will ask for it.
func (x candidate) place() string { return filepath.Join(x.c.root, x.rel) }

// candidates returns the databases that are pinned together before the capture begins: the sources that are databases, and of those in
// directories the ones that may be in use, as far as that is seen without opening every file. Those in WAL mode come first. more is how many were
// left out because they are too many; those that were changed last are not.
func (t *take) candidates(ctx context.Context) (list []candidate, more int) {
	f := &finder{ctx: ctx, t: t}
	for _, c := range t.captures {
		if c.kind == manifest.SQLiteSource {
			f.add(candidate{c: c, rel: ".", path: c.Source.Path}, c.root, 0)
		}
	}
	for _, c := range t.captures {
		if c.kind == manifest.DirectorySource {
			f.c, f.known, f.knows = c, t.opts.Base.databases(c.Source.Name), map[string]bool{}
			for name := range f.known {
				f.knows[path.Base(name)] = true
			}
			f.directory(c.root, ".", c.info)
		}
	}
	list = f.found
	sources := func(x candidate) int {
		if x.rel == "." {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Or(sources(a)-sources(b), cmp.Compare(b.changed, a.changed)) })
	if more = len(list) - maxTogether; more > 0 {
		list = list[:maxTogether]
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		switch {
		case a.wal == b.wal:
			return 0
		case a.wal:
			return -1
		}
		return 1
	})
	return list, max(0, more)
}

// A finder looks for databases before the walk does. What it sees is worth no more than a hint: the walk decides what is captured, and as what.
type finder struct {
	ctx    context.Context
	t      *take
	c      *capture
	known  map[string]int64 // databases of the base, by their paths in the manifest
	knows  map[string]bool  // their last components
	found  []candidate
	seen   []fs.FileInfo // of found
	opened int
	listed int
}

// What lies beside a database.
const (
	hasWAL = 1 << iota
	hasSHM
	hasJournal
)

var besides = map[string]int{"-wal": hasWAL, "-shm": hasSHM, "-journal": hasJournal}

// directory looks at a directory of a source and at those below it. What cannot be read is left to the walk.
func (f *finder) directory(path, rel string, info fs.FileInfo) {
	dir, ok := f.listing(path)
	if !ok || f.ctx.Err() != nil || f.leftOut(path, rel, info, dir.marked) {
		return
	}
	if f.c.Source.ExcludeCaches && dir.tagged && f.isCache(path) {
		return
	}
	for _, e := range dir.entries {
		child := filepath.Join(rel, e.name)
		if f.c.excludes.match(filepath.ToSlash(child), e.dir) {
			continue
		}
		if !e.dir {
			if _, known := f.known[f.c.path(child)]; known || dir.beside[e.name] != 0 || usual(e.name) {
				f.add(candidate{c: f.c, rel: child, path: filepath.Join(path, e.name)}, filepath.Join(path, e.name), dir.beside[e.name])
			}
			continue
		}
		if fi, err := os.Lstat(filepath.Join(path, e.name)); err == nil && fi.IsDir() {
			f.directory(filepath.Join(path, e.name), child, fi)
		}
	}
}

// A listing is what a finder wants to know of a directory: of its files, which may be many, only those that may be databases.
type listing struct {
	entries []entryName    // ascending
	beside  map[string]int // what lies beside databases, by their names
	marked  bool           // as a store
	tagged  bool           // as a cache
}

type entryName struct {
	name string
	dir  bool
}

// listing lists a directory, and reports false if it cannot, or has listed enough.
func (f *finder) listing(path string) (l listing, ok bool) {
	dir, err := os.Open(path)
	if err != nil {
		return l, false
	}
	defer dir.Close()
	l.beside = map[string]int{}
	for {
		entries, err := dir.ReadDir(1024)
		if f.listed += len(entries); f.listed > maxListed {
			return l, false
		}
		for _, e := range entries {
			f.note(&l, e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l, false
		}
	}
	for name := range l.beside { // whatever it is called
		l.entries = append(l.entries, entryName{name, false})
	}
	slices.SortFunc(l.entries, func(a, b entryName) int { return strings.Compare(a.name, b.name) })
	l.entries = slices.Compact(l.entries)
	return l, true
}

func (f *finder) note(l *listing, e fs.DirEntry) {
	name := e.Name()
	switch name {
	case layout.MarkerKey:
		l.marked = true
	case cacheTag:
		l.tagged = true
	}
	if database, ok := sqlitedb.SidecarOf(name); ok {
		l.beside[database] |= besides[name[len(database):]]
	}
	switch {
	case e.IsDir():
		if !strings.HasPrefix(name, layout.StagingPrefix) && !strings.HasPrefix(name, layout.SwapPrefix) {
			l.entries = append(l.entries, entryName{name, true})
		}
	case e.Type() == 0 && (usual(name) || f.knows[name]):
		l.entries = append(l.entries, entryName{name, false})
	}
}

// leftOut reports whether the walk will leave out what is in a directory.
func (f *finder) leftOut(path, rel string, info fs.FileInfo, marked bool) bool {
	if rel == "." {
		return false
	}
	d := &dir{rel: rel, info: info}
	if f.t.avoided(info) || f.t.isScratch(d) {
		return true
	}
	if f.c.Source.OneFileSystem {
		own, ok := statOf(f.c.info)
		here, _ := statOf(info)
		if ok && own.dev != here.dev {
			return true
		}
	}
	if !marked {
		return false
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return true
	}
	defer root.Close()
	return isStore(root)
}

func (f *finder) isCache(path string) bool {
	root, err := os.OpenRoot(path)
	if err != nil {
		return false
	}
	defer root.Close()
	return isCache(root)
}

// usual reports whether a file is called as databases are.
func usual(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".db", ".db3", ".sqlite", ".sqlite3", ".sqlitedb", ".s3db", ".sl3":
		return true
	}
	return false
}

// add takes a file for a candidate if it is a database that can be pinned where it lies. One that is in WAL mode and has no log beside it is at
// rest, and one that has no -shm must be copied first: neither is of use here.
func (f *finder) add(x candidate, path string, beside int) {
	if f.opened++; f.opened > maxFound {
		return
	}
	file, err := openNoFollow(path)
	if err != nil {
		return
	}
	defer file.Close() // before it is pinned; see package sqlitedb
	var header [20]byte
	fi, err := file.Stat()
	if err != nil || !fi.Mode().IsRegular() || slices.ContainsFunc(f.seen, func(o fs.FileInfo) bool { return os.SameFile(o, fi) }) {
		return
	}
	if n, _ := file.ReadAt(header[:], 0); !sqlitedb.IsDatabase(header[:n]) {
		return
	}
	x.wal = beside&(hasWAL|hasSHM) == hasWAL|hasSHM
	if x.rel == "." {
		x.wal = sqlitedb.SaysWAL(header[:])
	} else if sqlitedb.SaysWAL(header[:]) && !x.wal {
		return
	}
	x.changed = fi.ModTime().UnixNano()
	if log, err := os.Lstat(path + "-wal"); err == nil {
		x.changed = max(x.changed, log.ModTime().UnixNano())
	}
	f.found = append(f.found, x)
	f.seen = append(f.seen, fi)
}
