package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	switch c.kind {
	case manifest.DirectorySource:
		return r.directory(".", c.info)
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
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		return context.Cause(r.ctx)
	}
	if errors.Is(err, fs.ErrNotExist) && rel != "." {
		r.problem(problemVanished, rel, nil)
		return nil
	}
	r.problem(problemUnreadable, rel, err)
	return nil
}

// directory hands on a directory and all below it.
func (r *reader) directory(rel string, fi fs.FileInfo) error {
	if err := r.ctx.Err(); err != nil {
		return context.Cause(r.ctx)
	}
	entries, err := os.ReadDir(r.abs(rel))
	if err != nil {
		if rel == "." {
			return err
		}
		return r.gone(rel, err)
	}
	r.c.seen.file(fi, r.c.t.opts.Now())
	if err := r.send(item{file: r.line(rel, fi, manifest.Directory), end: true}); err != nil {
		return err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	for _, e := range entries {
		child := filepath.Join(rel, e.Name())
		if db, ok := sqlitedb.SidecarOf(e.Name()); ok && names[db] && r.holdsDatabase(filepath.Join(rel, db)) {
			continue
		}
		if excluded(r.c.Source.Exclude, filepath.ToSlash(child)) {
			continue
		}
		if err := r.entry(child, e); err != nil {
			return err
		}
	}
	return nil
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
		fi, err := e.Info()
		if err != nil {
			return r.gone(rel, err)
		}
		if r.c.t.avoided(fi) {
			return nil
		}
		return r.directory(rel, fi)
	case fs.ModeSymlink:
		fi, err := e.Info()
		if err != nil {
			return r.gone(rel, err)
		}
		target, err := os.Readlink(r.abs(rel))
		if err != nil {
			return r.gone(rel, err)
		}
		r.c.seen.file(fi, r.c.t.opts.Now())
		f := r.line(rel, fi, manifest.Symlink)
		f.Link = target
		return r.send(item{file: f, end: true})
	}
	r.problem(problemSkipped, rel, errors.New("it is a "+kindOf(e.Type())))
	return nil
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
	fi, err := f.Stat()
	if err != nil {
		return r.gone(rel, err)
	}
	if !fi.Mode().IsRegular() {
		r.problem(problemSkipped, rel, errors.New("it is no longer a regular file"))
		return nil
	}
	if first := r.links.first(fi, r.c.path(rel)); first != "" {
		return r.send(item{file: &manifest.File{Path: r.c.path(rel), Type: manifest.Hardlink, Link: first, UID: manifest.NoOwner, GID: manifest.NoOwner}, end: true})
	}
	var header [16]byte
	if fi.Size() >= 512 && r.c.kind == manifest.DirectorySource {
		if n, _ := f.ReadAt(header[:], 0); sqlitedb.IsDatabase(header[:n]) {
			f.Close()
			taken, err := r.met(rel, fi)
			if err != nil || taken {
				return err
			}
			if f, err = openNoFollow(r.abs(rel)); err != nil {
				return r.gone(rel, err)
			}
			defer f.Close()
		}
	}
	return r.plain(rel, f, fi)
}

// met captures a database that the walk met, and reports false if it is none after all.
func (r *reader) met(rel string, fi fs.FileInfo) (bool, error) {
	p, err := sqlitedb.Pin(r.ctx, r.abs(rel), sqlitedb.Options{Scratch: r.c.t.scratch})
	switch {
	case errors.Is(err, sqlitedb.ErrNotDatabase):
		return false, nil
	case err != nil:
		return true, r.gone(rel, err)
	}
	return true, r.database(rel, fi, p)
}

// maxAttempts is how often a file is read that changes while it is read.
const maxAttempts = 3

// plain hands on the content of a file that is open. It reads exactly the size that the file has at the beginning, and
// looks afterwards whether it was at rest. If not, it reads again: content that is found twice is taken, with a mark if the file
// has grown beyond it; what does not settle is taken as it is, and marked.
func (r *reader) plain(rel string, f *os.File, fi fs.FileInfo) error {
	line := r.line(rel, fi, manifest.Regular)
	size := fi.Size()
	line.Size = size
	if err := r.send(item{file: line}); err != nil {
		return err
	}
	var last manifest.Hash
	for attempt := 1; ; attempt++ {
		n, err := r.content(f, size)
		if err != nil {
			return r.failed(rel, line, err)
		}
		now, err := f.Stat()
		if err != nil {
			return r.failed(rel, line, err)
		}
		if n == size && atRest(fi, now) {
			break
		}
		digest, err := r.digestSoFar()
		if err != nil {
			return err
		}
		if attempt > 1 && digest == last && n == size {
			if now.Size() > size {
				line.Marked = manifest.MarkGrew
			}
			break
		}
		if attempt == maxAttempts {
			line.Marked = manifest.MarkChanged
			break
		}
		last, size, fi = digest, min(size, now.Size()), now
		if attempt > 1 {
			size = now.Size()
		}
		select {
		case <-time.After(time.Duration(attempt) * 10 * time.Millisecond):
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		if err := r.send(item{again: true}); err != nil {
			return err
		}
	}
	if now, err := f.Stat(); err == nil {
		r.c.seen.file(now, r.c.t.opts.Now())
	}
	switch line.Marked {
	case manifest.MarkChanged:
		r.c.seen.fuzzy = true
		r.problem(problemChanged, rel, errors.New("it changed each time that it was read"))
	case manifest.MarkGrew:
		r.problem(problemGrew, rel, fmt.Errorf("it was appended to; the first %d bytes were taken", size))
	}
	return r.send(item{end: true})
}

// failed ends a file that could not be read to its end: it has no line, and the snapshot is incomplete.
func (r *reader) failed(rel string, line *manifest.File, err error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	r.problem(problemUnreadable, rel, err)
	return r.send(item{drop: true})
}

// content hands on the first size bytes of f, or fewer if there are no more.
func (r *reader) content(f *os.File, size int64) (int64, error) {
	for off := int64(0); off < size; {
		b, err := r.block()
		if err != nil {
			return off, err
		}
		n, err := f.ReadAt(b[:min(blockSize, size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			r.recycle(b)
			return off, err
		}
		if n == 0 {
			r.recycle(b)
			return off, nil
		}
		if n < blockSize && off+int64(n) < size {
			size = off + int64(n) // cut short by somebody else
		}
		off += int64(n)
		if err := r.send(item{block: b[:n]}); err != nil {
			return off, err
		}
	}
	return size, nil
}

// digestSoFar asks the packer for the digest of what it was given of this file.
func (r *reader) digestSoFar() (manifest.Hash, error) {
	reply := make(chan manifest.Hash, 1)
	if err := r.send(item{digest: reply}); err != nil {
		return manifest.Hash{}, err
	}
	select {
	case h := <-reply:
		return h, nil
	case <-r.ctx.Done():
		return manifest.Hash{}, context.Cause(r.ctx)
	}
}

// openNoFollow opens a file for reading, but neither follows a symbolic link nor waits for a pipe's other end.
func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|noFollow, 0)
}
