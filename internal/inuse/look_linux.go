package inuse

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"

	"lifeboat/internal/sqlitedb"
)

// look lists all that is open anywhere and then goes through the paths, so that memory is taken for what
// is open, however many files there are.
func look(paths []string) (Found, error) {
	roots := make([]string, 0, len(paths))
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return Found{}, err
		}
		roots = append(roots, abs)
	}
	opened := list(roots)
	m := &matcher{opened: opened, whole: opened.whole, devices: map[uint64]bool{}, seen: map[key]int{}}
	for _, root := range roots {
		if err := m.walk(root); err != nil {
			return Found{}, fmt.Errorf("look for what is open: %w", err)
		}
	}
	m.unlinked()
	programs := map[int]string{}
	for i := range m.holders {
		h := &m.holders[i]
		name, known := programs[h.PID]
		if !known {
			name = program(h.PID)
			programs[h.PID] = name
		}
		h.Program = name
	}
	return sum(m.holders, m.whole), nil
}

// program returns the name of a process.
func program(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1 // any program may call itself anything
		}
		return r
	}, string(name))
}

// A matcher finds among the files below paths those that are open.
type matcher struct {
	opened  *listing
	whole   bool
	devices map[uint64]bool // on which the paths lie
	holders []Holder
	seen    map[key]int // index in holders
}

type key struct {
	pid  int
	path string
}

func (m *matcher) add(pid int, path, how string) {
	k := key{pid, path}
	if i, ok := m.seen[k]; ok {
		if rank(how) < rank(m.holders[i].How) {
			m.holders[i].How = how
		}
		return
	}
	m.seen[k] = len(m.holders)
	m.holders = append(m.holders, Holder{PID: pid, Path: path, How: how})
}

func rank(how string) int { return slices.Index([]string{Locked, Open, Mapped, Unlinked}, how) }

func (m *matcher) walk(root string) error {
	var above syscall.Stat_t
	if syscall.Lstat(filepath.Dir(root), &above) == nil {
		m.devices[uint64(above.Dev)] = true // of what may have been removed
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil
		case errors.Is(err, fs.ErrPermission):
			m.whole = false
			return nil
		case err != nil:
			return err
		}
		m.file(path, info)
		return nil
	})
}

func (m *matcher) file(path string, info fs.FileInfo) {
	st := info.Sys().(*syscall.Stat_t)
	if info.IsDir() {
		m.devices[uint64(st.Dev)] = true
	}
	self := os.Getpid()
	uses := m.opened.files[id{uint64(st.Dev), st.Ino}]
	for _, u := range uses {
		if u.pid != self {
			m.add(u.pid, path, u.how)
		}
	}
	// A sidecar of a database has no locks that are to be looked for, and a -shm must not be opened.
	if _, sidecar := sqlitedb.SidecarOf(info.Name()); sidecar || !info.Mode().IsRegular() {
		return
	}
	pids, err := sqlitedb.Lockers(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.whole = false
	}
	for _, pid := range pids {
		switch {
		case pid == self:
		case pid > 0:
			m.add(pid, path, Locked)
		case len(uses) == 0: // else it may well be one of these
			m.add(0, path, Locked)
		}
	}
}

// unlinked adds what has no name any more, but had one below the paths.
func (m *matcher) unlinked() {
	for _, u := range m.opened.unlinked {
		if m.devices[u.dev] {
			m.add(u.pid, u.path, Unlinked)
		}
	}
}

// An id is what makes two names one file.
type id struct{ dev, ino uint64 }

// A use is a process that has a file open.
type use struct {
	pid int
	how string
}

// A nameless file is open, and was removed.
type nameless struct {
	path string
	dev  uint64
	pid  int
}

// A listing is all that is open, this process included.
type listing struct {
	roots    []string
	files    map[id][]use
	unlinked []nameless // below roots, as far as their old names tell; without those of this process
	whole    bool
}

// initialNamespace is what the numbers of processes of the whole system are called: PROC_PID_INIT_INO in the kernel's proc_ns.h.
const initialNamespace = "pid:[4026531836]"

// list looks at every process that /proc shows. Processes that end meanwhile are of no interest.
func list(roots []string) *listing {
	l := &listing{roots: roots, files: map[id][]use{}}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	l.whole = err == nil && namespace == initialNamespace
	entries, err := names("/proc")
	if err != nil {
		l.whole = false
	}
	first := false
	for _, name := range entries {
		if pid := number(name); pid > 0 {
			first = first || pid == 1
			l.process(pid)
		}
	}
	// Where users don't see others' processes (hidepid of proc(5)), these are not listed at all; nor is anything if /proc is not there.
	l.whole = l.whole && first
	return l
}

func (l *listing) process(pid int) {
	dir := fmt.Sprintf("/proc/%d", pid)
	n := l.thread(pid, dir)
	if n > 0 {
		return
	}
	// The first thread may have ended before the others; what is open is then seen at theirs.
	threads, err := names(dir + "/task")
	l.judge(err)
	for _, name := range threads {
		if number(name) != pid {
			l.thread(pid, dir+"/task/"+name)
		}
	}
}

// thread adds what a process has open, as one of its threads sees it, and returns how many descriptors there are.
func (l *listing) thread(pid int, dir string) int {
	n, err := l.descriptors(pid, dir)
	l.judge(err)
	if pid != os.Getpid() {
		l.judge(l.mappings(pid, dir))
	}
	return n
}

// judge notes what could not be looked at.
func (l *listing) judge(err error) {
	if err != nil && !gone(err) {
		l.whole = false
	}
}

// gone reports whether an error says that there is no such process, or descriptor, any more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// descriptors adds what there is a descriptor of.
func (l *listing) descriptors(pid int, dir string) (n int, err error) {
	fds, err := names(dir + "/fd")
	if err != nil {
		return 0, err
	}
	for _, fd := range fds {
		if err := l.link(pid, dir+"/fd/"+fd, Open); err != nil && !gone(err) {
			return len(fds), err
		}
	}
	return len(fds), nil
}

// link adds what a link of /proc leads to. A server is not asked for what is known already, for one that is dead would not answer.
func (l *listing) link(pid int, link, how string) error {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, link, unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_NLINK, &st); err != nil {
		return err
	}
	dev := unix.Mkdev(st.Dev_major, st.Dev_minor)
	if st.Nlink > 0 {
		l.add(id{dev, st.Ino}, use{pid, how})
		return nil
	}
	name, err := os.Readlink(link)
	if err == nil {
		l.nameless(pid, name, dev)
	}
	return err
}

func (l *listing) add(file id, u use) {
	uses := l.files[file]
	if n := len(uses); n > 0 && uses[n-1].pid == u.pid { // one process is looked at after the other
		if rank(u.how) < rank(uses[n-1].how) {
			uses[n-1] = u
		}
		return
	}
	l.files[file] = append(uses, u)
}

// nameless adds a file that the kernel calls by the name that it had.
func (l *listing) nameless(pid int, name string, dev uint64) {
	path, ok := strings.CutSuffix(name, " (deleted)")
	if !ok || pid == os.Getpid() || !slices.ContainsFunc(l.roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/")
	}) {
		return
	}
	l.unlinked = append(l.unlinked, nameless{path, dev, pid})
}

// names returns what is in a directory.
func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// number reads the name of a process in /proc; 0 is none.
func number(name string) int {
	n := 0
	for _, d := range []byte(name) {
		if d < '0' || d > '9' || n > 1<<30 {
			return 0
		}
		n = n*10 + int(d-'0')
	}
	return n
}
