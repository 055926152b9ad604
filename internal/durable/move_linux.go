package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Move renames oldpath to newpath, where nothing may be: the error is then fs.ErrExist, and nothing has changed. It is durable after
// SyncDir of both directories, so that several moves can share that.
func Move(oldpath, newpath string) error {
	err := renameat2(oldpath, newpath, unix.RENAME_NOREPLACE)
	if errors.Is(err, errors.ErrUnsupported) {
		return lookAndMove(oldpath, newpath)
	}
	return err
}

// Exchange makes each of two names what the other was, at once, durable as Move is. Where the system or the file system can't do that, the
// error is errors.ErrUnsupported, and nothing has changed.
func Exchange(a, b string) error { return renameat2(a, b, unix.RENAME_EXCHANGE) }

func renameat2(a, b string, flags uint) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, flags)
	switch err {
	case nil:
		return nil
	case unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP: // EINVAL: the file system does not know the flag
		err = errors.ErrUnsupported
	}
	return &os.LinkError{Op: "rename", Old: a, New: b, Err: err}
}
