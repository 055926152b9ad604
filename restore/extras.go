package restore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
	"lifeboat/manifest"
)

// vectorStore is the file that makes a directory one of Chroma's. Directories of segments that its database does not name make it crash, so
// nothing that the snapshot does not have stays in it.
const vectorStore = "chroma.sqlite3"

// extras copies into the staged directories what lies in the old ones and is not in the snapshot: what was left out of the backup, or came
// since. It is copied, and not moved or linked, so that the old state stays as it is.
func (r *inPlace) extras(ctx context.Context) error {
	if r.opts.DeleteExtra {
		return nil
	}
	for _, un := range r.units.list {
		if !un.dir || !un.exists {
			continue
		}
		into, err := r.stagedAt(un)
		if err != nil {
			return err
		}
		if err := r.extrasOf(ctx, un.target, into); err != nil {
			return err
		}
	}
	return nil
}

// extrasOf does so for one directory, old and staged, and those below it.
func (r *inPlace) extrasOf(ctx context.Context, old, into string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := os.Lstat(filepath.Join(into, vectorStore)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(old, e.Name()), filepath.Join(into, e.Name())
		if isOurs(e.Name()) || ofStaged(into, e.Name()) {
			continue
		}
		fi, err := os.Lstat(to)
		switch {
		case err == nil && fi.IsDir() && e.IsDir():
			err = r.extrasOf(ctx, from, to)
		case errors.Is(err, fs.ErrNotExist):
			err = r.keepExtra(from, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepExtra copies something that is not in the snapshot. The directory that it comes into keeps its time.
func (r *inPlace) keepExtra(from, to string) error {
	parent, err := os.Stat(filepath.Dir(to))
	if err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(to), parent.Mode()|0o300); err != nil {
		return err
	}
	err = copyTree(from, to, func(special string) {
		r.warn("%s is no file, directory or link, and is not kept; it is with the old state", special)
	})
	if err != nil {
		return err
	}
	r.res.ExtraKept++
	if err := os.Chmod(filepath.Dir(to), parent.Mode()); err != nil {
		return err
	}
	return os.Chtimes(filepath.Dir(to), parent.ModTime(), parent.ModTime())
}

// isOurs reports whether a name is that of a directory in which a restore works, or has put something aside.
func isOurs(name string) bool {
	return strings.HasPrefix(name, layout.StagingPrefix) || strings.HasPrefix(name, layout.SwapPrefix)
}

// ofStaged reports whether a file has the name of a sidecar of one that is staged in dir: if that is a database, and an encrypted one cannot be told
// from others, its log is that of the old one.
func ofStaged(dir, name string) bool {
	db, ok := sqlitedb.SidecarOf(name)
	if !ok {
		return false
	}
	fi, err := os.Lstat(filepath.Join(dir, db))
	return err == nil && fi.Mode().IsRegular()
}

// leftovers are the entries that go, and for which nothing comes, of directories whose entries change places one by one.
func (r *inPlace) leftovers() (list []swap.Member, err error) {
	for _, staying := range r.units.staying {
		dir, err := r.units.at(staying)
		if err != nil {
			return nil, err
		}
		if !r.opts.DeleteExtra && r.units.byPath[staying+"/"+vectorStore] == nil {
			continue
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := staying + "/" + e.Name()
			if !r.units.sel.has(path) || r.units.byPath[path] != nil || r.units.partial[path] || isOurs(e.Name()) {
				continue
			}
			if db, ok := sqlitedb.SidecarOf(e.Name()); ok && r.units.byPath[staying+"/"+db] != nil {
				continue // it goes with its database
			}
			list = append(list, swap.Member{Source: manifest.SourceOf(path), Target: filepath.Join(dir, e.Name())})
		}
	}
	return list, nil
}
