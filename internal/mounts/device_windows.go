package mounts

import (
	"os"
	"path/filepath"
)

// isPoint reports whether path is the root of a volume, or a directory that stands for one. Lstat calls that irregular, and a junction too.
func isPoint(path string) bool {
	if filepath.Dir(path) == path {
		return true
	}
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeIrregular != 0
}
