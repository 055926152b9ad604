package durable

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Tree is a directory with all that is below it, which is to become durable.
type Tree struct {
	dir *os.File
}

// OpenTree opens a directory for SyncAll. It is to be opened before anything is written into it: what the system could not write is reported only to
// who had the file system open by then.
func OpenTree(path string) (*Tree, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Tree{d}, nil
}

// SyncAll makes everything below the tree durable, contents and names. path is what it is called now. It asks for the whole file system at once, which
// costs one call rather than one for each of many thousand files; since Linux 5.8 syncfs(2) reports write errors as fsync does.
func (t *Tree) SyncAll(path string) error {
	if err := unix.Syncfs(int(t.dir.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", path, err)
	}
	return nil
}

// Close closes the tree.
func (t *Tree) Close() error { return t.dir.Close() }
