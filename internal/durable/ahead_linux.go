package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriting asks the system to begin to write n bytes at off to the disk, and does not wait for it. That it cannot is no failure, and an error of
// the disk is kept for the fsync: sync_file_range(2) takes it away from there only with the flags that wait.
func startWriting(f *os.File, off, n int64) {
	unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
