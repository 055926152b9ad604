package swap

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// identify returns the identity of what is at path, and of a symbolic link its own.
func identify(path string) (Identity, error) {
	var st unix.Statx_t
	for {
		err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ENOSYS || err == unix.EPERM { // an old kernel, or a sandbox that does not know the call
			return identifyOld(path)
		}
		if err != nil {
			return Identity{}, &fs.PathError{Op: "statx", Path: path, Err: err}
		}
		break
	}
	id := Identity{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.Born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id, nil
}

func identifyOld(path string) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Identity{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return Identity{Dev: st.Dev, Ino: st.Ino}, nil
}
