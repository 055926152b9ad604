//go:build !linux

package durable

import (
	"errors"
	"os"
)

// Move renames oldpath to newpath, where nothing may be: the error is then fs.ErrExist, and nothing has changed. It is durable after
// SyncDir of both directories, so that several moves can share that.
func Move(oldpath, newpath string) error { return lookAndMove(oldpath, newpath) }

// Exchange makes each of two names what the other was, at once. Here nothing can: the error is errors.ErrUnsupported.
func Exchange(a, b string) error {
	return &os.LinkError{Op: "rename", Old: a, New: b, Err: errors.ErrUnsupported}
}
