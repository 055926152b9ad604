package durable

import (
	"errors"
	"io/fs"
	"os"
)

// ReplaceDir moves the directory oldpath to newpath, where there may be an empty directory. One that is not empty stays: the error
// is then fs.ErrExist.
func ReplaceDir(oldpath, newpath string) error {
	if err := os.Remove(newpath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &os.LinkError{Op: "rename", Old: oldpath, New: newpath, Err: fs.ErrExist}
	}
	return Rename(oldpath, newpath)
}
