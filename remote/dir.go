package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/durable"
)

// Permissions of what a Dir makes: what it holds is a copy of private data.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// A Dir is a store in a directory: an object is a regular file, its key the slash-separated path
// below the directory. Put survives a crash of the machine. Files whose name begins with ".tmp-" are
// uploads, in progress or left behind by a crash, and are no objects.
//
// A directory that is missing is ErrUnavailable, since it is most likely not mounted; it is looked
// for in every call and never held open, so it can be unmounted. Symbolic links that lead out of it
// are refused.
type Dir struct {
	path string // absolute
}

// DirOptions are the rarely needed ones.
type DirOptions struct {
	Create bool // make the directory, and missing parents, now
}

// NewDir returns the store in the directory at path. Without DirOptions.Create it does not look
// whether there is one; the first call does.
func NewDir(path string, opts DirOptions) (*Dir, error) {
	if path == "" {
		return nil, errors.New("open directory store: the path is empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open directory store %s: %w", path, err)
	}
	d := &Dir{path: abs}
	if opts.Create {
		err := durable.MkdirAll(abs, dirMode)
		if diskspace.Full(err) {
			return nil, fmt.Errorf("create directory store %s: %w", abs, cause(err))
		}
		if err != nil {
			return nil, fmt.Errorf("create directory store %s: %w", abs, &unavailable{what: cause(err).Error(), cause: err})
		}
	}
	return d, nil
}

// String returns the file URL of the directory.
func (d *Dir) String() string { return Location{Dir: d.path}.String() }

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, body Body, opts PutOptions) (err error) {
	defer d.explain(&err, "put", key)
	if err := checkKey(key); err != nil {
		return err
	}
	src, err := newSource(body)
	if err != nil {
		return err
	}
	u, err := d.create(parent(key))
	if err != nil {
		return err
	}
	defer u.Discard()
	if opts.IfAbsent {
		if err := u.checkAbsent(key); err != nil {
			return err
		}
	}
	if err := src.copyTo(ctx, u.file); err != nil {
		return err
	}
	return u.commit(key, opts)
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, key string, off, n int64) (_ io.ReadCloser, err error) {
	defer d.explain(&err, "open", key)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.open(key)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		n, err = span(off, n, fi.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &exactReader{r: contextReader{ctx, io.NewSectionReader(f, off, n)}, n: n, c: f}, nil
}

// OpenFile opens an object as a file, for reading at any place of it. The caller closes it.
func (d *Dir) OpenFile(key string) (_ *os.File, err error) {
	defer d.explain(&err, "open", key)
	return d.open(key)
}

func (d *Dir) open(key string) (*os.File, error) {
	r, err := d.root()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, err := lookUp(r, key); err != nil {
		return nil, err
	}
	return r.Open(filepath.FromSlash(key))
}

// Stat implements Store.
func (d *Dir) Stat(ctx context.Context, key string) (_ Info, err error) {
	defer d.explain(&err, "stat", key)
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	r, err := d.root()
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	return lookUp(r, key)
}

// Delete implements Store. Directories that it empties stay.
func (d *Dir) Delete(ctx context.Context, key string) (err error) {
	defer d.explain(&err, "delete", key)
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := d.root()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := lookUp(r, key); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.Remove(d.file(key))
}

// Sweep removes the uploads that writers which were killed have left, here or on another machine that shares the directory, and
// returns how many. Those under way stay.
func (d *Dir) Sweep() int { return durable.SweepFiles(d.path) }

// Now implements Store. It asks the file system, which on a network has a clock of its own, by
// making a file there; where nothing can be made, it returns this machine's time.
func (d *Dir) Now(ctx context.Context) (_ time.Time, err error) {
	defer d.explain(&err, "ask the time of", "")
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	r, err := d.root()
	if err != nil {
		return time.Time{}, err
	}
	r.Close()
	now, err := durable.Clock(d.path)
	if err != nil {
		return time.Now(), nil
	}
	return now, nil
}

// file returns where the object of a valid key lies.
func (d *Dir) file(key string) string { return filepath.Join(d.path, filepath.FromSlash(key)) }

// root opens the directory for one call.
func (d *Dir) root() (*os.Root, error) {
	r, err := os.OpenRoot(d.path)
	if err != nil {
		next := "is it mounted, and is the path right? To begin a new store there, make the directory first"
		if errors.Is(err, fs.ErrPermission) {
			next = "run it as a user who may, or change the permissions"
		}
		return nil, &unavailable{
			what:  fmt.Sprintf("the store's directory %s: %v", d.path, cause(err)),
			next:  next,
			cause: err,
		}
	}
	return r, nil
}

// lookUp describes the object of a key. What is not a regular file is no object.
func lookUp(r *os.Root, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	name, err := filepath.Localize(key)
	if err != nil {
		return Info{}, fmt.Errorf("key %.100q is no file name here: %w", key, fs.ErrInvalid)
	}
	fi, err := r.Lstat(name)
	if notDirectory(err) || err == nil && !fi.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, err
	}
	return Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()}, nil
}
