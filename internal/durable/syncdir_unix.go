//go:build !windows

package durable

import (
	"fmt"
	"os"
)

// SyncDir makes the names in a directory durable: what was created, renamed and removed there.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("fsync %s: %w", path, err)
	}
	return nil
}
