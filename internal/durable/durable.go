// Package durable makes changes to a file system that survive a crash, and finds what a crash has left. It is the only caller of fsync
// and rename in lifeboat, so that their order can be read in one place.
//
// A file becomes durable in four steps, none of which may be left out or moved:
//
//	write(tmp)    the bytes, under a name that nobody looks for
//	fsync(tmp)    else the rename may reach the disk before the bytes do
//	rename(tmp)   atomic: the name is the old file or the new one, never a part
//	fsync(dir)    else the name may be lost though the bytes are not
//
// See fsync(2) and rename(2); the last step is what most programs forget.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A File is being written under a temporary name in the directory that it will stay in. Either
// Commit or Discard ends it; Discard after Commit does nothing, so it can be deferred.
type File struct {
	*os.File
	done bool

	written int64 // bytes, by Write
	started int64 // of them, those that the system was asked to bring to the disk
}

// ahead is how many bytes are collected before the system is asked to bring them to the disk.
const ahead = 4 << 20

// Write writes like os.File, and has the disk begin early, so that the fsync of Commit has little left to wait for. Nothing is promised
// by that: what is durable, and whether writing has failed, is known after Commit.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if f.written += int64(n); f.written-f.started >= ahead {
		Begin(f.File, f.started, f.written-f.started)
		f.started = f.written
	}
	return n, err
}

// Create opens a new file for writing in dir, with mode 0600 and a name that begins with ".tmp-". It is held as long as it
// has that name, so that SweepFiles leaves it alone.
func Create(dir string) (*File, error) {
	for range attempts {
		f, err := os.CreateTemp(dir, TempPrefix+"*")
		if err != nil {
			return nil, err
		}
		free, err := hold(f)
		if free || errors.Is(err, errNoHolds) {
			return &File{File: f}, nil
		}
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			return nil, err
		}
	}
	return nil, errors.New("another process removes what is made in " + dir)
}

// TempPrefix begins the name of every file that was not committed. After a crash such files are
// litter: see SweepFiles.
const TempPrefix = ".tmp-"

// Commit makes the file durable under path, replacing what was there, and closes it. On failure the
// file is discarded and path is as it was, unless only the last fsync failed.
func (f *File) Commit(path string, perm fs.FileMode) error {
	if f.done {
		return errors.New("commit of a file that is closed")
	}
	defer f.Discard()
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fsync %s: %w", f.Name(), err)
	}
	if closeToRename {
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	f.done = true
	f.Close() // which can fail no more: everything is on the disk
	return SyncDir(filepath.Dir(path))
}

// Discard closes and removes the file, unless it was committed.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
}

// WriteFile makes a file with these bytes durable under path.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit(path, perm)
}

// MkdirAll makes path and its missing parents, durably.
func MkdirAll(path string, perm fs.FileMode) error {
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// Rename moves oldpath to newpath on one file system and makes the move durable in both directories.
func Rename(oldpath, newpath string) error {
	if err := os.Rename(oldpath, newpath); err != nil {
		return err
	}
	return syncMove(oldpath, newpath)
}

// lookAndMove is Move on systems that have no such call. What somebody puts there between the look and the rename may be lost.
func lookAndMove(oldpath, newpath string) error {
	if _, err := os.Lstat(newpath); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return &os.LinkError{Op: "rename", Old: oldpath, New: newpath, Err: err}
	}
	return os.Rename(oldpath, newpath)
}

// Replace renames oldpath to newpath and replaces the file that is there. It is durable as Move is.
func Replace(oldpath, newpath string) error { return os.Rename(oldpath, newpath) }

func syncMove(oldpath, newpath string) error {
	from, to := filepath.Dir(oldpath), filepath.Dir(newpath)
	if err := SyncDir(to); err != nil || from == to {
		return err
	}
	return SyncDir(from)
}

// Remove deletes a file and makes that durable. An absent file is no error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Sync makes the content of an open file durable.
func Sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fsync %s: %w", f.Name(), err)
	}
	return nil
}
