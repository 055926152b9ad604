package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// blocks is how many blocks a source has on their way from its reader to its packer.
const blocks = 6

// A reader walks a source and hands its files to the packer, in the order of the files table.
type reader struct {
	ctx     context.Context
	c       *capture
	batches chan *batch // to the packer
	free    chan *batch // back from it
	filling *batch      // that is not on its way; nil for none
	blocks  chan []byte
	owners  owners
	links   links
	within  []*dir  // the directories that the walk is in, outermost first
	base    *cursor // what is known of files that may be unchanged

	companions map[string]*companion // of databases that were captured, by the path of the log
	unit       *unit                 // that the walk is in; nil for none
}

func newReader(ctx context.Context, c *capture) *reader {
	r := &reader{ctx: ctx, c: c, batches: make(chan *batch, batches), free: make(chan *batch, batches), blocks: make(chan []byte, blocks),
		owners: newOwners(), base: c.t.opts.Base.cursor(c.Source.Name)}
	for range batches {
		r.free <- &batch{items: make([]item, 0, batchItems)}
	}
	for range blocks {
		r.blocks <- nil
	}
	return r
}

// source reads the whole source.
func (r *reader) source() error {
	c := r.c
	if c.err != nil {
		return nil
	}
	switch c.kind {
	case manifest.DirectorySource:
		top, err := r.top()
		if err != nil {
			return r.gone(".", err)
		}
		defer c.t.releaseWaiting(c)
		defer r.leave(top)
		return r.directory(top)
	case manifest.SQLiteSource:
		if !c.at.IsZero() {
			return r.rested(".", c.info, c.known, c.at, c.until, pathXattrs(c.root))
		}
		return r.database(".", c.info, c.pinned, c.room, pathXattrs(c.root))
	}
	return r.regular(".", r.file)
}

// block waits for a free block.
func (r *reader) block() ([]byte, error) {
	select {
	case b := <-r.blocks:
		if b == nil {
			b = make([]byte, blockSize)
		}
		return b[:blockSize], nil
	case <-r.ctx.Done():
		return nil, context.Cause(r.ctx)
	}
}

// recycle takes a block back from the packer.
func (r *reader) recycle(b []byte) {
	if b != nil {
		r.blocks <- b
	}
}

func (r *reader) abs(rel string) string { return filepath.Join(r.c.root, rel) }

func (r *reader) problem(kind, rel string, err error) {
	r.c.t.problems.add(kind, r.c.Source.Name, r.c.path(rel), err)
}

// gone reports an entry that cannot be read. That it vanished after it was listed is the life of a live directory; anything
// else makes the snapshot incomplete.
func (r *reader) gone(rel string, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case rel == ".":
		r.c.err = err
	case errors.Is(err, fs.ErrNotExist):
		r.c.seen.absent(time.Now())
		r.problem(problemVanished, rel, nil)
		return nil
	}
	r.problem(whyUnread(err), rel, err)
	return nil
}

// skip reports an entry that has no content to be captured.
func (r *reader) skip(rel string, why error) {
	if rel == "." {
		r.c.err = why
		r.problem(problemUnreadable, rel, why)
		return
	}
	r.problem(problemSkipped, rel, why)
}

// entry hands on one entry of a directory, whatever it is by now. What takes the place of another between a look and the next is
// looked at anew.
func (r *reader) entry(d *dir, name string) error {
	rel := filepath.Join(d.rel, name)
	if n := len(r.c.path(rel)); n > manifest.MaxPath {
		r.problem(problemUnreadable, rel, fmt.Errorf("its path has %d bytes, more than %d", n, manifest.MaxPath))
		return nil
	}
	for try := 1; ; try++ {
		err := r.look(d, name, rel)
		if !errors.Is(err, errReplaced) {
			return err
		}
		if try == maxReplaced {
			return r.gone(rel, err)
		}
	}
}

// maxReplaced is how often an entry is looked at that is another one each time that it is to be opened.
const maxReplaced = 10

// look hands on an entry, or returns errReplaced before anything of it was.
func (r *reader) look(d *dir, name, rel string) error {
	root, err := r.open(d)
	if err != nil {
		return r.gone(rel, err)
	}
	first, err := look(func() (fs.FileInfo, error) { return root.Lstat(name) })
	if errors.Is(err, fs.ErrNotExist) && r.isSidecar(d, root, name) { // as a journal does with every commit
		return nil
	}
	if err != nil {
		return r.gone(rel, err)
	}
	if first.Mode().IsRegular() && r.isSidecar(d, root, name) {
		return nil
	}
	if r.c.excludes.match(filepath.ToSlash(rel), first.IsDir()) || d.cache && name != cacheTag {
		r.c.line.Excluded++
		return nil
	}
	switch first.Mode().Type() {
	case 0:
		if r.links.first(first.FileInfo) == "" {
			if m := r.c.t.claim(r.abs(rel), first.FileInfo); m != nil { // before anything opens the file; see package sqlitedb
				attrs := namedXattrs(root, name, r.abs(rel))
				if m.p == nil {
					return r.rested(rel, first.FileInfo, m.known, m.from, m.to, attrs)
				}
				return r.database(rel, first.FileInfo, m.p, room{}, attrs)
			}
		}
		if r.links.first(first.FileInfo) == "" && r.companionOf(rel) == nil {
			if done, err := r.unchanged(rel, first); done || err != nil {
				return err
			}
		}
		return r.regular(rel, func() (*os.File, sight, error) { return openSame(root, name, first) })
	case fs.ModeDir:
		return r.subdirectory(d, root, name, first)
	case fs.ModeSymlink:
		return r.symlink(root, name, rel, first)
	}
	r.skip(rel, errors.New("it is a "+kindOf(first.Mode())))
	return nil
}

// subdirectory hands on a directory and all below it, unless it is none of the source's state.
func (r *reader) subdirectory(d *dir, parent *os.Root, name string, first sight) error {
	if strings.HasPrefix(name, layout.StagingPrefix) {
		r.problem(problemSkipped, filepath.Join(d.rel, name), errors.New("a restore is under way there, or was cut off"))
		return nil
	}
	if strings.HasPrefix(name, layout.SwapPrefix) {
		r.problem(problemSkipped, filepath.Join(d.rel, name), errors.New("a restore in place keeps there what was before it"))
		return nil
	}
	child, err := r.enter(d, parent, name, first)
	if err != nil {
		if errors.Is(err, errReplaced) {
			return err
		}
		return r.gone(filepath.Join(d.rel, name), err)
	}
	defer r.leave(child)
	return r.directory(child)
}

// directory hands on a directory that is open, and all below it.
func (r *reader) directory(d *dir) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if d.rel != "." {
		if r.c.t.isScratch(d) {
			return nil
		}
		if why := r.c.t.own(d); why != "" {
			r.problem(problemSkipped, d.rel, errors.New(why))
			return nil
		}
	}
	f, err := d.root.Open(".")
	if err != nil {
		return r.gone(d.rel, err)
	}
	defer f.Close() // when the walk leaves it, at the latest
	first, err := look(f.Stat)
	if err != nil {
		return r.gone(d.rel, err)
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return r.gone(d.rel, err)
	}
	attrs := readXattrs(f)
	last, err := look(f.Stat)
	if err != nil {
		return r.gone(d.rel, err)
	}
	d.list = f
	r.note(first, last)
	line := r.line(d.rel, last.FileInfo, manifest.Directory)
	r.keepXattrs(line, attrs)
	if err := r.send(item{file: line, end: true}); err != nil {
		return err
	}
	if r.mounted(d) { // what is mounted there is left out
		r.c.line.Excluded++
		return nil
	}
	d.hold(names)
	d.cache = r.c.Source.ExcludeCaches && isCache(d.root)
	if e := engineOf(d.names); e != nil && r.unit == nil {
		return r.together(d, e)
	}
	return r.entries(d)
}

// entries hands on the entries of a directory.
func (r *reader) entries(d *dir) error {
	for _, name := range d.names {
		if len(r.companions) > 0 {
			child := filepath.Join(d.rel, name)
			if log, skip := r.beside(child); log != nil {
				if err := r.log(child, log); err != nil {
					return err
				}
				continue
			} else if skip {
				continue
			}
		}
		if done, err := r.quick(d, name); err != nil {
			return err
		} else if done {
			continue
		}
		if err := r.entry(d, name); err != nil {
			return err
		}
	}
	return nil
}

// mounted reports whether another file system is mounted on a directory, where only one is wanted.
func (r *reader) mounted(d *dir) bool {
	if !r.c.Source.OneFileSystem {
		return false
	}
	own, ok := statOf(r.c.info)
	here, _ := statOf(d.info)
	return ok && own.dev != here.dev
}

// isSidecar reports whether a file belongs to a database in the same directory.
func (r *reader) isSidecar(d *dir, root *os.Root, name string) bool {
	db, ok := sqlitedb.SidecarOf(name)
	if !ok {
		return false
	}
	if !d.has(db) {
		return false
	}
	fi, err := root.Lstat(db)
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, _, err := openSame(root, db, sight{FileInfo: fi})
	if err != nil {
		return false
	}
	defer f.Close()
	return sqlitedb.BeginsDatabase(f)
}

// symlink hands on a symbolic link. Where it leads is not followed.
func (r *reader) symlink(dir *os.Root, name, rel string, first sight) error {
	target, err := dir.Readlink(name)
	if err != nil {
		if errors.Is(err, syscall.EINVAL) { // no longer a link
			return errReplaced
		}
		return r.gone(rel, err)
	}
	attrs := namedXattrs(dir, name, "")
	last, err := look(func() (fs.FileInfo, error) { return dir.Lstat(name) })
	if err != nil {
		return r.gone(rel, err)
	}
	if !os.SameFile(first.FileInfo, last.FileInfo) {
		return errReplaced
	}
	r.note(first, last)
	f := r.line(rel, last.FileInfo, manifest.Symlink)
	f.Link = target
	r.keepXattrs(f, attrs)
	return r.send(item{file: f, end: true})
}

// note collects when something was as it was read between two looks at it.
func (r *reader) note(first, last sight) {
	if first.sameAs(last) && first.settled() {
		r.c.seen.rest(first, last)
	} else {
		r.c.seen.at(last.at)
	}
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// regular hands on a regular file, or the database that it turns out to be. open opens it for reading, and returns errReplaced when
// it is no longer the file that is meant.
func (r *reader) regular(rel string, open func() (*os.File, sight, error)) error {
	f, seen, err := open()
	if errors.Is(err, errReplaced) {
		return err
	}
	if err != nil {
		return r.gone(rel, err)
	}
	defer func() { f.Close() }()
	if first := r.links.first(seen.FileInfo); first != "" {
		return r.send(item{file: &manifest.File{Path: r.c.path(rel), Type: manifest.Hardlink, Link: first, UID: manifest.NoOwner, GID: manifest.NoOwner}, end: true})
	}
	if seen.Size() >= 512 && r.c.kind == manifest.DirectorySource && sqlitedb.BeginsDatabase(f) {
		attrs := readXattrs(f)
		f.Close() // before it is pinned; see package sqlitedb
		taken, err := r.met(rel, seen.FileInfo, attrs)
		if err != nil || taken {
			return err
		}
		again, now, err := open()
		if errors.Is(err, errReplaced) {
			return err
		}
		if err != nil {
			return r.gone(rel, err)
		}
		f, seen = again, now
	}
	return r.plain(rel, f, seen, r.companionOf(rel))
}

// met captures a database that the walk met, and reports false if it is none after all.
func (r *reader) met(rel string, fi fs.FileInfo, attrs xattrs) (bool, error) {
	p, err := r.pin(rel)
	switch {
	case errors.Is(err, sqlitedb.ErrNotDatabase):
		return false, nil
	case err != nil:
		return true, r.unpinned(rel, err)
	case !p.Is(fi): // SQLite goes by paths, and somebody may have put something else there
		r.c.t.unpin(p)
		return true, errReplaced
	}
	return true, r.database(rel, fi, p, room{}, attrs)
}

// file opens the source that is one file. It was looked at by its path, and its name may be given to another at any time.
func (r *reader) file() (*os.File, sight, error) {
	f, err := openNoFollow(r.c.root)
	if err != nil {
		return nil, sight{}, err
	}
	seen, err := look(f.Stat)
	if err == nil && !seen.Mode().IsRegular() {
		err = errors.New("it is no longer a regular file")
	}
	if err != nil {
		f.Close()
		return nil, sight{}, err
	}
	return f, seen, nil
}

// openNoFollow opens a file for reading, but neither follows a symbolic link nor waits for a pipe's other end.
func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|noFollow, 0)
}
