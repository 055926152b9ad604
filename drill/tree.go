package drill

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/manifest"
)

// laidDown is a snapshot that was restored below a directory.
type laidDown struct{ tree string }

func (l *laidDown) at(path string) string { return filepath.Join(l.tree, filepath.FromSlash(path)) }

// open lets fn have a path of the tree. Links that lead out of the tree lead nowhere.
func (l *laidDown) open(path string, fn func(root *os.Root) error) error {
	lock, err := unlock(l.tree, l.at(path))
	if err != nil {
		return err
	}
	defer lock()
	root, err := os.OpenRoot(l.tree)
	if err != nil {
		return err
	}
	defer root.Close()
	return fn(root)
}

func (l *laidDown) stat(path string) (e entry, err error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return e, fs.ErrNotExist
	}
	err = l.open(path, func(root *os.Root) error {
		fi, err := root.Lstat(filepath.FromSlash(path))
		if err != nil {
			return err
		}
		e = entry{regular: fi.Mode().IsRegular(), size: fi.Size()}
		switch {
		case fi.IsDir():
			e.what = "a directory"
		case fi.Mode()&fs.ModeSymlink != 0:
			e.what = "a symbolic link"
		default:
			e.what = "no regular file"
		}
		return nil
	})
	e.sha256 = func() (sum manifest.Hash, err error) {
		digest := sha256.New()
		err = l.open(path, func(root *os.Root) error {
			f, err := root.Open(filepath.FromSlash(path))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(digest, f)
			return err
		})
		return manifest.Hash(digest.Sum(nil)), err
	}
	return e, err
}

func (l *laidDown) read(path string) (data []byte, err error) {
	err = l.open(path, func(root *os.Root) error {
		f, err := root.Open(filepath.FromSlash(path))
		if err != nil {
			return err
		}
		defer f.Close()
		if data, err = io.ReadAll(io.LimitReader(f, maxJSON+1)); err == nil && len(data) > maxJSON {
			err = fmt.Errorf("%s has more than %d bytes", path, maxJSON)
		}
		return err
	})
	return data, err
}

func (l *laidDown) disk(path string) (string, func() error, error) {
	if path == "" {
		return l.tree, func() error { return nil }, nil
	}
	lock, err := unlock(l.tree, l.at(path))
	return l.at(path), lock, err
}
