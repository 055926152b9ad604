//go:build unix

package snapshot_test

import (
	"syscall"
	"testing"
)

// blocksOf returns how many bytes of disk a file takes.
func blocksOf(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * 512
}
