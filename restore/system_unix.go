//go:build unix

package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lifeboat/internal/xattr"
	"lifeboat/manifest"
)

// local returns a path of a snapshot as the file system here wants it. filepath.Localize would refuse names that are not
// UTF-8, which are names like any other here.
func local(path string) (string, error) { return path, manifest.CheckPath(path) }

// copyOwner gives a directory the owner of another, as far as this process may.
func copyOwner(dir string, from fs.FileInfo) {
	if st, ok := from.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(dir, int(st.Uid), int(st.Gid))
	}
}

// setLinkTime sets the time of a symbolic link in a directory that is open. os has nothing that does not follow the link.
func setLinkTime(dir *os.File, name string, t manifest.Timestamp) error {
	ts := unix.NsecToTimespec(int64(t))
	return unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// linkTime sets the time of a symbolic link.
func linkTime(path string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// A fileID is what the names of one file have in common.
type fileID struct{ dev, ino uint64 }

// severalNames reports whether a file has more names than one, and what they have in common.
func severalNames(fi fs.FileInfo) (fileID, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), st.Ino}, true
}

// setLinkXattr sets an attribute of a symbolic link in a directory that is open.
func setLinkXattr(dir *os.File, name string, a xattr.Attr) error {
	if runtime.GOOS != "linux" {
		return errors.ErrUnsupported
	}
	return xattr.SetPath(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name), a)
}

// ordinaryXattr reports whether an attribute is one of a system whose attributes have no name spaces, and one that means nothing to the
// kernel.
func ordinaryXattr(name string) bool {
	if runtime.GOOS != "darwin" {
		return false
	}
	for _, prefix := range []string{"security.", "trusted.", "system.", "com.apple.system.", "com.apple.rootless", "com.apple.quarantine"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// isBadName reports whether the system refuses a name, not what is done with it.
func isBadName(err error) bool {
	return errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EILSEQ) || errors.Is(err, unix.EINVAL)
}
