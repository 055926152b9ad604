package sqlitedb

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Pinned is a database at one instant. It must be closed. It is not for concurrent use.
type Pinned struct {
	source *source
	conn   *conn  // nil for an empty file
	guard  guard  // of a cold database; else nil, for SQLite's locks do the guarding
	staged string // directory of the copy, or ""
	origin guard  // of what was copied there
	probe  *probe // nil unless a live database is watched
	header header
	pages  uint32
	at     time.Time
	wal    int64 // size of the -wal at the pin
	damage error // why the schema can't be read, or nil
}

// Pages returns how many pages the database has.
func (p *Pinned) Pages() uint32 { return p.pages }

// PageSize returns how many bytes a page has: a power of two from 512 to 65536, or 0 for an empty file.
func (p *Pinned) PageSize() int { return p.header.pageSize }

// Size returns how many bytes Stream will give.
func (p *Pinned) Size() int64 { return int64(p.pages) * int64(p.header.pageSize) }

// JournalMode returns "wal" or, for any of the rollback modes, which the file does not tell apart, "delete".
func (p *Pinned) JournalMode() string { return p.header.journalMode }

// At returns the instant of the pin: every transaction that was committed before it can be seen.
func (p *Pinned) At() time.Time { return p.at }

// Is reports whether fi describes the file that was pinned.
func (p *Pinned) Is(fi fs.FileInfo) bool {
	got, err := p.source.file.Stat()
	return err == nil && os.SameFile(got, fi)
}

// WALGrowth returns by how many bytes the log has grown since the pin, which keeps it from being reset.
func (p *Pinned) WALGrowth() (int64, error) {
	if p.conn == nil || p.guard != nil || p.staged != "" {
		return 0, nil
	}
	wal, err := stampOf(p.source.path + "-wal")
	return max(0, wal.size-p.wal), err
}

// verify returns ErrChanged if the source is read without locks and was changed since the pin. A log with
// something in it means that somebody began to.
func (p *Pinned) verify() error {
	if p.guard == nil {
		return nil
	}
	if err := p.guard.check(); err != nil {
		return err
	}
	wal, err := stampOf(p.source.path + "-wal")
	if err == nil && wal.size > 0 {
		return ErrChanged
	}
	return err
}

// because returns ErrChanged instead of an error that may well come from the change.
func (p *Pinned) because(err error) error {
	if changed := p.verify(); changed != nil {
		return changed
	}
	return err
}

// Close ends the transaction and removes the copy, if one was made. The locks are gone when it returns.
func (p *Pinned) Close() error {
	var errs []error
	if p.conn != nil {
		errs = append(errs, p.conn.Close())
		p.conn = nil
	}
	if p.probe != nil {
		errs = append(errs, p.probe.conn.Close())
		p.probe = nil
	}
	if p.source != nil {
		if p.source.file != nil {
			errs = append(errs, p.source.file.Close()) // only now: see the package documentation
		}
		p.source = nil
	}
	if p.staged != "" {
		errs = append(errs, os.RemoveAll(p.staged))
		p.staged = ""
	}
	return errors.Join(errs...)
}
