package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List implements Store. It reads one directory at a time.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		w := walk{ctx: ctx, prefix: prefix, yield: yield}
		if err := d.list(&w); err != nil {
			d.explain(&err, "list", "")
			yield(Info{}, err)
		}
	}
}

func (d *Dir) list(w *walk) error {
	if err := checkListPrefix(w.prefix); err != nil {
		return err
	}
	r, err := d.root()
	if err != nil {
		return err
	}
	defer r.Close()
	w.root = r
	base := w.prefix[:strings.LastIndexByte(w.prefix, '/')+1]
	_, err = w.directory(base)
	return err
}

// A walk yields the objects of a directory whose key begins with prefix.
type walk struct {
	ctx    context.Context
	root   *os.Root
	prefix string
	yield  func(Info, error) bool
}

// directory walks dir, which is empty or ends in a slash, and reports whether to go on.
func (w *walk) directory(dir string) (bool, error) {
	keys, err := w.names(dir)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		if !strings.HasPrefix(key, w.prefix) && !strings.HasPrefix(w.prefix, key) {
			continue
		}
		more := true
		if strings.HasSuffix(key, "/") {
			more, err = w.directory(key)
		} else if strings.HasPrefix(key, w.prefix) {
			more, err = w.object(key)
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// names returns the keys of the files in dir, and its directories with a slash after them: sorted
// so, the objects below come in the order of their keys ("a-b" before "a/b").
func (w *walk) names(dir string) ([]string, error) {
	name := "."
	if dir != "" {
		var err error
		if name, err = filepath.Localize(strings.TrimSuffix(dir, "/")); err != nil {
			return nil, nil // no such file can exist here
		}
	}
	fi, err := w.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || notDirectory(err) || err == nil && !fi.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := w.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	var keys []string
	for _, e := range entries {
		key := dir + e.Name()
		switch {
		case checkKey(key) != nil:
		case e.Type().IsRegular():
			keys = append(keys, key)
		case e.IsDir():
			keys = append(keys, key+"/")
		case e.Type()&fs.ModeSymlink != 0:
			if err := w.checkLink(key); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// checkLink refuses a symbolic link that may stand for a directory of objects: to pass over it would
// be to report them absent.
func (w *walk) checkLink(key string) error {
	fi, err := w.root.Stat(filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return nil
	}
	return &unavailable{
		what: fmt.Sprintf("%s is a symbolic link to a directory, or leads out of the store", key),
		next: "mount the directory there instead (mount --bind), or move the whole store",
	}
}

func (w *walk) object(key string) (bool, error) {
	info, err := lookUp(w.root, key)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // deleted meanwhile
	}
	if err != nil {
		return false, err
	}
	return w.yield(info, nil), nil
}
