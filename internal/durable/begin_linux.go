package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// Begin has the system begin to bring n bytes of a file at off to the disk, and does not wait for it. It makes nothing durable: that is for Sync and for
// Tree.SyncAll, which have less to wait for after it, and which also report what goes wrong with it: sync_file_range(2)
// takes an error of the disk away from them only with the flags that wait.
func Begin(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
