//go:build !windows

package restore

import "golang.org/x/sys/unix"

// mayWrite reports whether this process may make and rename entries of a directory.
func mayWrite(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
