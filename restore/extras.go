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
// since. It is copied, and not moved or linked, so that the old state stays as it is. What stays, and what goes with the old state, is counted.
func (r *inPlace) extras(ctx context.Context) error {
	c := &copier{special: func(path string) {
		r.res.ExtraDiscarded++
		r.warn("%s is no file, directory or link, and is not kept; it is with the old state", path)
	}}
	for _, un := range r.units.list {
		r.res.ExtraDiscarded += int64(len(r.units.strangers(un)))
		if fi, err := os.Lstat(un.target); !un.exists || err != nil || !fi.IsDir() {
			continue
		}
		if !un.dir { // a link comes where a directory is
			if err := r.discarded(un.target, -1); err != nil {
				return err
			}
			continue
		}
		into, err := r.stagedAt(un)
		if err != nil {
			return err
		}
		if err := r.extrasOf(ctx, c, un.target, into, r.opts.DeleteExtra || r.units.inVectorStore(manifest.Parent(un.path))); err != nil {
			return err
		}
	}
	r.res.ExtraKept += c.entries
	return r.countBesides()
}

// countBesides counts what is not in the snapshot in directories that stay where they are.
func (r *inPlace) countBesides() error {
	besides, err := r.besides()
	if err != nil {
		return err
	}
	for _, b := range besides {
		n, err := entriesOf(b.target)
		if err != nil {
			return err
		}
		if b.goes {
			r.res.ExtraDiscarded += n
		} else {
			r.res.ExtraKept += n
		}
	}
	return nil
}

// extrasOf does so for one directory, old and staged, and those below it. gone says that what is not in the snapshot does not stay.
func (r *inPlace) extrasOf(ctx context.Context, c *copier, old, into string, gone bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := os.Lstat(filepath.Join(into, vectorStore)); err == nil {
		gone = true
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(old, e.Name()), filepath.Join(into, e.Name())
		if isOurs(e.Name()) {
			continue
		}
		if db := ofStaged(into, e); db != "" {
			if !isDatabaseFile(db) {
				r.res.ExtraDiscarded++
			}
			continue
		}
		fi, err := os.Lstat(to)
		switch {
		case err == nil && fi.IsDir() && e.IsDir():
			err = r.extrasOf(ctx, c, from, to, gone)
		case err == nil && e.IsDir():
			err = r.discarded(from, -1)
		case errors.Is(err, fs.ErrNotExist) && gone:
			err = r.discarded(from, 0)
		case errors.Is(err, fs.ErrNotExist):
			err = r.keepExtra(c, from, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepExtra copies something that is not in the snapshot. The directory that it comes into keeps its time.
func (r *inPlace) keepExtra(c *copier, from, to string) error {
	parent, err := os.Stat(filepath.Dir(to))
	if err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(to), parent.Mode()|0o300); err != nil {
		return err
	}
	if err := c.copy(from, to); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(to), parent.Mode()); err != nil {
		return err
	}
	return os.Chtimes(filepath.Dir(to), parent.ModTime(), parent.ModTime())
}

// discarded counts what goes: what is at path, with all that is in it, and besides more.
func (r *inPlace) discarded(path string, more int64) error {
	n, err := entriesOf(path)
	r.res.ExtraDiscarded += n + more
	return err
}

// entriesOf counts the file, link or directory at path and all that is in it.
func entriesOf(path string) (n int64, err error) {
	return n, filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isOurs(e.Name()) {
			return skip(e)
		}
		n++
		return nil
	})
}

// isOurs reports whether a name is that of a directory in which a restore works, or has put something aside.
func isOurs(name string) bool {
	return strings.HasPrefix(name, layout.StagingPrefix) || strings.HasPrefix(name, layout.SwapPrefix)
}

// skip passes over an entry when a tree is walked.
func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// ofStaged returns the path of the staged file, in dir, that e has the name of a sidecar of, or "". If that is a database, and an encrypted one cannot
// be told from others, its log is that of the old one.
func ofStaged(dir string, e fs.DirEntry) string {
	name, ok := sqlitedb.SidecarOf(e.Name())
	if !ok || e.IsDir() {
		return ""
	}
	path := filepath.Join(dir, name)
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
		return ""
	}
	return path
}

// A beside is an entry of a directory that stays where it is, which was selected and is not in the snapshot.
type beside struct {
	path   string // that it would have in the snapshot
	target string
	goes   bool
}

// besides returns what is not in the snapshot in directories whose entries change places one by one.
func (r *inPlace) besides() (list []beside, err error) {
	for _, staying := range r.units.staying {
		dir, err := r.units.at(staying)
		if err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		goes := r.opts.DeleteExtra || r.units.inVectorStore(staying)
		for _, e := range entries {
			path := staying + "/" + e.Name()
			if !r.units.sel.has(path) || r.units.byPath[path] != nil || r.units.partial[path] || isOurs(e.Name()) {
				continue
			}
			if db, ok := sqlitedb.SidecarOf(e.Name()); ok && !e.IsDir() && r.units.byPath[staying+"/"+db].names() {
				continue // it goes with its database
			}
			list = append(list, beside{path, filepath.Join(dir, e.Name()), goes})
		}
	}
	return list, nil
}

// leftovers are those of them that go, and for which nothing comes.
func (r *inPlace) leftovers() (list []swap.Member, err error) {
	besides, err := r.besides()
	for _, b := range besides {
		if b.goes {
			list = append(list, swap.Member{Source: manifest.SourceOf(b.path), Target: b.target})
		}
	}
	return list, err
}
