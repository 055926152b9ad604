package sqlitedb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// whileHolding is how long the barrier waits for one database while it keeps others locked.
	whileHolding = 100 * time.Millisecond
	// betweenLocks is how long it waits between two tries.
	betweenLocks = 300 * time.Microsecond
	// underLock is how often the pins are renewed under it. Once is enough but for databases in a rollback mode, which are pinned anew.
	underLock = 10
)

// A BarrierError says why the barrier could not be put up.
type BarrierError struct {
	Path string // of the database that could not be locked
	Err  error
}

// Error says what is missing.
func (e *BarrierError) Error() string {
	return fmt.Sprintf("database %s could not be locked for a moment: %v", e.Path, e.Err)
}

// Unwrap returns Err.
func (e *BarrierError) Unwrap() error { return e.Err }

// errNoWrite is in a BarrierError where there is no permission to write.
var errNoWrite = errors.New("that takes permission to write to it, and to its -wal and -shm")

// A writeLock is a connection through which nobody else can write.
type writeLock struct {
	path string
	conn *conn
}

// barrier pins again what was committed to, while nobody can commit.
func (t *Together) barrier(ctx context.Context, paths []string, opt TogetherOptions) (err error) {
	locks, err := t.openLocks(ctx)
	defer func() {
		for _, l := range locks {
			l.conn.Close() // the pin is still there: nothing is checkpointed
		}
	}()
	if err != nil {
		return err
	}
	wait := opt.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	deadline := time.Now().Add(wait)
	for {
		busy, err := t.behind(ctx, paths, opt, locks, deadline)
		if busy == nil || err != nil {
			return err
		}
		if !time.Now().Before(deadline) {
			return &BarrierError{busy.path, fmt.Errorf("somebody was writing to it for longer than %s", wait)}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// openLocks connects to the databases in WAL mode, in the order of their paths, as every lifeboat does, so that two of them do not wait for
// each other.
func (t *Together) openLocks(ctx context.Context) (locks []*writeLock, err error) {
	pins := slices.DeleteFunc(slices.Clone(t.Pins), func(p *Pinned) bool { return p == nil || !p.Live() || p.BlocksCommits() })
	slices.SortFunc(pins, func(a, b *Pinned) int { return strings.Compare(a.source.path, b.source.path) })
	for _, p := range pins {
		c, err := open(ctx, p.source.path, "mode=rw&_pragma=wal_autocheckpoint(0)"+Options{}.busy())
		if err != nil {
			return locks, barrierError(p.source.path, err)
		}
		locks = append(locks, &writeLock{p.source.path, c})
		if err := c.exec(ctx, "PRAGMA query_only=OFF"); err != nil {
			return locks, barrierError(p.source.path, err)
		}
		if readOnly, err := c.readOnly(); err != nil || readOnly {
			return locks, &BarrierError{p.source.path, cmp.Or(err, errNoWrite)}
		}
	}
	return locks, nil
}

// readOnly reports whether SQLite could open the database for reading only: then it takes BEGIN IMMEDIATE for BEGIN, without a word.
func (c *conn) readOnly() (yes bool, err error) {
	err = c.Raw(func(driver any) (err error) {
		yes, err = driver.(interface{ IsReadOnly(string) (bool, error) }).IsReadOnly("main")
		return err
	})
	return yes, err
}

func barrierError(path string, err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		err = errNoWrite
	}
	return &BarrierError{path, err}
}

// behind locks all, renews the pins, and lets go again. It returns a lock that could not be had in time.
func (t *Together) behind(ctx context.Context, paths []string, opt TogetherOptions, locks []*writeLock, deadline time.Time) (busy *writeLock, err error) {
	var from time.Time
	var held []*writeLock
	defer func() {
		for _, l := range slices.Backward(held) {
			_ = l.conn.exec(context.WithoutCancel(ctx), "ROLLBACK") // if it fails, the connection that is closed ends it
		}
		if len(held) > 0 {
			t.Locked = max(t.Locked, time.Since(from))
		}
	}()
	for _, l := range locks {
		until := deadline
		if len(held) > 0 {
			until = time.Now().Add(whileHolding)
		}
		got, err := l.take(ctx, until)
		if err != nil {
			return nil, err
		}
		if !got {
			return l, nil
		}
		if len(held) == 0 {
			from = time.Now()
		}
		held = append(held, l)
	}
	for range underLock {
		if t.Proven, err = t.settle(ctx, paths, opt); t.Proven || err != nil {
			return nil, err
		}
	}
	return nil, errors.New("databases were committed to although they were locked")
}

// take begins the transaction, or reports that somebody else has one until it is too late.
func (l *writeLock) take(ctx context.Context, until time.Time) (bool, error) {
	for {
		err := l.conn.exec(ctx, "BEGIN IMMEDIATE")
		if err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if primary := code(err) & 0xff; primary != sqlite3.SQLITE_BUSY && primary != sqlite3.SQLITE_LOCKED && primary != sqlite3.SQLITE_PROTOCOL {
			return false, barrierError(l.path, err)
		}
		if !time.Now().Before(until) {
			return false, nil
		}
		if err := pause(ctx, betweenLocks); err != nil {
			return false, err
		}
	}
}
