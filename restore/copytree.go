package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/xattr"
)

// A copier copies files, links, and directories with all that is in them, with owner, mode, attributes and times, and with the names that
// files have in common, as far as it copies all of these. It follows no links. Its zero value is ready.
type copier struct {
	special func(path string) // is told what cannot be copied, such as a socket; may be nil
	entries int64             // files, links and directories that were copied
	names   map[fileID]string // where files that have several names are now
}

// copy copies what is at from to where nothing is.
func (c *copier) copy(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case fi.Mode().IsRegular():
		id, several := severalNames(fi)
		if several && c.names[id] != "" && os.Link(c.names[id], to) == nil {
			c.entries++
			return nil
		}
		if err = copyRegular(from, to); err == nil && several {
			if c.names == nil {
				c.names = map[fileID]string{}
			}
			c.names[id] = to
		}
	case fi.IsDir():
		err = c.directory(from, to)
	case fi.Mode()&fs.ModeSymlink != 0:
		c.entries++
		return copyLink(from, to, fi)
	default:
		if c.special != nil {
			c.special(from)
		}
		return nil
	}
	if err != nil {
		return err
	}
	c.entries++
	return copyMetadata(from, to, fi)
}

func (c *copier) directory(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isOurs(e.Name()) {
			continue
		}
		if err := c.copy(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyLink(from, to string, fi fs.FileInfo) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, to); err != nil {
		return err
	}
	copyOwner(to, fi)
	return linkTime(to, fi.ModTime())
}

// copyRegular copies the bytes of a file.
func copyRegular(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	fi, err := r.Stat()
	if err == nil {
		err = copyBytes(w, r, fi.Size(), nil)
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// copyMetadata gives a copy what the original has besides its bytes, as far as this process may.
func copyMetadata(from, to string, fi fs.FileInfo) error {
	copyOwner(to, fi)
	if attrs, err := xattr.ReadPath(from, xattr.Limits{Count: 1000, Bytes: 1 << 20}); err == nil {
		for _, a := range attrs {
			_ = xattr.SetPath(to, a)
		}
	}
	if err := os.Chmod(to, fi.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	if err := os.Chtimes(to, fi.ModTime(), fi.ModTime()); err != nil {
		return fmt.Errorf("copy %s: %w", from, errors.Unwrap(err))
	}
	return nil
}
