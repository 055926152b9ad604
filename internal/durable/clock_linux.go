package durable

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Clock returns the time that the file system of a directory goes by, which on a network is not this machine's. It makes a file for it,
// which has no name where the file system can do that, so that nothing is left even by a process that is killed.
func Clock(dir string) (time.Time, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return namedClock(dir) // such as NFS
	}
	defer f.Close()
	return modTime(f)
}
