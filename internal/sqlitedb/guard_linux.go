package sqlitedb

import (
	"io/fs"
	"syscall"
)

func stampOfInfo(info fs.FileInfo) stamp {
	s := stamp{exists: true, size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.ctime = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return s
}
