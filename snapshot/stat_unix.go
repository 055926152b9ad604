//go:build linux || darwin

package snapshot

import (
	"io/fs"
	"syscall"
	"time"
)

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func statOf(fi fs.FileInfo) (stat, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return stat{}, false
	}
	return stat{int64(st.Uid), int64(st.Gid), int64(st.Nlink), uint64(st.Dev), st.Ino, int64(st.Blocks)}, true
}

// changeTime returns when anything about a file was last changed. Nobody can set it, unlike the time of modification.
func changeTime(fi fs.FileInfo) (time.Time, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	ctime := ctimeOf(st)
	return time.Unix(ctime.Unix()), true
}
