//go:build unix && !linux

package mounts

import (
	"path/filepath"
	"syscall"
)

// isPoint reports whether path lies on another device than the directory that it is in, or is the root.
func isPoint(path string) bool {
	dir := filepath.Dir(path)
	if dir == path {
		return true
	}
	var self, parent syscall.Stat_t
	return syscall.Lstat(path, &self) == nil && syscall.Lstat(dir, &parent) == nil && self.Dev != parent.Dev
}
