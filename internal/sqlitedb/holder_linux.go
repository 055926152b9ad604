package sqlitedb

import (
	"fmt"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// lockedBy tells which process keeps readers out of a database, as far as that can be known.
func lockedBy(f *os.File) *LockedError {
	e := &LockedError{PID: holder(f)}
	if e.PID == 0 {
		return e
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", e.PID)); err == nil {
		e.Program = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1 // any program may call itself anything
			}
			return r
		}, string(name))
	}
	return e
}

// holder returns the process that keeps readers out, or 0 if there is none or it can't be known, as of a lock that belongs to an
// open file description.
func holder(f *os.File) int {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: pendingByte, Len: 2 + sharedSize}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
		return 0
	}
	return max(int(l.Pid), 0)
}
