package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// blocks is how many blocks a source has on their way from its reader to its packer.
const blocks = 6

// A reader walks a source and hands its files to the packer, in the order of the files table.
type reader struct {
	ctx    context.Context
	c      *capture
	items  chan item
	blocks chan []byte
	owners owners
	links  links

	companions map[string]*companion // of databases that were captured, by the path of the log
}

func newReader(ctx context.Context, c *capture) *reader {
	r := &reader{ctx: ctx, c: c, items: make(chan item, blocks), blocks: make(chan []byte, blocks), owners: newOwners()}
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
		return r.directory(".")
	case manifest.SQLiteSource:
		return r.database(".", c.info, c.pinned)
	}
	return r.regular(".")
}

// send hands an item to the packer.
func (r *reader) send(it item) error {
	select {
	case r.items <- it:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
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
	r.problem(problemUnreadable, rel, err)
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

// directory hands on a directory and all below it.
func (r *reader) directory(rel string) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	stat := func() (fs.FileInfo, error) { return os.Lstat(r.abs(rel)) }
	first, err := look(stat)
	if err != nil {
		return r.gone(rel, err)
	}
	if rel != "." && r.c.t.avoided(first.FileInfo) {
		return nil
	}
	entries, err := os.ReadDir(r.abs(rel))
	if err != nil {
		return r.gone(rel, err)
	}
	last, err := look(stat)
	if err != nil {
		return r.gone(rel, err)
	}
	r.note(first, last)
	if err := r.send(item{file: r.line(rel, last.FileInfo, manifest.Directory), end: true}); err != nil {
		return err
	}
	for _, e := range entries {
		child := filepath.Join(rel, e.Name())
		if e.IsDir() && strings.HasPrefix(e.Name(), layout.StagingPrefix) {
			continue
		}
		if log, skip := r.beside(child); log != nil {
			if err := r.log(child, log); err != nil {
				return err
			}
			continue
		} else if skip {
			continue
		}
		if r.isSidecar(rel, e.Name(), entries) || excluded(r.c.Source.Exclude, filepath.ToSlash(child)) {
			continue
		}
		if err := r.entry(child, e); err != nil {
			return err
		}
	}
	return nil
}

// isSidecar reports whether a file belongs to a database in the same directory, of which entries are all, by name.
func (r *reader) isSidecar(rel, name string, entries []fs.DirEntry) bool {
	db, ok := sqlitedb.SidecarOf(name)
	if !ok {
		return false
	}
	_, ok = slices.BinarySearchFunc(entries, db, func(e fs.DirEntry, name string) int { return strings.Compare(e.Name(), name) })
	return ok && r.holdsDatabase(filepath.Join(rel, db))
}

// holdsDatabase reports whether a file is a SQLite database, whose sidecars are then part of it.
func (r *reader) holdsDatabase(rel string) bool {
	fi, err := os.Lstat(r.abs(rel))
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	db, err := isDatabase(r.abs(rel))
	return err == nil && db
}

// entry hands on one entry of a directory.
func (r *reader) entry(rel string, e fs.DirEntry) error {
	switch e.Type() {
	case 0:
		return r.regular(rel)
	case fs.ModeDir:
		return r.directory(rel)
	case fs.ModeSymlink:
		return r.symlink(rel)
	}
	r.skip(rel, errors.New("it is a "+kindOf(e.Type())))
	return nil
}

// symlink hands on a symbolic link. Where it leads is not followed.
func (r *reader) symlink(rel string) error {
	stat := func() (fs.FileInfo, error) { return os.Lstat(r.abs(rel)) }
	first, err := look(stat)
	if err != nil {
		return r.gone(rel, err)
	}
	target, err := os.Readlink(r.abs(rel))
	if err != nil {
		return r.gone(rel, err)
	}
	last, err := look(stat)
	if err != nil {
		return r.gone(rel, err)
	}
	r.note(first, last)
	f := r.line(rel, last.FileInfo, manifest.Symlink)
	f.Link = target
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

// regular hands on a regular file, or the database that it turns out to be.
func (r *reader) regular(rel string) error {
	f, err := openNoFollow(r.abs(rel))
	if err != nil {
		return r.gone(rel, err)
	}
	defer f.Close()
	seen, err := look(f.Stat)
	if err != nil {
		return r.gone(rel, err)
	}
	if !seen.Mode().IsRegular() {
		r.skip(rel, errors.New("it is no longer a regular file"))
		return nil
	}
	if first := r.links.first(seen.FileInfo); first != "" {
		return r.send(item{file: &manifest.File{Path: r.c.path(rel), Type: manifest.Hardlink, Link: first, UID: manifest.NoOwner, GID: manifest.NoOwner}, end: true})
	}
	var header [16]byte
	if seen.Size() >= 512 && r.c.kind == manifest.DirectorySource {
		if n, _ := f.ReadAt(header[:], 0); sqlitedb.IsDatabase(header[:n]) {
			f.Close() // before it is pinned; see package sqlitedb
			taken, err := r.met(rel, seen.FileInfo)
			if err != nil || taken {
				return err
			}
			if f, err = openNoFollow(r.abs(rel)); err != nil {
				return r.gone(rel, err)
			}
			defer f.Close()
			if seen, err = look(f.Stat); err != nil {
				return r.gone(rel, err)
			}
		}
	}
	return r.plain(rel, f, seen, r.companionOf(rel))
}

// met captures a database that the walk met, and reports false if it is none after all.
func (r *reader) met(rel string, fi fs.FileInfo) (bool, error) {
	p, err := r.c.t.pinOne(r.ctx, r.abs(rel))
	switch {
	case errors.Is(err, sqlitedb.ErrNotDatabase):
		return false, nil
	case diskspace.Full(err): // no room for a copy: that is ours, and no fault of the source
		return true, err
	case err != nil:
		return true, r.gone(rel, err)
	}
	return true, r.database(rel, fi, p)
}

// openNoFollow opens a file for reading, but neither follows a symbolic link nor waits for a pipe's other end.
func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|noFollow, 0)
}
