package sqlitedb

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Lockers returns the processes that have a lock on the file at path where SQLite has its own: the pending byte, the reserved one and the
// shared range. 0 stands for one that the kernel doesn't name: it is in another container, or its lock belongs to a
// descriptor, as those of this package do. So a process that only this tells of is one that /proc doesn't show.
//
// Of several readers, one is named. An idle connection in a rollback mode has no lock. The file is opened for reading and closed,
// which for the locks of this package is harmless; it must not be a -shm. Symbolic links are not followed.
func Lockers(path string) (pids []int, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if pids, err = lockers(f, pendingByte, sharedFirst+sharedSize); err != nil {
		return nil, fmt.Errorf("look for locks on %s: %w", path, err)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// lockers looks at the bytes from start to end. The kernel tells of one lock there, so what that does not cover is looked at again.
func lockers(f *os.File, start, end int64) (pids []int, err error) {
	if start >= end {
		return nil, nil
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: start, Len: end - start}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
		return nil, err
	}
	before, err := lockers(f, start, l.Start)
	if err != nil {
		return nil, err
	}
	var after []int
	if l.Len > 0 { // else to the end of the file
		if after, err = lockers(f, l.Start+l.Len, end); err != nil {
			return nil, err
		}
	}
	return slices.Concat([]int{max(int(l.Pid), 0)}, before, after), nil
}
