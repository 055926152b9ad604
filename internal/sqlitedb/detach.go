package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// DefaultMaxBlock is how long writers in a rollback mode are kept from committing at a stretch, unless Options say otherwise: less than the
// five seconds for which most libraries have them wait for a lock.
const DefaultMaxBlock = 2 * time.Second

const (
	// rounds is how often the pages of a database are looked at in slices before the last resort.
	rounds = 4
	// longestPause is for how long the lock is left to others between two slices. A busy handler sleeps up to 100 ms between two tries
	// (sqliteDefaultBusyCallback in SQLite's main.c), so that two writers get their turn who waited for each other besides.
	longestPause = 250 * time.Millisecond
	// detours is how often Detach begins anew with a database of which the journal mode was changed, or a writer crashed.
	detours = 5
)

// Detach copies a database whose writers can't commit while it is pinned to a file in Options.Scratch, and lets the writers go; what is pinned
// is the copy from then on. Any other it leaves as it is. The copy is as large as the database and is removed by Close.
//
// Nobody is kept from committing for longer than Options.MaxBlock at a stretch, and the few milliseconds that it takes to stop. What can't be
// copied in that time is copied in slices. A slice is a transaction, and between two of them writers get their turn; one that waits for us
// keeps SQLite's pending lock, which keeps us out until it has committed (https://www.sqlite.org/lockingv3.html, section 3).
//
// The copy is one state nevertheless. Within a transaction the file does not change, for to write to it takes a lock that nobody gets meanwhile.
// Between two it may: then the second finds the change counter changed, which every commit in a rollback mode increments, and with it
// PRAGMA data_version, by which SQLite itself decides whether its page cache is worth anything (sqlite3PagerSharedLock in pager.c). If so, every page
// must be looked at again: it is compared with the copy, and written there if it differs. Detach is done as soon as all pages were looked at since
// the last change was seen. From the first of these looks to the last, nobody committed, and all of these pages were those of
// the one state that the file was in, at every instant of that time; and the copy has exactly these pages, for it is cut or grows with the database.
// If commits keep coming faster than that, pages are looked at for the last time under one lock that is not let go; see Unbroken.
//
// A database that is in another state than before when its turn comes again, in WAL mode or left in the middle of a transaction, is pinned
// anew, as Pin does. After an error there is nothing to do but Close; one of the disk of the copy is what the system says (syscall.ENOSPC).
func (p *Pinned) Detach(ctx context.Context) error {
	for n := 1; p.source != nil && p.BlocksCommits(); n++ {
		path := p.source.path
		err := p.detach(ctx)
		if err != nil && (!errors.Is(err, errAgain) || n == detours) {
			return fmt.Errorf("copy %s: %w", path, err)
		}
		if err != nil {
			if err := p.anew(ctx, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// anew pins a database again that is not in the state any more in which it was pinned.
func (p *Pinned) anew(ctx context.Context, path string) error {
	blocked, opt := p.blocked, p.opt
	if err := p.Close(); err != nil {
		return err
	}
	now, err := Pin(ctx, path, opt)
	if err != nil {
		return err
	}
	*p = *now
	p.blocked, p.moved = blocked, true
	return nil
}

// detach does it, or returns errAgain.
func (p *Pinned) detach(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(p.opt.Scratch, "sqlitedb-*")
	if err != nil {
		return err
	}
	var f *os.File
	defer func() {
		if err != nil {
			f.Close()
			os.RemoveAll(dir)
		}
	}()
	path := filepath.Join(dir, "db")
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	c := &copying{p: p, file: pageFile{f: f, pageSize: p.header.pageSize}, next: 1, most: p.pages}
	if err := c.run(ctx); err != nil {
		return err
	}
	if err := c.file.flush(); err != nil {
		return err
	}
	return p.moveTo(ctx, dir, f)
}

// moveTo goes on with the copy in a directory. On failure both are the caller's.
func (p *Pinned) moveTo(ctx context.Context, dir string, f *os.File) error {
	p.leave()
	if err := p.conn.Close(); err != nil {
		return err
	}
	p.conn = nil
	if p.probe != nil { // it would take locks on the database
		err := p.probe.conn.Close()
		if p.probe = nil; err != nil {
			return err
		}
	}
	at, since, until, pages := p.at, p.since, p.until, p.pages
	if err := p.begin(ctx, f.Name(), "mode=ro&immutable=1", p.opt); err != nil {
		return err
	}
	if p.at, p.since, p.until = at, since, until; p.pages != pages {
		return fmt.Errorf("the copy has %d pages, not %d", p.pages, pages)
	}
	p.staged, p.image = dir, f
	return nil
}

// Slices returns in how many transactions Detach copied the database; 0 if it did not.
func (p *Pinned) Slices() int { return p.slices }

// Moved reports whether the database was committed to between Pin and the state that is pinned after Detach. If not, that is
// still the state at the instant of Pin, in however many slices it was read.
func (p *Pinned) Moved() bool { return p.moved }

// Blocked returns for how long the pin has kept writers from committing, at the longest stretch.
func (p *Pinned) Blocked() time.Duration {
	if p.BlocksCommits() && !p.heldFrom.IsZero() {
		return max(p.blocked, time.Since(p.heldFrom))
	}
	return p.blocked
}

// Unbroken reports whether Detach had to take its last resort: commits kept coming, and for the last look at the pages writers had to wait,
// however long it took.
func (p *Pinned) Unbroken() bool { return p.unbroken }

// A copying is one run of Detach.
type copying struct {
	p       *Pinned
	file    pageFile
	version int64  // PRAGMA data_version in the latest transaction
	next    uint32 // the page to look at
	since   uint32 // how many pages were looked at since the last change was seen
	looked  int64  // how many pages were looked at in all
	most    uint32 // how many pages the database had at most
}

// run fills the copy. It begins in the transaction of the pin and ends in none.
func (c *copying) run(ctx context.Context) (err error) {
	p := c.p
	if c.version, err = p.dataVersion(ctx); err != nil {
		return err
	}
	for {
		var deadline time.Time
		if !p.unbroken {
			deadline = p.heldFrom.Add(p.opt.MaxBlock)
		}
		done, err := c.slice(ctx, deadline)
		if err != nil {
			return err
		}
		if err := p.release(ctx); done || err != nil {
			return err
		}
		if p.opt.Between != nil {
			p.opt.Between()
		}
		if err := pause(ctx, min(p.opt.MaxBlock, longestPause)); err != nil {
			return err
		}
		if err := c.again(ctx); err != nil {
			return err
		}
		c.most = max(c.most, p.pages)
		p.unbroken = c.looked >= rounds*int64(c.most)
	}
}

// errEnough ends a slice.
var errEnough = errors.New("enough")

// slice looks at pages, in a circle, until all were looked at since the last change was seen, which is done, or until the deadline, if there is
// one; but at one page at least, or else nothing would ever become of it.
func (c *copying) slice(ctx context.Context, deadline time.Time) (done bool, err error) {
	c.p.slices++
	for c.since < c.p.pages {
		if c.next > c.p.pages {
			c.next = 1
		}
		err := c.p.stream(ctx, c.next, func(pgno uint32, page []byte) error {
			if err := c.file.put(pgno, page); err != nil {
				return err
			}
			c.next, c.since, c.looked = pgno+1, c.since+1, c.looked+1
			if c.since >= c.p.pages || !deadline.IsZero() && !time.Now().Before(deadline) {
				return errEnough
			}
			return nil
		})
		if err == errEnough {
			break
		}
		if err != nil {
			return false, err
		}
	}
	return c.since >= c.p.pages, nil
}

// again begins the next transaction.
func (c *copying) again(ctx context.Context) error {
	p := c.p
	size, at, since, until := p.header.pageSize, p.at, p.since, p.until
	if err := p.resume(ctx); err != nil {
		return err
	}
	version, err := p.dataVersion(ctx)
	if err != nil {
		return err
	}
	if version == c.version {
		p.at, p.since, p.until = at, since, until // this is still that state
		return nil
	}
	c.version, c.since, p.moved = version, 0, true
	if p.header.pageSize != size {
		c.next = 1
		return c.file.restart(p.header.pageSize)
	}
	if err := c.file.cut(p.pages); err != nil {
		return err
	}
	// What was not copied yet comes first, so that in the end there is little left to write. All else is equal, and pages are had quickest from the first.
	if c.file.have >= p.pages {
		c.next = 1
	}
	return nil
}

// release ends the transaction on a database whose writers wait for that.
func (p *Pinned) release(ctx context.Context) error {
	err := p.conn.exec(context.WithoutCancel(ctx), "ROLLBACK")
	p.blocked = max(p.blocked, time.Since(p.heldFrom))
	return err
}

// resume begins another transaction after release, as pin began the first: under a lock of our own, so that what lies beside the database is looked
// at before SQLite does, which would make a log and its index beside one that was put into WAL mode. It returns errAgain if that is not as it was. Who
// waited for us may take some time now, as VACUUM does.
func (p *Pinned) resume(ctx context.Context) error {
	unhold, err := hold(ctx, p.source.file, 6*p.opt.Wait)
	if err != nil {
		return err
	}
	defer unhold()
	p.heldFrom = time.Now()
	before := p.source.before
	if err := p.source.readHeader(); err != nil {
		return err
	}
	now, err := stampOf(p.source.path)
	if err != nil {
		return err
	}
	if now.dev != before.dev || now.ino != before.ino {
		return errAgain // another file has its name now
	}
	way, err := p.source.choose()
	if errors.Is(err, ErrNotDatabase) || err == nil && (way != live || p.source.found != FoundRollback) {
		return errAgain
	}
	if err != nil {
		return err
	}
	err = p.read(ctx, p.conn)
	if code(err) == sqlite3.SQLITE_READONLY_ROLLBACK || isSchema(err) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	if err != nil {
		return p.explain(err)
	}
	return nil
}

// dataVersion changes when another connection commits: https://www.sqlite.org/pragma.html#pragma_data_version. In a transaction it tells whether
// that has happened since the one before it.
func (p *Pinned) dataVersion(ctx context.Context) (n int64, err error) {
	err = p.conn.QueryRowContext(ctx, "PRAGMA main.data_version").Scan(&n)
	return n, err
}
