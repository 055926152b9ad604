//go:build unix

package diskspace

import (
	"errors"
	"syscall"
)

var full = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}

// ReadOnly reports whether an error says that the file system is mounted read-only.
func ReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
