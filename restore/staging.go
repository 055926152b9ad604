package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/xattr"
)

// staging is the directory in which everything is laid down.
type staging struct {
	target string
	old    fs.FileInfo // of the target, which is empty; nil when there was none
	made   []string    // parents of the target that were made, outermost first
	dir    string
	held   *durable.TempDir // dir, where it was made
	root   *os.Root
	inside bool         // it lies in the target, because nothing can be renamed to that
	attrs  []xattr.Attr // what the target is to have of its own
}

// newStaging looks whether the target may be used and makes the staging directory: beside it, so that one rename
// publishes everything; or in it, when that is a mount point or its parent belongs to somebody else.
func newStaging(target string) (*staging, error) {
	st := &staging{target: target}
	if err := st.look(); err != nil {
		return nil, err
	}
	if err := st.makeDir(); err != nil {
		st.removeMade()
		return nil, fmt.Errorf("make a staging directory: %w", err)
	}
	st.shed()
	var err error
	if st.root, err = os.OpenRoot(st.dir); err != nil {
		os.Remove(st.dir)
		st.held.Release()
		st.removeMade()
		return nil, err
	}
	return st, nil
}

// shed takes from the staging directory what its parent gives to all that is made in it, an access control list, which would
// be added to those of the snapshot. The target gets it back, or keeps what it has.
func (st *staging) shed() {
	const inherited = "system.posix_acl_default"
	limits := xattr.Limits{Count: 1000, Bytes: 1 << 20}
	if st.attrs, _ = xattr.ReadPath(st.dir, limits); st.old != nil {
		st.attrs, _ = xattr.ReadPath(st.target, limits)
	}
	_ = xattr.RemovePath(st.dir, inherited)
}

// dress gives a directory the attributes that the target is to have, as far as this process may.
func (st *staging) dress(dir string) {
	for _, a := range st.attrs {
		_ = xattr.SetPath(dir, a)
	}
}

// look follows a symbolic link to the target, and makes sure that nothing is there. What restores that were killed have left there,
// and beside it, goes.
func (st *staging) look() error {
	target, err := filepath.EvalSymlinks(st.target)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(st.target); err == nil {
			return &TargetError{Target: st.target, Why: "it is a symbolic link that leads nowhere"}
		}
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return &TargetError{Target: st.target, Why: "what is above it is a file"}
	}
	if err == nil {
		st.target = target
		st.old, err = os.Stat(target)
	}
	if err != nil {
		return fmt.Errorf("look at the target: %w", err)
	}
	if !st.old.IsDir() {
		return &TargetError{Target: st.target, Why: "it is no directory"}
	}
	return st.lookInside()
}

// lookInside makes sure that nothing is in the target. A restore that was killed while it moved sources into place one by one has left
// some there, which somebody may use by now: they stay, and are an obstacle, with what else it left.
func (st *staging) lookInside() error {
	entries, err := os.ReadDir(st.target)
	if err != nil {
		return fmt.Errorf("look at the target: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	unfinished, others := "", false
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), layout.StagingPrefix) {
			unfinished = e.Name()
		} else {
			others = true
		}
	}
	if !others {
		durable.SweepDirs(st.target, layout.StagingPrefix)
		if entries, err = os.ReadDir(st.target); err != nil || len(entries) == 0 {
			return err
		}
	}
	return &NotEmptyError{st.target, unfinished}
}

func (st *staging) makeDir() error {
	parent := filepath.Dir(st.target)
	if st.old == nil {
		if err := st.makeParents(parent); err != nil {
			return err
		}
	}
	durable.SweepDirs(parent, layout.StagingPrefix)
	if st.old == nil {
		return st.makeIn(parent)
	}
	// Only a rename can tell whether a rename works: a bind mount is on the same device and refuses it all the same.
	if err := st.makeIn(st.target); err != nil {
		durable.SweepDirs(st.target, layout.StagingPrefix) // it may have failed after its effect
		return st.makeIn(parent)
	}
	beside := filepath.Join(parent, filepath.Base(st.dir))
	err := durable.Rename(st.dir, beside)
	if err != nil {
		_, err = os.Lstat(beside) // it may have failed after its effect
	}
	if st.inside = err != nil; !st.inside {
		st.dir = beside
	}
	return nil
}

func (st *staging) makeIn(parent string) (err error) {
	if st.held, err = durable.MakeTempDir(parent, layout.StagingPrefix+"*"); err == nil {
		st.dir = st.held.Path
	}
	return err
}

// makeParents makes a directory and its missing parents, and remembers which.
func (st *staging) makeParents(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := st.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	st.made = append(st.made, dir) // even if it fails, perhaps only after its effect
	return durable.MkdirAll(dir, 0o755)
}

// removeMade removes the parents that were made, as long as there is nothing in them.
func (st *staging) removeMade() {
	for i := len(st.made) - 1; i >= 0; i-- {
		if err := os.Remove(st.made[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// publish moves what is staged to where it is wanted. When it fails, the target is as it was.
func (st *staging) publish(names []string) error {
	if st.inside {
		return st.publishEach(names)
	}
	mode := fs.FileMode(0o755)
	if st.old != nil {
		mode = st.old.Mode() & (fs.ModePerm | fs.ModeSticky | fs.ModeSetgid)
		copyOwner(st.dir, st.old)
	}
	st.dress(st.dir)
	if err := os.Chmod(st.dir, mode); err != nil {
		return err
	}
	st.root.Close() // Windows renames no directory that is open
	if err := st.sameOld(); err != nil {
		return err
	}
	if err := durable.ReplaceDir(st.dir, st.target); err != nil {
		if st.old != nil && errors.Is(err, fs.ErrExist) {
			return &NotEmptyError{st.target, ""}
		}
		return errors.Join(fmt.Errorf("move into place: %w", err), st.takeBack(mode))
	}
	st.made = nil
	return nil
}

// takeBack undoes a rename that failed, perhaps only after its effect, and puts the empty directory back that was there.
func (st *staging) takeBack(mode fs.FileMode) error {
	if _, err := os.Lstat(st.dir); errors.Is(err, fs.ErrNotExist) {
		if err := durable.Rename(st.target, st.dir); err != nil {
			return fmt.Errorf("move back: %w", err)
		}
	}
	if st.old == nil {
		return nil
	}
	err := os.Mkdir(st.target, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil // it never went
	}
	if err == nil {
		copyOwner(st.target, st.old)
		st.dress(st.target)
		err = os.Chmod(st.target, mode)
	}
	return err
}

// sameOld makes sure that the empty directory which is to be replaced is the one that was looked at.
func (st *staging) sameOld() error {
	fi, err := os.Lstat(st.target)
	switch {
	case st.old == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("move into place: %w", err)
	case st.old == nil || !os.SameFile(fi, st.old):
		return &NotEmptyError{st.target, ""}
	}
	return nil
}

// publishEach moves sources one by one, and takes them back if one cannot be moved.
func (st *staging) publishEach(names []string) error {
	for i, name := range names {
		err := move(filepath.Join(st.dir, name), filepath.Join(st.target, name))
		if err == nil {
			continue
		}
		err = fmt.Errorf("move %s into place: %w", name, err)
		for _, name := range names[:i+1] {
			back := move(filepath.Join(st.target, name), filepath.Join(st.dir, name))
			if back != nil && !errors.Is(back, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("move back: %w", back))
			}
		}
		return err
	}
	return nil
}

// move renames a directory into another one. Where it leads up to changes by that, for which all but root need to be allowed to write to it.
func move(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !fi.IsDir() || fi.Mode()&0o200 != 0 {
		return durable.Rename(from, to)
	}
	if err := os.Chmod(from, fi.Mode()|0o200); err != nil {
		return err
	}
	if err := durable.Rename(from, to); err != nil {
		return errors.Join(err, os.Chmod(from, fi.Mode()))
	}
	return errors.Join(os.Chmod(to, fi.Mode()), durable.SyncDir(to))
}

// discard removes what is left of the staging directory. After publish there is nothing, or an empty directory.
func (st *staging) discard() {
	st.root.Close()
	durable.RemoveAll(st.dir)
	st.held.Release()
	st.removeMade()
}
