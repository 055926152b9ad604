package durable

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes everything below path durable, contents and names. It asks for the whole file system at once, which costs one
// call rather than one for each of many thousand files; since Linux 5.8 syncfs(2) reports write errors as fsync does.
func SyncTree(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", path, err)
	}
	return nil
}
