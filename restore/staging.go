package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
)

// staging is the directory in which everything is laid down.
type staging struct {
	target string
	old    fs.FileInfo // of the target, which is empty; nil when there was none
	made   []string    // parents of the target that were made, outermost first
	dir    string
	root   *os.Root
	inside bool // it lies in the target, because nothing can be renamed to that
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
	var err error
	if st.root, err = os.OpenRoot(st.dir); err != nil {
		os.Remove(st.dir)
		st.removeMade()
		return nil, err
	}
	return st, nil
}

// look follows a symbolic link to the target, and makes sure that nothing is there.
func (st *staging) look() error {
	target, err := filepath.EvalSymlinks(st.target)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(st.target); err == nil {
			return fmt.Errorf("the target %s is a symbolic link that leads nowhere", st.target)
		}
		return nil
	}
	if err == nil {
		st.target = target
		st.old, err = os.Stat(target)
	}
	if err != nil {
		return fmt.Errorf("look at the target: %w", err)
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return fmt.Errorf("look at the target: %w", err)
	}
	if len(entries) > 0 {
		return &NotEmptyError{st.target}
	}
	return nil
}

func (st *staging) makeDir() (err error) {
	parent := filepath.Dir(st.target)
	if st.old == nil {
		if err := st.makeParents(parent); err != nil {
			return err
		}
		st.dir, err = os.MkdirTemp(parent, layout.StagingPrefix)
		return err
	}
	// Only a rename can tell whether a rename works: a bind mount is on the same device and refuses it all the same.
	if st.dir, err = os.MkdirTemp(st.target, layout.StagingPrefix); err != nil {
		st.dir, err = os.MkdirTemp(parent, layout.StagingPrefix)
		return err
	}
	beside := filepath.Join(parent, filepath.Base(st.dir))
	if durable.Rename(st.dir, beside) == nil {
		st.dir = beside
	} else {
		st.inside = true
	}
	return nil
}

// makeParents makes a directory and its missing parents, and remembers which.
func (st *staging) makeParents(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := st.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	st.made = append(st.made, dir)
	return nil
}

// removeMade removes the parents that were made, as long as there is nothing in them.
func (st *staging) removeMade() {
	for i := len(st.made) - 1; i >= 0; i-- {
		if os.Remove(st.made[i]) != nil {
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
	if err := os.Chmod(st.dir, mode); err != nil {
		return err
	}
	st.root.Close() // Windows renames no directory that is open
	if st.old != nil {
		if err := st.removeOld(); err != nil {
			return err
		}
	}
	if err := durable.Rename(st.dir, st.target); err != nil {
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
	if err == nil {
		copyOwner(st.target, st.old)
		err = os.Chmod(st.target, mode)
	}
	return err
}

// removeOld removes the empty directory that is to be replaced, if it is still the same one.
func (st *staging) removeOld() error {
	fi, err := os.Lstat(st.target)
	if err != nil {
		return fmt.Errorf("move into place: %w", err)
	}
	if !os.SameFile(fi, st.old) || os.Remove(st.target) != nil {
		return &NotEmptyError{st.target}
	}
	return nil
}

// publishEach moves sources one by one, and takes them back if one cannot be moved.
func (st *staging) publishEach(names []string) error {
	for i, name := range names {
		err := durable.Rename(filepath.Join(st.dir, name), filepath.Join(st.target, name))
		if err == nil {
			continue
		}
		err = fmt.Errorf("move %s into place: %w", name, err)
		for _, name := range names[:i+1] {
			back := durable.Rename(filepath.Join(st.target, name), filepath.Join(st.dir, name))
			if back != nil && !errors.Is(back, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("move back: %w", back))
			}
		}
		return err
	}
	return nil
}

// discard removes what is left of the staging directory. After publish there is nothing, or an empty directory.
func (st *staging) discard() {
	st.root.Close()
	if err := os.RemoveAll(st.dir); err != nil {
		makeRemovable(st.dir)
		os.RemoveAll(st.dir)
	}
	st.removeMade()
}

// makeRemovable gives the owner write permission to the directories below dir, which may have been restored without.
func makeRemovable(dir string) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
}
