package sqlitedb

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// lockedBy tells which process keeps readers out of a database, as far as that can be known.
func lockedBy(f *os.File) *LockedError {
	pid := holder(f)
	return &LockedError{PID: pid, Program: program(pid)}
}

// blocker tells of one process that has any lock on a database.
func blocker(f *os.File) (pid int, name string) {
	pids, _ := lockers(f, pendingByte, sharedFirst+sharedSize) // who can't be asked for is not known
	if len(pids) > 0 {
		pid = slices.Max(pids) // rather than 0
	}
	return pid, program(pid)
}

// program returns the name of a process, "" if it is not known.
func program(pid int) string {
	if pid == 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1 // any program may call itself anything
		}
		return r
	}, string(name))
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
