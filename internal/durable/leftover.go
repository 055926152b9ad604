package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Temporary files and directories are held while they are in use: see hold. What nobody holds was left by a process that was
// killed, and may be removed by whoever comes across it, on any machine that shares the file system.

var errNoHolds = errors.New("there are no locks here")

// attempts at making something that nobody takes away before it is held.
const attempts = 100

// A TempDir is a temporary directory that this process holds.
type TempDir struct {
	Path string
	held *os.File
}

// MakeTempDir makes a directory in parent, with mode 0700 and a name as os.MkdirTemp makes it, and holds it until Release or
// Remove. It may be renamed meanwhile.
func MakeTempDir(parent, pattern string) (*TempDir, error) {
	for range attempts {
		path, err := os.MkdirTemp(parent, pattern)
		if err != nil {
			return nil, err
		}
		d, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		free, err := hold(d)
		if err != nil || !free {
			d.Close()
		}
		switch {
		case errors.Is(err, errNoHolds):
			return &TempDir{Path: path}, nil
		case err != nil:
			os.Remove(path)
			return nil, err
		case free:
			return &TempDir{path, d}, nil
		}
	}
	return nil, errors.New("another process removes what is made in " + parent)
}

// Release lets go of the directory, which stays.
func (d *TempDir) Release() {
	if d.held != nil {
		d.held.Close()
		d.held = nil
	}
}

// Remove removes the directory and all that is in it, also what lies in directories without write permission.
func (d *TempDir) Remove() error {
	err := RemoveAll(d.Path)
	d.Release()
	return err
}

// SweepDirs removes the directories in parent whose names begin with prefix, which belong to this user, and which nobody holds.
// It returns them. Where there are no locks it removes nothing.
func SweepDirs(parent, prefix string) (removed []string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if fi, err := e.Info(); err != nil || !own(fi) {
			continue
		}
		d, err := os.Open(path)
		if err != nil {
			continue
		}
		if free, err := hold(d); err == nil && free && RemoveAll(path) == nil {
			removed = append(removed, path)
		}
		d.Close()
	}
	return removed
}

// RemoveAll is os.RemoveAll that also removes what lies in directories without write permission.
func RemoveAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// SweepFiles removes the files below dir whose names begin with TempPrefix and which nobody holds, and returns how many it
// removed. Where there are no locks it removes nothing. What cannot be looked at or removed stays.
func SweepFiles(dir string) (removed int) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), TempPrefix) {
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0) // over NFS only what can be written can be locked
		if err != nil {
			return nil
		}
		defer f.Close()
		if free, err := hold(f); err == nil && free && os.Remove(path) == nil {
			removed++
		}
		return nil
	})
	return removed
}
