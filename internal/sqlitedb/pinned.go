package sqlitedb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Pinned is a database at one instant. It must be closed. It is not for concurrent use, but see Beside.
type Pinned struct {
	source  *source
	looks   Looks    // from before the pin
	conn    *conn    // nil for an empty file
	opened  string   // the path that it was opened by
	uri     string   // how
	image   *os.File // has the pages as they are pinned, one after the other; nil where only SQLite knows where they lie
	second  *conn    // nil, or a transaction begun after that of conn
	paired  bool     // second is proved to be on the same state
	guard   guard    // of a cold database; else nil, for SQLite's locks do the guarding
	staged  string   // directory of the copy, or ""
	origin  guard    // of what was copied there
	probe   *probe   // nil unless a live database is watched
	header  header
	pages   uint32
	at      time.Time
	since   time.Time // when the state had been read for the first time
	until   time.Time // when it was the newest still; zero if that was not asked
	wal     int64     // size of the -wal at the pin
	damage  error     // why the schema can't be read, or nil
	longest int64     // bytes of a value at most; 0 for what SQLite allows

	opt      Options       // of Pin, with defaults
	heldFrom time.Time     // since when the database is locked, as far as others feel that
	blocked  time.Duration // see Blocked; of transactions that have ended
	slices   int           // see Slices
	moved    bool          // see Moved
	unbroken bool          // see Unbroken
}

// Path returns where the database is, without symbolic links; "" after Close.
func (p *Pinned) Path() string {
	if p.source == nil {
		return ""
	}
	return p.source.path
}

// Pages returns how many pages the database has.
func (p *Pinned) Pages() uint32 { return p.pages }

// PageSize returns how many bytes a page has: a power of two from 512 to 65536, or 0 for an empty file.
func (p *Pinned) PageSize() int { return p.header.pageSize }

// Size returns how many bytes Stream will give.
func (p *Pinned) Size() int64 { return int64(p.pages) * int64(p.header.pageSize) }

// JournalMode returns "wal" or, for any of the rollback modes, which the file does not tell apart, "delete".
func (p *Pinned) JournalMode() string { return p.header.journalMode }

// At returns the instant of the pin: every transaction that was committed before it can be seen, and none that was later. Detach may move it.
func (p *Pinned) At() time.Time { return p.at }

// Span returns from when to when the state that is pinned is known to have been the newest of the database: if nothing was proved, the instant of
// the pin twice.
func (p *Pinned) Span() (from, to time.Time) {
	if p.until.IsZero() {
		return p.at, p.at
	}
	return p.since, p.until
}

// Extend extends Span to the present, if it can be proved that nothing was committed since the pin. Anything else changes nothing.
func (p *Pinned) Extend(ctx context.Context) {
	if p.source != nil && p.slices == 0 {
		_, _ = p.current(ctx)
	}
}

// Is reports whether fi describes the file that was pinned.
func (p *Pinned) Is(fi fs.FileInfo) bool {
	got, err := p.source.file.Stat()
	return err == nil && os.SameFile(got, fi)
}

// Live reports whether the pin is one that others feel: a transaction on the database itself, not on a copy or on a file that nobody has open.
func (p *Pinned) Live() bool { return p.conn != nil && p.guard == nil && p.staged == "" }

// BlocksCommits reports whether nobody can commit to the database while the pin lasts.
func (p *Pinned) BlocksCommits() bool { return p.Live() && p.JournalMode() != "wal" }

// WALGrowth returns by how many bytes the log has grown since the pin, which keeps it from being reset.
func (p *Pinned) WALGrowth() (int64, error) { return p.WatchWAL()() }

// WatchWAL returns a function that does what WALGrowth does, but may be called at any time, by any goroutine, even after Close.
func (p *Pinned) WatchWAL() func() (int64, error) {
	if !p.Live() {
		return func() (int64, error) { return 0, nil }
	}
	path, before := p.source.path+"-wal", p.wal
	return func() (int64, error) {
		wal, err := stampOf(path)
		return max(0, wal.size-before), err
	}
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
	p.leave()
	var errs []error
	if p.conn != nil {
		errs = append(errs, p.conn.Close())
		p.conn = nil
	}
	if p.probe != nil {
		errs = append(errs, p.probe.conn.Close())
		p.probe = nil
	}
	if p.image != nil && p.staged != "" {
		errs = append(errs, p.image.Close())
	}
	p.image = nil
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
