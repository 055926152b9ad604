package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/xattr"
)

// copyTree copies a file, a link, or a directory with all that is in it, with owner, mode, attributes and times. What it cannot copy, such as a
// socket, it tells special, if that is not nil. It follows no links.
func copyTree(from, to string, special func(path string)) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case fi.Mode().IsRegular():
		err = copyRegular(from, to)
	case fi.IsDir():
		err = copyEntries(from, to, special)
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(target, to)
		}
		if err == nil {
			copyOwner(to, fi)
		}
		return err
	default:
		if special != nil {
			special(from)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return copyMetadata(from, to, fi)
}

func copyEntries(from, to string, special func(string)) error {
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
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), special); err != nil {
			return err
		}
	}
	return nil
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
