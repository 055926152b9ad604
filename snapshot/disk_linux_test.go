package snapshot_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of so many bytes until the test ends.
func smallDisk(t *testing.T, dir string, bytes int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: a file system that is full: only root can mount one")
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("NOT CHECKED: a file system that is full: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
