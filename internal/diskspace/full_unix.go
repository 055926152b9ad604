//go:build unix

package diskspace

import "syscall"

var full = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
