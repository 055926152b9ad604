package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// A store of many files, such as a vector store, is one state only if none of them changed from before the first was read until after the last
// was, and if the pin of the database in it, if there is one, falls into that time. So the directory is looked at before and after; when it
// changed, all that was read of it is forgotten, and it is read again. One that does not come to rest is taken as it is, said to be torn, and makes
// the snapshot incomplete.

const (
	maxUnit     = 5                      // how often such a store is read
	unitRespite = 100 * time.Millisecond // what it is given to come to rest after the first attempt; twice that after the next, and so on
)

// A unit is such a store that is being read.
type unit struct {
	known time.Time // until when the databases in it are known to have been as they are captured; zero if there is none
}

// note notes until when a database is known to have been as it is captured. Outside of a unit it does nothing.
func (u *unit) note(to time.Time) {
	if u != nil && (u.known.IsZero() || to.Before(u.known)) {
		u.known = to
	}
}

// A fingerprint is what cannot stay the same when a file of a unit changes.
type fingerprint struct {
	sum    [sha256.Size]byte
	at     time.Time // just before it was taken
	newest time.Time // of the times of change
}

// together hands on the entries of a directory that is the store of an engine.
func (r *reader) together(d *dir, e *engine) error {
	defer func() { r.unit = nil }()
	for attempt := 1; ; attempt++ {
		before, err := r.fingerprint(d, e)
		if err == nil && recent(before) {
			if err := r.wait(2 * tick); err != nil {
				return err
			}
			before, err = r.fingerprint(d, e)
		}
		if err != nil {
			return r.entries(d) // which will meet it too, and report it where it is
		}
		if err := r.list(d); err != nil { // again, since it was listed before the look
			return r.gone(d.rel, err)
		}
		mark, err := r.mark()
		if err != nil {
			return err
		}
		r.unit = &unit{}
		if err := r.entries(d); err != nil {
			return err
		}
		after, why := r.fingerprint(d, e)
		if why == nil {
			why = apart(before, after, r.unit.known)
		}
		if why == nil && e.check != nil {
			why = e.check(d.root)
		}
		if why == nil {
			return nil
		}
		if attempt == maxUnit {
			r.c.seen.fuzzy = true
			r.problem(problemTorn, d.rel, fmt.Errorf("it is a store of %s, and did not come to rest: %w; a hook can have the application pause", e.name, why))
			return nil
		}
		if err := r.forget(mark, d.rel); err != nil {
			return err
		}
		if err := r.wait(unitRespite << (attempt - 1)); err != nil {
			return err
		}
	}
}

// list lists the entries of a directory.
func (r *reader) list(d *dir) error {
	root, err := r.open(d)
	if err != nil {
		return err
	}
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	d.hold(names)
	return err
}

// apart returns why what was read between two looks is not one state; nil if it is. known is until when its databases are known to have been as
// they are captured: they may have been pinned before the first look.
func apart(before, after fingerprint, known time.Time) error {
	if before.sum != after.sum {
		return errors.New("files of it changed while it was read")
	}
	if !known.IsZero() && !before.newest.Add(tick).Before(known) {
		return errors.New("files of it changed after its database was pinned")
	}
	if recent(before) {
		return errors.New("files of it changed just before it was read")
	}
	return nil
}

// recent reports that a change was so short a time ago that a later one may have the same time.
func recent(f fingerprint) bool {
	ago := f.at.Sub(f.newest)
	return -tick <= ago && ago <= tick // a time of change far ahead is of another clock, and of that nothing is known
}

// fingerprint looks at all files of a store that are not left out.
func (r *reader) fingerprint(d *dir, e *engine) (print fingerprint, err error) {
	root, err := r.open(d)
	if err != nil {
		return print, err
	}
	sum := sha256.New()
	print.at = time.Now()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if name == "." || errors.Is(err, fs.ErrNotExist) { // a directory that is gone was seen in its parent
			return nil
		}
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(name, "/")
		if !e.part(first) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if r.c.excludes.match(filepath.ToSlash(filepath.Join(d.rel, name)), entry.IsDir()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "-shm") { // of a database, which the pin may touch
			return nil
		}
		fi, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			print.newest = time.Now()
			fmt.Fprintf(sum, "%q gone %d\n", name, print.newest.UnixNano()) // like no other look
			return nil
		}
		if err != nil {
			return err
		}
		st, _ := statOf(fi)
		fmt.Fprintf(sum, "%q %s %d %d ", name, fi.Mode().Type(), st.dev, st.ino)
		if e.grows != nil && e.grows(name) {
			return nil
		}
		changed, known := changeTime(fi)
		if !known {
			changed = fi.ModTime()
		}
		fmt.Fprintf(sum, "%d %d %d\n", fi.Size(), fi.ModTime().UnixNano(), changed.UnixNano())
		if changed.After(print.newest) {
			print.newest = changed
		}
		return nil
	})
	sum.Sum(print.sum[:0])
	return print, err
}

// A place to come back to: what was handed on until then stays, and what came after can be forgotten.
type place struct {
	seen     instants
	excluded int64
}

// mark notes the place that the walk has come to. There is one at a time.
func (r *reader) mark() (place, error) {
	return place{r.c.seen, r.c.line.Excluded}, r.send(item{mark: true})
}

// forget forgets what was handed on since a mark, all of it below a directory.
func (r *reader) forget(to place, rel string) error {
	if err := r.arrive(item{forget: true}); err != nil { // so that the problems that the packer found are there
		return err
	}
	r.c.seen, r.c.line.Excluded = to.seen, to.excluded
	below := r.c.path(rel) + "/"
	r.c.t.problems.forget(r.c.Source.Name, below)
	for id, path := range r.links.paths {
		if strings.HasPrefix(path, below) {
			delete(r.links.paths, id)
		}
	}
	for name := range r.companions {
		if strings.HasPrefix(r.c.path(name), below) {
			delete(r.companions, name)
		}
	}
	r.base = r.c.t.opts.Base.cursor(r.c.Source.Name)
	return nil
}
