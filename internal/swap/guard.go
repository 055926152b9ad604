package swap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
)

// A guard is a symbolic link that leads nowhere, at the name of a database whose main file is away while sidecars may lie there. A service that is
// started then, after a kill, fails to open its database. Without the guard SQLite would make an empty one, and remove the log and the
// journal of the old one, for it takes what lies beside a database without pages for left over (pagerOpenWalIfPresent and
// hasHotJournal in its pager.c).

// guardText is where the guard of a member leads. Neither the file nor the directory it would be in is ever there, so that
// none can be made through it.
func (u unit) guardText() string {
	return filepath.Join(layout.SwapPrefix+u.s.rec.ID, "half-done", filepath.Base(u.m().Target))
}

// guarded reports whether a path is the name of this member's database and has the guard.
func (u unit) guarded(path string) bool {
	return path == u.m().Target && u.isGuard(path)
}

// isGuard reports whether the guard is at a path.
func (u unit) isGuard(path string) bool {
	text, err := os.Readlink(path)
	return err == nil && text == u.guardText()
}

// wantsGuard reports whether a path is the name of a database. Where nothing has an identity there is no guard, for it would be taken
// for the database.
func (u unit) wantsGuard(path string) bool {
	m := u.m()
	return m.Database && path == m.Target && !m.identityless()
}

// guard puts the guard where a database is away, if nothing else is there and the file system has such links. In a directory that is not
// there, as after an undo that was cut when it had removed what the restore had made, nobody can make a database.
func (u unit) guard() error {
	target := u.m().Target
	if !u.wantsGuard(target) {
		return nil
	}
	if there, err := exists(target); there || err != nil {
		return err
	}
	if there, err := exists(filepath.Dir(target)); !there || err != nil {
		return err
	}
	_, err := u.link(target)
	return err
}

// link makes the guard at a path, and reports false if that can't be done there.
func (u unit) link(path string) (bool, error) {
	var linkErr error
	err := u.s.do("guard "+path, func() error {
		linkErr = os.Symlink(u.guardText(), path)
		return nil
	})
	if err != nil {
		return false, err
	}
	if errors.Is(linkErr, fs.ErrExist) || errors.Is(linkErr, fs.ErrPermission) || errors.Is(linkErr, errors.ErrUnsupported) {
		return false, nil
	}
	return linkErr == nil, linkErr
}

// leaveGuard moves a database away and has the guard in its place at the same instant: the guard is made where the database goes, and
// the two are exchanged. Where that can't be done it reports false.
func (u unit) leaveGuard(from, to string) (bool, error) {
	if !u.isGuard(to) { // else it was made before a kill
		if made, err := u.link(to); !made || err != nil {
			return false, err
		}
	}
	err := u.s.do("exchange "+from+" and "+to, func() error { return durable.Exchange(from, to) })
	if errors.Is(err, errors.ErrUnsupported) {
		return false, u.s.do("remove guard "+to, func() error { return os.Remove(to) })
	}
	return err == nil, err
}

// unguard removes the guard where no database came in its place.
func (u unit) unguard() error {
	m := u.m()
	if !u.guarded(m.Target) {
		return nil
	}
	return u.s.do("remove guard "+m.Target, func() error { return os.Remove(m.Target) })
}

func (m *Member) identityless() bool {
	for _, list := range [][]Entry{m.Old, m.New} {
		for _, e := range list {
			if e.none() {
				return true
			}
		}
	}
	return false
}
