package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// A BusyError says that another process is at work in a database, or keeps it to itself.
type BusyError struct {
	PID     int    // a process that has a lock on it, or 0 where the system can't tell
	Program string // its name, or ""
	what    string // what did not go through
}

// Error says who is in the way and what to do about it.
func (e *BusyError) Error() string {
	return fmt.Sprintf("in use by %s (%s); stop it, or let it end its transaction", who(e.PID, e.Program), e.what)
}

// patience is how long Quiesce waits for a lock.
const patience = 2 * time.Second

// Quiesce plays what lies beside a database into it and empties its log, as a careful application does before it ends. Unlike
// everything else here, it writes to the database: it is for one that is about to be replaced, so that all of its content
// is in its file, and that who is at work in it is found out. A hot journal is rolled back, as by any opening. What it
// makes beside the database is gone again when it returns, unless other processes use that too.
//
// It proves that nobody was in the middle of a transaction. That nobody has the database open it does not: an idle connection has no
// lock that is in the way, nor has, in WAL mode, a reader of what is in the file already.
//
// done is false if it could not be done, and note says why: the file is empty (SQLite would delete what lies beside it), is no database
// or an encrypted one, is damaged, may not be written to, or was left in a transaction over several databases of which only the machine
// or container that wrote it can tell whether it was committed. Then it and what lies beside it are as they were, as far as the damage
// allows. err is a BusyError, fs.ErrNotExist, or that ctx has ended.
func Quiesce(ctx context.Context, path string) (done bool, note string, err error) {
	src, err := openSource(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", fmt.Errorf("quiesce %s: %w", path, err)
	}
	if err != nil {
		return false, err.Error(), nil
	}
	defer src.file.Close() // after SQLite has closed its own; see the package documentation
	way, err := src.choose()
	if err != nil {
		return false, err.Error(), nil
	}
	if way == empty {
		return false, "the file is empty", nil
	}
	if name, err := undecided(src.path); err != nil || name != "" {
		if err == nil {
			err = fmt.Errorf("its journal names %q, which tells whether a transaction was committed and is not to be seen from here", name)
		}
		return false, err.Error(), nil
	}
	what, err := src.quiesce(ctx)
	switch primary := code(err) & 0xff; {
	case ctx.Err() != nil:
		return false, "", fmt.Errorf("quiesce %s: %w", path, ctx.Err())
	case what != "", primary == sqlite3.SQLITE_BUSY, primary == sqlite3.SQLITE_LOCKED, primary == sqlite3.SQLITE_PROTOCOL:
		if what == "" {
			what = err.Error()
		}
		busy := &BusyError{what: what}
		busy.PID, busy.Program = blocker(src.file)
		return false, "", fmt.Errorf("quiesce %s: %w", path, busy)
	case err != nil:
		return false, err.Error(), nil
	}
	return true, "", nil
}

// quiesce does it through a connection of its own. busy says what others did not let through.
func (s *source) quiesce(ctx context.Context) (busy string, err error) {
	c, err := open(ctx, s.path, "mode=rw&_pragma=wal_autocheckpoint(0)"+Options{Wait: patience}.busy())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r, err := c.checkpoint(ctx)
	if isSchema(err) { // as in begin: a schema that is damaged is passed over
		if err = c.exec(ctx, "PRAGMA writable_schema=ON"); err == nil {
			r, err = c.checkpoint(ctx)
		}
	}
	switch {
	case err != nil:
		return "", err
	case r == checkpointed{0, 0, 0}:
		return "", nil
	case r != checkpointed{0, -1, -1}:
		return fmt.Sprintf("the log could not be emptied: busy %d, %d of %d pages", r.busy, r.done, r.log), nil
	}
	// In a rollback mode there is no log, and the checkpoint waited for nobody. This does: it locks everybody out, and writes nothing.
	return "", c.exec(ctx, "PRAGMA query_only=OFF", "BEGIN EXCLUSIVE", "ROLLBACK")
}

// checkpointed is the answer to a checkpoint, which succeeds also if it was stopped half-way:
// https://www.sqlite.org/pragma.html#pragma_wal_checkpoint.
type checkpointed struct {
	busy      int // 1 if somebody was in the way
	log, done int // pages in the log, and how many of them were written back; -1 if there is no log
}

func (c *conn) checkpoint(ctx context.Context) (r checkpointed, err error) {
	err = c.QueryRowContext(ctx, "PRAGMA main.wal_checkpoint(TRUNCATE)").Scan(&r.busy, &r.log, &r.done)
	return r, err
}

// undecided returns the super-journal that the journal beside a database names if SQLite would not find it and conclude
// that the transaction was committed, though it may be there under another name; see settle.
func undecided(path string) (name string, err error) {
	f, err := os.Open(path + "-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if name, _, err = superJournal(f); err != nil || name == "" {
		return "", err
	}
	there, err := stampOf(name)
	if err == nil && there.exists {
		return "", nil
	}
	beside, err := stampOf(filepath.Join(filepath.Dir(path), filepath.Base(name)))
	if err != nil || beside.exists {
		return name, err
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return name, nil
	}
	return "", nil
}
