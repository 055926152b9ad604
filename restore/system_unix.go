//go:build unix

package restore

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

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
