package sqlitedb

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Where SQLite locks a database: a reader locks the shared range, and for a moment the pending byte; a writer
// that is about to change the file locks the pending byte, so that no more readers come, and then the shared
// range. See https://www.sqlite.org/lockingv3.html and the head of SQLite's os_unix.c.
const (
	pendingByte = 0x40000000
	sharedFirst = pendingByte + 2
	sharedSize  = 510
)

// hold locks the database as a reader does, so that its sidecars stay as they are while they are looked at and
// SQLite opens it: the last program that closes a WAL database removes them, but only after it has locked
// everybody out. It keeps the pending byte as well, or else a writer could take that and wait for us to go,
// while SQLite waits for the writer. Both locks belong to f, and are there until release or until f is closed.
//
// None is taken where the file system has none to give. It returns a LockedError if they can't be had within
// wait.
func hold(ctx context.Context, f *os.File, wait time.Duration) (release func(), err error) {
	deadline := time.Now().Add(wait)
	for {
		err := lock(f)
		switch {
		case err == nil:
			return func() { unlock(f) }, nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			return func() {}, nil
		case time.Now().After(deadline):
			return nil, lockedBy(f)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func lock(f *os.File) error {
	if err := set(f, unix.F_RDLCK, pendingByte, 1); err != nil {
		return err
	}
	err := set(f, unix.F_RDLCK, sharedFirst, sharedSize)
	if err != nil {
		unlock(f)
	}
	return err
}

// unlock can only fail for locks that f does not have.
func unlock(f *os.File) { _ = set(f, unix.F_UNLCK, pendingByte, 2+sharedSize) }

func set(f *os.File, kind int16, start, size int64) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: start, Len: size})
}
