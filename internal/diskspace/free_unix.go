//go:build unix

package diskspace

import "golang.org/x/sys/unix"

// Free returns how many bytes the caller may still write to the file system of path.
func Free(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Used returns how many bytes the file systems of paths hold, each file system counted once.
func Used(paths ...string) (used int64, err error) {
	counted := map[uint64]bool{}
	for _, path := range paths {
		var file unix.Stat_t
		if err := unix.Stat(path, &file); err != nil {
			return 0, err
		}
		if counted[uint64(file.Dev)] {
			continue
		}
		counted[uint64(file.Dev)] = true
		var st unix.Statfs_t
		if err := unix.Statfs(path, &st); err != nil {
			return 0, err
		}
		used += int64(st.Blocks-st.Bfree) * int64(st.Bsize)
	}
	return used, nil
}
