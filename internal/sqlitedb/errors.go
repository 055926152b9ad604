package sqlitedb

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotDatabase is returned for a file that is not a SQLite database, or is encrypted: the two look alike.
var ErrNotDatabase = errors.New("not a SQLite database, or encrypted")

// ErrChanged is returned when a database that is read without a lock, because nobody has it open, was
// changed meanwhile. What was read is not one state and must be thrown away. Pinning it again will do.
var ErrChanged = errors.New("the database was changed while it was read")

// ErrNotLive is what Options.LiveOnly makes of a database that nobody has open, or that must be recovered first.
var ErrNotLive = errors.New("nobody has the database open, or it must be recovered first")

// A LockedError says that another process holds the database so that nobody else can read it: as
// locking_mode=EXCLUSIVE does, or a transaction in a rollback mode that outlasted Options.Wait.
type LockedError struct {
	PID     int    // the process, or 0 where the system can't tell
	Program string // its name, or ""
}

// Error says who holds the database and what to do about it.
func (e *LockedError) Error() string {
	return fmt.Sprintf("locked by %s; it must leave locking_mode=EXCLUSIVE, end its transaction, or stop", who(e.PID, e.Program))
}

// who names a process, as far as it is known.
func who(pid int, program string) string {
	name := "another process"
	if pid > 0 {
		name = fmt.Sprintf("process %d", pid)
	}
	if program != "" {
		name += " (" + program + ")"
	}
	return name
}

// errAgain means that the source moved while it was looked at, and that looking again is the answer.
var errAgain = errors.New("the database did not come to rest")

// code returns the SQLite result code of an error, or 0; code & 0xff is the primary one. See
// https://www.sqlite.org/rescode.html.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// isDamage reports whether an error speaks of the content of a database rather than of the means to read it.
func isDamage(err error) bool {
	primary := code(err) & 0xff
	return primary == sqlite3.SQLITE_CORRUPT || primary == sqlite3.SQLITE_NOTADB
}
