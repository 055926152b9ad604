//go:build !windows

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold takes the lock that says that a process is using an open file or directory. The kernel drops it when the file is closed, so at
// the latest when the process ends, however that happens. It is free when nobody else holds it and the name still leads to it:
// between making and holding, another process may have taken it for left over. A file system without such locks, as some
// network file systems are, has none of it to say, which is errNoHolds.
func hold(f *os.File) (free bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, errNoHolds
	}
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// own reports whether a file belongs to the user that this process runs as.
func own(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// A file may have its name changed while it is open, so that it is held until it has the new one.
const closeToRename = false
