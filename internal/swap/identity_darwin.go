package swap

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// identify returns the identity of what is at path, and of a symbolic link its own.
func identify(path string) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Identity{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return Identity{Dev: uint64(st.Dev), Ino: st.Ino, Born: st.Btim.Nano()}, nil
}
