package swap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"lifeboat/internal/durable"
)

// A unit is the member of a swap that is at work. The member itself is looked up each time, since the record changes.
type unit struct {
	s *Swap
	n int
}

func (u unit) m() *Member { return &u.s.rec.Members[u.n] }

func (m *Member) hasOld() bool { return len(m.Old) > 0 && m.Old[0].Home == m.Target }
func (m *Member) hasNew() bool { return len(m.New) > 0 && m.New[0].Home == m.Target }

// forward puts the new state in place, from wherever it was cut off.
func (s *Swap) forward() error {
	if err := s.complete(); err != nil {
		return err
	}
	for n := range s.rec.Members {
		u := unit{s, n}
		if err := u.lay(); err != nil {
			return fmt.Errorf("%s: %w", u.m().Target, err)
		}
	}
	return s.change(func(r *Record) { r.State, r.Ended = Done, time.Now().UTC() })
}

// backward puts the old state in place, from wherever it was cut off.
func (s *Swap) backward() error {
	if err := s.complete(); err != nil {
		return err
	}
	for n := range slices.Backward(s.rec.Members) {
		u := unit{s, n}
		if err := u.back(); err != nil {
			return fmt.Errorf("%s: %w", u.m().Target, err)
		}
	}
	if err := s.removeMade(); err != nil {
		return err
	}
	return s.change(func(r *Record) { r.State, r.Ended = Undone, time.Now().UTC() })
}

// complete makes sure that everything of the old state is there, before anything is changed.
func (s *Swap) complete() error {
	v := VanishedError{ID: s.rec.ID}
	for n := range s.rec.Members {
		u := unit{s, n}
		m := u.m()
		opened := false // whoever opens a database in its place may remove its sidecars or make others
		for i, e := range m.Old {
			at, err := u.oldAt(i)
			if err != nil {
				return err
			}
			if i == 0 && m.hasOld() {
				opened = m.Database && at == m.Target
			}
			if at == "" && !opened && !(m.Database && isIndex(e.Home)) {
				v.Paths, v.Kept = append(v.Paths, e.Home), append(v.Kept, e.Away)
			}
		}
	}
	if v.Paths != nil {
		return &v
	}
	return nil
}

// untouched reports whether everything is where it was before Commit.
func (s *Swap) untouched() (bool, error) {
	for n := range s.rec.Members {
		u := unit{s, n}
		m := u.m()
		for i, e := range m.Old {
			if at, err := u.oldAt(i); err != nil || at != e.Home {
				return false, err
			}
		}
		for i, e := range m.New {
			if at, err := u.newAt(i); err != nil || at != e.Away {
				return false, err
			}
		}
	}
	return true, nil
}

// oldAt returns where an old entry is, or "".
func (u unit) oldAt(i int) (string, error) {
	m := u.m()
	e := &m.Old[i]
	if e.none() {
		if kept, err := exists(e.Away); kept || err != nil {
			return e.Away, err
		}
		there, err := exists(e.Home)
		if err != nil || !there {
			return "", err
		}
		for j, comes := range m.New {
			if comes.Home != e.Home {
				continue
			}
			staged, err := exists(comes.Away)
			if err != nil {
				return "", err
			}
			undone, err := exists(u.undone(&m.New[j]))
			if err != nil || !staged && !undone {
				return "", err
			}
		}
		return e.Home, nil
	}
	places := []string{e.Home, e.Away}
	if e.Home == m.Target && m.hasNew() {
		places = append(places, m.New[0].Away) // after an exchange
	}
	return u.first(e.Identity, places)
}

// newAt returns where a new entry is, or "".
func (u unit) newAt(i int) (string, error) {
	m := u.m()
	e := &m.New[i]
	if e.none() {
		for _, p := range []string{e.Away, u.undone(e)} {
			if there, err := exists(p); there || err != nil {
				return p, err
			}
		}
		there, err := exists(e.Home)
		if err != nil || !there {
			return "", err
		}
		for _, goes := range m.Old {
			if goes.Home != e.Home {
				continue
			}
			if kept, err := exists(goes.Away); err != nil || !kept {
				return "", err
			}
		}
		return e.Home, nil
	}
	places := []string{e.Home, e.Away, u.undone(e)}
	if e.Home == m.Target && m.hasOld() {
		places = append(places, m.Old[0].Away) // after an exchange
	}
	return u.first(e.Identity, places)
}

func (u unit) first(id Identity, places []string) (string, error) {
	for _, p := range places {
		if here, err := u.s.is(id, p); here || err != nil {
			return p, err
		}
	}
	return "", nil
}

// undone returns where a new entry goes when it is taken back.
func (u unit) undone(e *Entry) string {
	return filepath.Join(undoneDir(u.m().Work, u.n), filepath.Base(e.Home))
}

// oldMain returns where the main old entry is, or "".
func (u unit) oldMain() (string, error) {
	if !u.m().hasOld() {
		return "", nil
	}
	return u.oldAt(0)
}

func (u unit) newMain() (string, error) {
	if !u.m().hasNew() {
		return "", nil
	}
	return u.newAt(0)
}

// lay moves away what goes, and puts in place what comes.
func (u unit) lay() error {
	at, err := u.oldMain()
	if err != nil {
		return err
	}
	if at != "" && at == u.m().Target {
		if err := u.refresh(); err != nil {
			return err
		}
		if err := u.exchange(at); err != nil {
			return err
		}
	}
	m := u.m()
	var dirs []string
	if !m.hasOld() {
		if err := u.guard(); err != nil {
			return err
		}
	}
	for i, e := range m.Old {
		at, err := u.oldAt(i)
		if err != nil {
			return err
		}
		if at == "" {
			continue // a -shm; else complete would have said so
		}
		if err := u.move(e, at, e.Away); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(e.Away))
		if e.Home == m.Target {
			if err := u.guard(); err != nil {
				return err
			}
		}
	}
	if err := u.sync(append(dirs, filepath.Dir(m.Target))); err != nil {
		return err
	}
	at, err = u.newMain()
	if err != nil {
		return err
	}
	laid := at != "" && at == m.Target
	if !laid {
		if err := u.clear(); err != nil {
			return err
		}
	}
	dirs = []string{filepath.Dir(m.Target)}
	for i, e := range slices.Backward(m.New) {
		at, err := u.newAt(i)
		if err != nil {
			return err
		}
		if laid && at != e.Home {
			continue // a sidecar, and what becomes of it is up to those who use the database
		}
		if at == "" {
			return fmt.Errorf("what is to come there is gone from %s; undo the swap", e.Away)
		}
		if err := u.move(e, at, e.Home); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(e.Away))
	}
	if err := u.unguard(); err != nil {
		return err
	}
	return u.sync(dirs)
}

// refresh records the sidecars of an old database anew that is still in its place: since the intent somebody may have opened it,
// and those that it has now are its own.
func (u unit) refresh() error {
	m := u.m()
	if !m.Database {
		return nil
	}
	paths, err := sidecarsAt(m.Target)
	if err != nil {
		return err
	}
	old := []Entry{m.Old[0]}
	for _, p := range paths {
		e, err := entryAt(p, p, oldDir(m.Work, u.n))
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		old = append(old, e)
	}
	if slices.Equal(old, m.Old) {
		return nil
	}
	return u.s.change(func(r *Record) { r.Members[u.n].Old = old })
}

// back moves away what came, and puts back what went.
func (u unit) back() error {
	m := u.m()
	oldAt, err := u.oldMain()
	if err != nil {
		return err
	}
	newAt, err := u.newMain()
	if err != nil {
		return err
	}
	if newAt != "" && newAt == m.Target {
		if err := u.recordLater(); err != nil {
			return err
		}
		if err := u.exchange(oldAt); err != nil {
			return err
		}
	}
	if oldAt, err = u.oldMain(); err != nil {
		return err
	}
	inPlace := oldAt != "" && oldAt == m.Target // so its sidecars are its own, and there is nobody else's
	if err := u.takeBack(inPlace); err != nil {
		return err
	}
	m = u.m()
	dirs := []string{filepath.Dir(m.Target)}
	for i, e := range slices.Backward(m.Old) {
		at, err := u.oldAt(i)
		if err != nil {
			return err
		}
		if at == "" {
			continue // see complete
		}
		if err := u.move(e, at, e.Home); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(e.Away))
	}
	if err := u.unguard(); err != nil {
		return err
	}
	return u.sync(dirs)
}

// takeBack moves away what came, and what strayed there.
func (u unit) takeBack(oldInPlace bool) error {
	m := u.m()
	var dirs []string
	for i, e := range m.New {
		at, err := u.newAt(i)
		if err != nil {
			return err
		}
		to := u.undone(&m.New[i])
		switch at {
		case "":
		case e.Away: // it never came, or went back by an exchange
			dirs = append(dirs, filepath.Dir(e.Away))
			err = u.settle(e, at)
		default:
			dirs = append(dirs, filepath.Dir(to))
			err = u.move(e, at, to)
		}
		if err == nil && e.Home == m.Target && !oldInPlace {
			err = u.guard()
		}
		if err != nil {
			return err
		}
	}
	if oldInPlace {
		return u.sync(append(dirs, filepath.Dir(m.Target)))
	}
	for _, e := range m.Later {
		here, err := u.isLater(e)
		if err != nil {
			return err
		}
		if !here {
			continue
		}
		if err := u.move(e, e.Home, e.Away); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(e.Away))
	}
	if err := u.sync(append(dirs, filepath.Dir(m.Target))); err != nil {
		return err
	}
	return u.clear()
}

// isLater reports whether a sidecar that was found beside the new database is still there.
func (u unit) isLater(e Entry) (bool, error) {
	if !e.none() {
		return u.s.is(e.Identity, e.Home)
	}
	kept, err := exists(e.Away)
	if err != nil || kept {
		return false, err
	}
	return exists(e.Home)
}

// recordLater records the sidecars that the new database has got since it was put in place.
func (u unit) recordLater() error {
	m := u.m()
	found, err := u.foreign()
	if err != nil {
		return err
	}
	var later []Entry
	for _, path := range found {
		e, err := entryAt(path, path, undoneDir(m.Work, u.n))
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		if e.Away, err = freeName(e.Away); err != nil {
			return err
		}
		later = append(later, e)
	}
	if slices.Equal(later, m.Later) {
		return nil
	}
	return u.s.change(func(r *Record) { r.Members[u.n].Later = later })
}

// foreign returns what is at the names of a member and belongs to neither state: the main entry first, then the sidecars.
func (u unit) foreign() ([]string, error) {
	m := u.m()
	names := []string{m.Target}
	if m.Database {
		sidecars, err := sidecarsAt(m.Target)
		if err != nil {
			return nil, err
		}
		names = append(names, sidecars...)
	}
	var found []string
	for _, path := range names {
		there, err := exists(path)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		ours, err := u.ours(path)
		if err != nil {
			return nil, err
		}
		if !ours {
			found = append(found, path)
		}
	}
	return found, nil
}

func (u unit) ours(path string) (bool, error) {
	m := u.m()
	if u.guarded(path) {
		return true, nil
	}
	for i, e := range m.Old {
		if e.Home == path {
			if at, err := u.oldAt(i); at == path || err != nil {
				return true, err
			}
		}
	}
	for i, e := range m.New {
		if e.Home == path {
			if at, err := u.newAt(i); at == path || err != nil {
				return true, err
			}
		}
	}
	return false, nil
}

// clear moves away what somebody else has put where a member is to come. It is recorded first.
func (u unit) clear() error {
	m := u.m()
	found, err := u.foreign()
	if err != nil || len(found) == 0 {
		return err
	}
	var entries []Entry
	var strays []Stray
	for _, path := range found {
		e, err := entryAt(path, path, strayDir(m.Work, u.n))
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		known := slices.IndexFunc(u.s.rec.Strays, func(st Stray) bool {
			return st.Home == e.Home && st.Identity == e.Identity && !e.none()
		})
		if known >= 0 {
			e.Away = u.s.rec.Strays[known].Kept
		}
		if !u.isGuard(e.Away) { // which waits there to be exchanged
			if e.Away, err = freeName(e.Away); err != nil {
				return err
			}
		}
		entries = append(entries, e)
		if known < 0 || e.Away != u.s.rec.Strays[known].Kept {
			strays = append(strays, Stray{u.n, e.Home, e.Away, e.Identity})
		}
	}
	if strays != nil {
		if err := u.s.change(func(r *Record) { r.Strays = append(r.Strays, strays...) }); err != nil {
			return err
		}
	}
	var dirs []string
	for _, e := range entries {
		if err := u.move(e, e.Home, e.Away); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(e.Away))
		if e.Home == m.Target {
			if err := u.guard(); err != nil {
				return err
			}
		}
	}
	return u.sync(append(dirs, filepath.Dir(m.Target)))
}

// freeName returns a path, or one made from it, at which nothing is.
func freeName(path string) (string, error) {
	name := path
	for i := 2; ; i++ {
		there, err := exists(name)
		if err != nil || !there {
			return name, err
		}
		name = path + "." + strconv.Itoa(i)
	}
}

// exchange makes the old main entry, which is at oldAt, and the new one change places when one of them is at the target, so that there is
// no moment without either. Where that can't be done it does nothing, and the moves that follow have such a moment. A database is
// never exchanged, since its sidecars could not come and go at that same instant.
func (u unit) exchange(oldAt string) error {
	m := u.m()
	if m.Database || len(m.Old) != 1 || len(m.New) != 1 || !m.hasOld() || !m.hasNew() {
		return nil
	}
	newAt, err := u.newAt(0)
	if err != nil || newAt == "" || oldAt == "" || (oldAt == m.Target) == (newAt == m.Target) {
		return err
	}
	if newAt == u.undone(&m.New[0]) {
		return nil
	}
	if err := u.loosen(m.Old[0], oldAt); err != nil {
		return err
	}
	if err := u.loosen(m.New[0], newAt); err != nil {
		return err
	}
	err = u.s.do("exchange "+oldAt+" and "+newAt, func() error { return durable.Exchange(oldAt, newAt) })
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// move moves an entry, and makes sure that it has its mode. Where it is there already, that is all it does.
func (u unit) move(e Entry, from, to string) error {
	if from == to {
		return u.settle(e, to)
	}
	dir := filepath.Dir(to)
	if there, err := exists(dir); err != nil {
		return err
	} else if !there && isBelow(dir, u.m().Work) {
		if err := u.s.do("make "+dir, func() error { return durable.MkdirAll(dir, 0o700) }); err != nil {
			return err
		}
	}
	if err := u.loosen(e, from); err != nil {
		return err
	}
	if err := u.rename(from, to); err != nil {
		return err
	}
	if here, err := u.s.is(e.Identity, to); err != nil {
		return err
	} else if !here && !e.none() {
		return fmt.Errorf("somebody replaced %s while it was moved; what was there is now %s", from, to)
	}
	return u.settle(e, to)
}

// rename moves what is at from, and leaves the guard there or replaces it where that is due.
func (u unit) rename(from, to string) error {
	if u.wantsGuard(from) {
		left, err := u.leaveGuard(from, to)
		if left || err != nil {
			return err
		}
	}
	rename := durable.Move
	if u.guarded(to) {
		rename = durable.Replace
	}
	return u.s.do("move "+from+" to "+to, func() error { return rename(from, to) })
}

// loosen lets a directory be moved that may not be written to: where it leads up to changes by that, for which all but root need to be
// allowed to write to it.
func (u unit) loosen(e Entry, path string) error {
	if e.Mode == 0 {
		return nil
	}
	return u.chmod(path, fs.FileMode(e.Mode)|0o200)
}

// settle gives back the mode that loosen changed.
func (u unit) settle(e Entry, path string) error {
	if e.Mode == 0 {
		return nil
	}
	return u.chmod(path, fs.FileMode(e.Mode))
}

const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

func (u unit) chmod(path string, mode fs.FileMode) error {
	fi, err := os.Lstat(path)
	if err != nil || !fi.IsDir() || fi.Mode()&modeBits == mode&modeBits {
		return err
	}
	if err := u.s.do(fmt.Sprintf("chmod %04o %s", mode.Perm(), path), func() error { return os.Chmod(path, mode&modeBits) }); err != nil {
		return err
	}
	if err := u.s.sync(path); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // what may not be read can't be opened for that; its parent is synced after it
}

// sync makes the names in directories durable, each once, and first those that got some: a name may be in both for a while, but not in
// neither. A directory that is not there has none.
func (u unit) sync(dirs []string) error {
	for i, d := range dirs {
		if slices.Contains(dirs[:i], d) {
			continue
		}
		there, err := exists(d)
		if err == nil && there {
			err = u.s.sync(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
