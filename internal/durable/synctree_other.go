//go:build !linux

package durable

import (
	"io/fs"
	"os"
	"path/filepath"
)

// A Tree is a directory with all that is below it, which is to become durable.
type Tree struct{}

// OpenTree opens a directory for SyncAll. It is to be opened before anything is written into it.
func OpenTree(string) (*Tree, error) { return &Tree{}, nil }

// SyncAll makes everything below the tree durable, contents and names. path is what it is called now.
func (*Tree) SyncAll(path string) error {
	return filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return SyncDir(name)
		case !e.Type().IsRegular():
			return nil
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			if f, err = os.Open(name); err != nil { // a file without write permission
				return err
			}
		}
		defer f.Close()
		return Sync(f)
	})
}

// Close closes the tree.
func (*Tree) Close() error { return nil }
