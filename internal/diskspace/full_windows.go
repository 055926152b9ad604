package diskspace

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// syscall.ENOSPC is a number of Go's own here, which wrappers use.
var full = []syscall.Errno{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED, syscall.ENOSPC}

// ReadOnly reports whether an error says that the medium is write-protected.
func ReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
