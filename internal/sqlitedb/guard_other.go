//go:build !linux && !darwin

package sqlitedb

import "io/fs"

func stampOfInfo(info fs.FileInfo) stamp {
	return stamp{exists: true, size: info.Size(), mtime: info.ModTime().UnixNano()}
}
