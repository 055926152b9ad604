package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Options say how Pin goes about it. The zero value is the recommended behaviour.
type Options struct {
	// Scratch is the directory where a copy is made of a database that can't be read where it is: after
	// a crash in the middle of a transaction, or when a -wal was left without its -shm; and by Detach. The copy is as
	// large as the database and is removed by Close. Default: the system's temporary directory.
	Scratch string
	// Wait is how long to wait for a lock, or for a database that nobody has open to have been left alone
	// long enough. Default: 10 seconds.
	Wait time.Duration
	// MaxBlock is for how long Detach may keep writers from committing at a stretch. Default: DefaultMaxBlock.
	MaxBlock time.Duration
	// Between, if it is not nil, is called by Detach between two slices, when nobody is kept from anything.
	Between func()

	// Beside is from how many bytes on a database gets a second connection, so that it can be checked while it is read: see Pinned.Beside. 0 is never.
	Beside int64

	// LiveOnly leaves alone what nobody can begin a transaction on where it is: it is ErrNotLive, and nothing is copied and no rest waited for.
	LiveOnly bool

	watch bool // let current tell whether something was committed since
}

// defaultWait is how long a lock is waited for unless Options say otherwise.
const defaultWait = 10 * time.Second

// Pin begins a read transaction on the database at path, in the way that changes nothing there; a symbolic
// link is followed.
//
// Absence is fs.ErrNotExist. A file that is no database is ErrNotDatabase, and one that another process
// keeps to itself a LockedError. A database that is damaged can be pinned as long as its header is sound, so
// that what is left of it can be saved; QuickCheck tells. On failure nothing is left behind.
func Pin(ctx context.Context, path string, opt Options) (*Pinned, error) {
	if opt.Wait <= 0 {
		opt.Wait = defaultWait
	}
	if opt.MaxBlock <= 0 {
		opt.MaxBlock = DefaultMaxBlock
	}
	deadline := time.Now().Add(opt.Wait)
	for refused := 0; ; {
		p, err := pin(ctx, path, opt)
		if err == nil {
			return p, nil
		}
		if code(err) != 0 {
			refused++
		}
		if !errors.Is(err, errAgain) && !errors.Is(err, ErrChanged) || refused > 5 || time.Now().After(deadline) {
			return nil, fmt.Errorf("pin %s: %w", path, err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("pin %s: %w", path, err)
		}
	}
}

// pin tries once.
func pin(ctx context.Context, path string, opt Options) (_ *Pinned, err error) {
	src, err := openSource(path)
	if err != nil {
		return nil, err
	}
	p := &Pinned{source: src, opt: opt}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.looks, err = looksAt(src.path); err != nil {
		return nil, err
	}
	release, err := hold(ctx, src.file, opt.Wait)
	if err != nil {
		return nil, err
	}
	defer release()
	p.heldFrom = time.Now()
	way, err := src.choose()
	if err != nil {
		return nil, err
	}
	if opt.LiveOnly && way != live {
		return nil, ErrNotLive
	}
	switch way {
	case empty:
		p.header, p.at = parseHeader(nil), time.Now()
		p.since = p.at
		return p, nil
	case live:
		err = p.openLive(ctx, opt)
		if code(err) != sqlite3.SQLITE_READONLY_ROLLBACK {
			return p, err
		}
		src.found = FoundHotJournal
		if opt.LiveOnly {
			return nil, ErrNotLive
		}
		fallthrough // a read-only connection may not play it back
	case staged:
		release()
		return p, p.openStaged(ctx, opt)
	default:
		return p, p.openCold(ctx, opt)
	}
}

func (p *Pinned) openLive(ctx context.Context, opt Options) error {
	wal, err := stampOf(p.source.path + "-wal")
	if err != nil {
		return err
	}
	p.wal = wal.size
	pair := opt.Beside > 0 && p.source.found != FoundRollback && p.source.before.size+wal.size >= opt.Beside
	if opt.watch || pair {
		if p.probe, err = openProbe(ctx, p.source.path, opt); err != nil {
			return p.explain(err)
		}
	}
	if err := p.begin(ctx, p.source.path, "mode=ro", opt); err != nil {
		return p.explain(err)
	}
	now, err := stampOf(p.source.path)
	if err != nil {
		return err
	}
	if now.dev != p.source.before.dev || now.ino != p.source.before.ino {
		return errAgain // another file took its name before SQLite opened it
	}
	if p.probe != nil && p.source.found == FoundRollback && p.BlocksCommits() {
		// What came before the pin is in it, and nobody can commit until it ends.
		if p.probe.before, err = p.probe.version(ctx); err != nil {
			return p.explain(err)
		}
	}
	if pair && p.damage == nil && p.wantsSecond() && !p.BlocksCommits() {
		if err := p.pair(ctx); err != nil {
			return p.explain(err)
		}
	}
	return nil
}

// openCold reads a database in WAL mode that nobody has open.
func (p *Pinned) openCold(ctx context.Context, opt Options) error {
	if !p.source.before.resting() {
		return errAgain
	}
	p.guard = guard{p.source.path: p.source.before}
	if err := p.begin(ctx, p.source.path, "mode=ro&immutable=1", opt); err != nil {
		return p.explain(err)
	}
	if p.damage == nil && p.Size() <= p.source.before.size {
		p.image = p.source.file
	}
	return p.verify()
}

// explain turns what SQLite says of a live database into what it means for the caller.
func (p *Pinned) explain(err error) error {
	c := code(err)
	switch {
	case c&0xff == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %v", ErrNotDatabase, err)
	case c&0xff == sqlite3.SQLITE_BUSY:
		return lockedBy(p.source.file)
	case c == sqlite3.SQLITE_READONLY_ROLLBACK:
		return err
	case c&0xff == sqlite3.SQLITE_PROTOCOL, c&0xff == sqlite3.SQLITE_CANTOPEN, c&0xff == sqlite3.SQLITE_READONLY:
		// Either other processes changed the sidecars at this moment, or we may not read them.
		return fmt.Errorf("%w; are its -wal and -shm readable? (%w)", err, errAgain)
	}
	return err
}

// begin connects and starts the transaction. A database whose schema SQLite refuses is read all the same, but
// marked as damaged.
func (p *Pinned) begin(ctx context.Context, path, uri string, opt Options) (err error) {
	c, err := open(ctx, path, uri+opt.busy())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if p.longest > 0 {
		if _, err := sqlite.Limit(c.Conn, sqlite3.SQLITE_LIMIT_LENGTH, int(p.longest)); err != nil {
			return err
		}
	}
	err = p.read(ctx, c)
	if isSchema(err) {
		p.damage = err
		// https://www.sqlite.org/pragma.html#pragma_writable_schema: errors in the schema are passed over. Nothing is
		// written: the connection is read-only.
		_ = c.exec(ctx, "ROLLBACK") // fails if SQLite did it already
		if err = c.exec(ctx, "PRAGMA writable_schema=ON"); err == nil {
			err = p.read(ctx, c)
		}
	}
	if err != nil {
		return err
	}
	p.conn, p.opened, p.uri = c, path, uri
	return nil
}

// busy tells SQLite how long to wait for a lock.
func (o Options) busy() string {
	return fmt.Sprintf("&_busy_timeout=%d", min(o.Wait.Milliseconds(), math.MaxInt32))
}

// read starts the transaction with a read, for BEGIN alone pins nothing.
func (p *Pinned) read(ctx context.Context, c *conn) error {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	p.at = time.Now()
	header, pages, err := firstPage(ctx, c)
	if err != nil {
		return err
	}
	p.since, p.until = time.Now(), time.Time{}
	p.header, p.pages = header, pages
	return nil
}

// firstPage returns what the first page says, and how many pages there are.
func firstPage(ctx context.Context, c *conn) (h header, pages uint32, err error) {
	var page1 []byte
	if err := c.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage('main') WHERE pgno=1").Scan(&page1); err != nil {
		return h, 0, err
	}
	err = c.QueryRowContext(ctx, "PRAGMA main.page_count").Scan(&pages)
	return parseHeader(page1), pages, err
}

// isSchema reports whether an error says that the database can be opened but its schema can't be read.
func isSchema(err error) bool {
	primary := code(err) & 0xff
	return primary == sqlite3.SQLITE_CORRUPT || primary == sqlite3.SQLITE_ERROR
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
