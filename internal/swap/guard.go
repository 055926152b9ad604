package swap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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
	if path != u.m().Target {
		return false
	}
	text, err := os.Readlink(path)
	return err == nil && text == u.guardText()
}

// guard puts the guard where a database is away, if nothing else is there and the file system has such links. Where nothing has an identity
// it does not, for it would be taken for the database.
func (u unit) guard() error {
	m := u.m()
	if !m.Database || m.identityless() {
		return nil
	}
	if there, err := exists(m.Target); there || err != nil {
		return err
	}
	var linkErr error
	err := u.s.do("guard "+m.Target, func() error {
		linkErr = os.Symlink(u.guardText(), m.Target)
		return nil
	})
	if err != nil || errors.Is(linkErr, fs.ErrExist) || errors.Is(linkErr, fs.ErrPermission) || errors.Is(linkErr, errors.ErrUnsupported) {
		return err
	}
	return linkErr
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
