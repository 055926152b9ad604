//go:build linux || darwin

package snapshot

import (
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lifeboat/internal/xattr"
)

// glanceAt looks at a name in an open directory, and reports whether it is a regular file that has no other name.
func glanceAt(dir *os.File, name string) (glance, bool) {
	var st unix.Stat_t
	at := time.Now()
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return glance{}, false
	}
	return glanceOf(&st, at)
}

// existsAt reports whether there is something of a name in an open directory, or may be.
func existsAt(dir *os.File, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != unix.ENOENT
}

// readAt reads the first bytes of a file in an open directory, and looks at it after that. It reports false if there are fewer, if the file has extended
// attributes, or if something else went wrong. A symbolic link is not followed, and a pipe's other end not waited for.
func readAt(dir *os.File, name string, into []byte) (last glance, ok bool) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC|noFollow, 0)
	if err != nil {
		return last, false
	}
	defer unix.Close(fd)
	if len(into) > 0 {
		if n, err := unix.Pread(fd, into, 0); err != nil || n < len(into) {
			return last, false
		}
	}
	if !xattr.None(fd) {
		return last, false
	}
	var st unix.Stat_t
	at := time.Now()
	if err := unix.Fstat(fd, &st); err != nil {
		return last, false
	}
	return glanceOf(&st, at)
}

func glanceOf(st *unix.Stat_t, at time.Time) (glance, bool) {
	g := glance{mode: uint32(st.Mode) & 0o7777, uid: int64(st.Uid), gid: int64(st.Gid), at: at}
	g.Dev, g.Ino, g.Size = uint64(st.Dev), st.Ino, st.Size
	g.Modified, g.Changed = st.Mtim.Nano(), st.Ctim.Nano()
	return g, st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1 && inNanoseconds(int64(st.Mtim.Sec)) && inNanoseconds(int64(st.Ctim.Sec))
}

// inNanoseconds reports whether a time in seconds can be told in nanoseconds, as a stamp has it.
func inNanoseconds(sec int64) bool {
	const most = math.MaxInt64 / int64(time.Second)
	return -most < sec && sec < most
}
