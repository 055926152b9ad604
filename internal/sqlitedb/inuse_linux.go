package sqlitedb

import (
	"os"

	"golang.org/x/sys/unix"
)

// inUse reports whether somebody has a database in WAL mode open: each connection keeps the shared range locked for as long as it exists.
// A system that can't tell says yes.
func inUse(f *os.File) bool {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: sharedFirst, Len: sharedSize}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l)
	return err != nil || l.Type != unix.F_UNLCK
}
