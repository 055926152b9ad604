package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// mount puts a file system of size bytes at dir until the test ends. A test that needs one and cannot have it says so.
func mount(t *testing.T, dir string, size int, options ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: a file system that is full, or read-only: only root can make one")
	}
	var flags uintptr
	data := fmt.Sprintf("size=%d,mode=777", size)
	for _, o := range options {
		if o == "ro" {
			flags = syscall.MS_RDONLY
		} else {
			data += "," + o
		}
	}
	if err := syscall.Mount("none", dir, "tmpfs", flags, data); err != nil {
		t.Skipf("NOT CHECKED: a file system that is full, or read-only: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}
