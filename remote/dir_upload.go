package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"lifeboat/internal/durable"
)

// An Upload is an object on its way into a Dir, for content that is made as a stream and whose key is
// known only at its end. Nobody sees it before Commit. Either Commit or Discard ends it; Discard
// after Commit does nothing, so it can be deferred. It is for one goroutine.
type Upload struct {
	dir    *Dir
	parent string
	file   *durable.File
}

// Create begins an object whose key will be a name in dir, such as "archives" ("." for the top). The
// file is made there, so that Commit copies nothing.
func (d *Dir) Create(dir string) (_ *Upload, err error) {
	defer d.explain(&err, "create a file in", dir)
	return d.create(dir)
}

func (d *Dir) create(dir string) (*Upload, error) {
	if dir != "." {
		if err := checkKey(dir); err != nil {
			return nil, err
		}
	}
	if err := d.makeDir(dir); err != nil {
		return nil, err
	}
	f, err := durable.Create(d.file(dir))
	if err != nil {
		return nil, missing(err)
	}
	return &Upload{dir: d, parent: dir, file: f}, nil
}

// makeDir makes a directory below the store's, which must be there. That it lies within the store,
// whatever symbolic links say, is for os.Root to find out.
func (d *Dir) makeDir(dir string) error {
	r, err := d.root()
	if err != nil {
		return err
	}
	defer r.Close()
	name, err := filepath.Localize(dir)
	if err != nil {
		return fmt.Errorf("%.100q is no file name here: %w", dir, fs.ErrInvalid)
	}
	fi, err := r.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(filepath.Join(d.path, name), dirMode); err != nil {
			return missing(err)
		}
		fi, err = r.Stat(name)
	}
	if notDirectory(err) || err == nil && !fi.IsDir() {
		return fmt.Errorf("%s is no directory: %w", name, fs.ErrInvalid)
	}
	return missing(err)
}

// Write appends to the object.
func (u *Upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	if err != nil {
		u.dir.explain(&err, "write a file in", u.parent)
	}
	return n, err
}

// Commit makes what was written the object of key, durably, as Put would. Its ModTime is that of the
// last Write. It is the caller who knows that the content is right: nothing is read back. On failure
// the upload is discarded, and the store is as it was, unless only the last fsync failed.
func (u *Upload) Commit(ctx context.Context, key string, opts PutOptions) (err error) {
	defer u.Discard()
	defer u.dir.explain(&err, "put", key)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if parent(key) != u.parent {
		return fmt.Errorf("the upload was begun in %q: %w", u.parent, fs.ErrInvalid)
	}
	return u.commit(key, opts)
}

// Discard removes what was written, unless it was committed.
func (u *Upload) Discard() { u.file.Discard() }

func (u *Upload) commit(key string, opts PutOptions) error {
	if _, err := filepath.Localize(key); err != nil {
		return fmt.Errorf("key %.100q is no file name here: %w", key, fs.ErrInvalid)
	}
	if opts.IfAbsent {
		return u.commitNew(key)
	}
	err := u.file.Commit(u.dir.file(key), fileMode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a directory of that name: %w", fs.ErrInvalid)
	}
	return missing(err)
}

// commitNew commits under a key that must be free. link(2), unlike rename, does not replace: of
// several writers one wins. Where there are no hard links (FAT, some network file systems) the name
// is looked for first, which another writer may do too.
func (u *Upload) commitNew(key string) error {
	if err := durable.Sync(u.file.File); err != nil {
		return err
	}
	target := u.dir.file(key)
	err := os.Link(u.file.Name(), target)
	if errors.Is(err, fs.ErrExist) {
		return fs.ErrExist
	}
	if err != nil {
		if err := u.checkAbsent(key); err != nil {
			return err
		}
		return missing(u.file.Commit(target, fileMode))
	}
	u.file.Discard()
	return durable.SyncDir(filepath.Dir(target))
}

func (u *Upload) checkAbsent(key string) error {
	_, err := os.Lstat(u.dir.file(key))
	if err == nil {
		return fs.ErrExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// missing turns absence into unavailability: when something is being stored, a directory that is not
// there has gone away, and no object was looked for.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &unavailable{what: "the directory went away: " + cause(err).Error(), next: "is it still mounted?", cause: err}
	}
	return err
}

// parent returns the directory of a key.
func parent(key string) string { return path.Dir(key) }
