package sqlitedb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// openStaged reads a copy, into which SQLite first plays what lies beside the database, as the next program
// to open the original would do there. The copy is of one state, for nothing changed while it was made.
func (p *Pinned) openStaged(ctx context.Context, opt Options) error {
	src := p.source.path
	g, err := look(src, src+"-wal", src+"-journal")
	if err != nil {
		return err
	}
	if g[src] != p.source.before {
		return errAgain // another file has its name now
	}
	p.origin = g
	if p.staged, err = os.MkdirTemp(opt.Scratch, "sqlitedb-*"); err != nil {
		return err
	}
	dst := filepath.Join(p.staged, "db")
	if err := copyOpen(ctx, dst, p.source.file); err != nil {
		return fmt.Errorf("copy the database to %s: %w", p.staged, err)
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := copyFile(ctx, dst+suffix, src+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("copy %s to %s: %w", filepath.Base(src)+suffix, p.staged, err)
		}
	}
	p.at = time.Now()
	if err := g.check(); err != nil {
		return err
	}
	if err := settle(src, dst+"-journal"); err != nil {
		return err
	}
	if err := recoverJournal(ctx, dst); err != nil {
		return fmt.Errorf("recover a copy: %w", err)
	}
	if info, err := os.Stat(dst); err != nil {
		return err
	} else if info.Size() == 0 { // the transaction that was rolled back was its first
		p.header = parseHeader(nil)
		return nil
	}
	at := p.at
	err = p.begin(ctx, dst, "mode=ro", opt)
	p.at = at
	if code(err)&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%w: %v", ErrNotDatabase, err)
	}
	return err
}

// recoverJournal has SQLite roll back the journal beside a copy, if there is one that is hot. A -wal needs no
// writing: it is read where it lies.
func recoverJournal(ctx context.Context, path string) error {
	if hot, err := hasJournal(path); !hot {
		return err
	}
	c, err := open(ctx, path, "mode=rw&_pragma=synchronous(0)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		return err
	}
	defer c.Close()
	// Any read plays the journal back before it looks at the first page, whether or not it then succeeds.
	var version int
	err = c.QueryRowContext(ctx, "PRAGMA main.data_version").Scan(&version)
	if isSchema(err) {
		return nil
	}
	if code(err)&0xff == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// settle decides about a staged journal that names a super-journal: the file that a transaction over several
// databases makes, and removes to commit in all of them at once (https://www.sqlite.org/atomiccommit.html, section 5).
// SQLite would look for it under the name that the writer knew, which may be another machine's or
// container's. So if it is there, or beside the database, the name is cut from the staged journal, which
// makes that one hot by itself; else the transaction is committed and the journal means nothing. If the
// very directory is not to be seen from here, nothing can be known.
func settle(source, journal string) error {
	f, err := os.OpenFile(journal, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	name, at, err := superJournal(f)
	if err != nil || name == "" {
		return err
	}
	for _, place := range []string{name, filepath.Join(filepath.Dir(source), filepath.Base(name))} {
		if s, err := stampOf(place); err != nil {
			return err
		} else if s.exists {
			return f.Truncate(at)
		}
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("look for %q, which tells whether a transaction was committed: %w", name, err)
	}
	return nil // SQLite comes to the same conclusion
}

// superJournal returns the name at the end of a journal, and where its record begins: a page number, the name,
// its length, the sum of its bytes, and the magic of a journal. See writeSuperJournal in SQLite's pager.c.
func superJournal(f *os.File) (name string, at int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size < 20 {
		return "", 0, err
	}
	var tail [16]byte
	if _, err := f.ReadAt(tail[:], size-16); err != nil {
		return "", 0, err
	}
	length, sum := int64(binary.BigEndian.Uint32(tail[:])), binary.BigEndian.Uint32(tail[4:])
	const longest = 1 << 16
	if string(tail[8:]) != string(journalMagic) || length == 0 || length > longest || length > size-20 {
		return "", 0, nil
	}
	bytes := make([]byte, length)
	if _, err := f.ReadAt(bytes, size-16-length); err != nil {
		return "", 0, err
	}
	var signed, unsigned uint32 // as the writer's C compiler takes char
	for _, b := range bytes {
		signed += uint32(int8(b))
		unsigned += uint32(b)
	}
	if sum != signed && sum != unsigned {
		return "", 0, nil
	}
	return string(bytes), size - 20 - length, nil
}

func copyFile(ctx context.Context, dst, src string) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	return copyOpen(ctx, dst, f)
}

// copyOpen copies a file that is open into a new one, in portions between which ctx is heeded. The kernel
// does it, by reference where the file system can.
func copyOpen(ctx context.Context, dst string, src *os.File) error {
	f, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	const portion = 64 << 20
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(f, src, portion)
		if errors.Is(err, io.EOF) {
			return f.Close()
		}
		if err != nil {
			return err
		}
	}
}
