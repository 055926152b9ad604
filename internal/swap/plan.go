package swap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lifeboat/internal/sqlitedb"
)

// plan records what goes and what comes for each member, from what is there.
//
// A member whose target is named as a sidecar of another's is made part of that one, for the order in which they go and come matters.
func (s *Swap) plan(given []Member) ([]Member, error) {
	members := make([]Member, len(given))
	byTarget := map[string]int{}
	for i, g := range given {
		m, err := s.check(g)
		if err != nil {
			return nil, err
		}
		if _, twice := byTarget[m.Target]; twice {
			return nil, fmt.Errorf("%s is to be exchanged twice", m.Target)
		}
		members[i], byTarget[m.Target] = m, i
	}
	for _, m := range members {
		for dir := filepath.Dir(m.Target); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, inside := byTarget[dir]; inside {
				return nil, fmt.Errorf("%s is in %s, and both are to be exchanged", m.Target, dir)
			}
		}
	}
	parts := map[int][]Member{} // sidecars that are members, by the index of their database
	var hosts []int
	for i, m := range members {
		host, ok := hostOf(m.Target, byTarget)
		if ok {
			dir, err := anyDirectory(m.Target, m.Staged, members[host].Target, members[host].Staged)
			if err != nil {
				return nil, err
			}
			ok = !dir
		}
		if ok {
			members[host].Database = true
			parts[host] = append(parts[host], m)
		} else {
			hosts = append(hosts, i)
		}
	}
	planned := make([]Member, 0, len(hosts))
	for _, i := range hosts {
		m := members[i]
		if err := s.planOne(&m, len(planned), parts[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Target, err)
		}
		planned = append(planned, m)
	}
	return planned, nil
}

// check returns what the caller gave of a member, and the work directory that is its own.
func (s *Swap) check(m Member) (Member, error) {
	m = Member{Source: m.Source, Target: m.Target, Staged: m.Staged, Database: m.Database}
	if !filepath.IsAbs(m.Target) || filepath.Dir(filepath.Clean(m.Target)) == filepath.Clean(m.Target) {
		return m, fmt.Errorf("%q can't be exchanged", m.Target)
	}
	m.Target = filepath.Clean(m.Target)
	near := m.Target
	if m.Staged != "" {
		m.Staged = filepath.Clean(m.Staged)
		near = m.Staged
	}
	best := ""
	for _, p := range s.rec.Parents {
		base := p
		if m.Staged != "" {
			base = s.Work(p)
		}
		if isBelow(near, base) && len(p) >= len(best) {
			best = p
		}
	}
	if best == "" {
		return m, fmt.Errorf("%s is in none of the work directories' parents", near)
	}
	m.Work = s.Work(best)
	return m, nil
}

func isBelow(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// hostOf returns the member that a target is a sidecar of, by their names.
func hostOf(target string, byTarget map[string]int) (int, bool) {
	db, ok := sqlitedb.SidecarOf(filepath.Base(target))
	if !ok {
		return 0, false
	}
	host, ok := byTarget[filepath.Join(filepath.Dir(target), db)]
	return host, ok
}

func anyDirectory(paths ...string) (bool, error) {
	for _, p := range paths {
		if p == "" {
			continue
		}
		fi, err := os.Lstat(p)
		if err != nil && !absent(err) {
			return false, err
		}
		if err == nil && fi.IsDir() {
			return true, nil
		}
	}
	return false, nil
}

// planOne looks at what is there of one member, which is to have index n.
func (s *Swap) planOne(m *Member, n int, parts []Member) error {
	parent, err := identify(filepath.Dir(m.Target))
	if err != nil {
		return err
	}
	work, err := identify(m.Work)
	if err != nil {
		return err
	}
	if parent.Dev != work.Dev {
		return fmt.Errorf("it is on another file system than %s", m.Work)
	}
	homes := []string{m.Target}
	if m.Database {
		sidecars, err := sidecarsAt(m.Target)
		if err != nil {
			return err
		}
		homes = append(homes, sidecars...)
	}
	for _, home := range homes {
		e, err := entryAt(home, home, oldDir(m.Work, n))
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		if fi, err := os.Lstat(home); err == nil && fi.IsDir() && e.Dev != parent.Dev {
			return errors.New("it is a mount point")
		}
		m.Old = append(m.Old, e)
	}
	comes := parts
	if m.Staged != "" {
		comes = append([]Member{{Target: m.Target, Staged: m.Staged}}, parts...)
	}
	if m.Database && m.Staged != "" {
		for i, home := range sqlitedb.Sidecars(m.Target) {
			staged := sqlitedb.Sidecars(m.Staged)[i]
			given := slices.ContainsFunc(comes, func(c Member) bool { return c.Target == home || c.Staged == staged })
			there, err := exists(staged)
			if err != nil {
				return err
			}
			if there && !given && !isIndex(home) {
				comes = append(comes, Member{Target: home, Staged: staged})
			}
		}
	}
	for _, c := range comes {
		if c.Staged == "" {
			continue
		}
		e, err := entryAt(c.Staged, c.Target, "")
		if err != nil {
			return fmt.Errorf("look at what is staged: %w", err)
		}
		e.Away = c.Staged
		for _, old := range m.Old {
			if !e.none() && old.Identity == e.Identity {
				return fmt.Errorf("what is staged as %s is the same file as %s", c.Staged, old.Home)
			}
		}
		m.New = append(m.New, e)
	}
	return nil
}

// isIndex reports whether a file is a -shm, which says nothing that SQLite doesn't find out anew.
func isIndex(path string) bool {
	_, ok := sqlitedb.SidecarOf(filepath.Base(path))
	return ok && strings.HasSuffix(path, "-shm")
}

// sidecarsAt returns what lies beside a database and belongs to it. Where there is no directory there is nothing.
func sidecarsAt(database string) ([]string, error) {
	paths, err := sqlitedb.Beside(database)
	if absent(err) {
		return nil, nil
	}
	return paths, err
}

func oldDir(work string, n int) string    { return filepath.Join(work, "old", strconv.Itoa(n)) }
func undoneDir(work string, n int) string { return filepath.Join(work, "undone", strconv.Itoa(n)) }
func strayDir(work string, n int) string  { return filepath.Join(work, "stray", strconv.Itoa(n)) }

// entryAt describes what is at path, whose place in use is home, and which goes to a directory.
func entryAt(path, home, awayDir string) (Entry, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Home: home, Away: filepath.Join(awayDir, filepath.Base(home))}
	if e.Identity, err = identify(path); err != nil {
		return Entry{}, err
	}
	if fi.IsDir() && fi.Mode()&0o200 == 0 {
		e.Mode = uint32(fi.Mode())
	}
	return e, nil
}

// makeOldDirs makes the directories for what goes.
func (s *Swap) makeOldDirs(members []Member) error {
	var dirs []string // those that get new names
	for n, m := range members {
		if len(m.Old) == 0 {
			continue
		}
		dir := oldDir(m.Work, n)
		if err := s.do("make "+dir, func() error { return os.MkdirAll(dir, 0o700) }); err != nil {
			return err
		}
		for _, d := range []string{filepath.Dir(dir), m.Work} {
			if !slices.Contains(dirs, d) {
				dirs = append(dirs, d)
			}
		}
	}
	for _, d := range dirs {
		if err := s.sync(d); err != nil {
			return err
		}
	}
	return nil
}
