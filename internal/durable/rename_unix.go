//go:build !windows

package durable

import (
	"os"
	"syscall"
)

// ReplaceDir moves the directory oldpath to newpath, where there may be an empty directory, and makes that durable. On
// Unix there is no moment without a directory at newpath, and one that is not empty stays: the error is then fs.ErrExist.
func ReplaceDir(oldpath, newpath string) error {
	if err := syscall.Rename(oldpath, newpath); err != nil {
		return &os.LinkError{Op: "rename", Old: oldpath, New: newpath, Err: err}
	}
	return syncMove(oldpath, newpath)
}
