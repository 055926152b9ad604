//go:build unix

package restore

import "golang.org/x/sys/unix"

// sameFileSystem reports whether a rename from one directory to the other can work.
func sameFileSystem(a, b string) bool {
	var sa, sb unix.Stat_t
	return unix.Stat(a, &sa) == nil && unix.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}
