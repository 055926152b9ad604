//go:build !windows

package restore

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable returns why this process may not make and rename entries of a directory, or nil.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// movable returns why this process may not move what it found at path to another directory, or nil. It may write to the directory that path is in.
func movable(path string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if self := os.Geteuid(); self == 0 || !ok || int(st.Uid) == self {
		return nil
	} else if parent, err := os.Stat(filepath.Dir(path)); err == nil && parent.Mode()&fs.ModeSticky != 0 {
		if in, ok := parent.Sys().(*syscall.Stat_t); ok && int(in.Uid) != self {
			return syscall.EPERM // as in /tmp
		}
	}
	if fi.IsDir() { // its entry .. becomes another
		return writable(path)
	}
	return nil
}
