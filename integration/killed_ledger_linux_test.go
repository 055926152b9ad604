package integration_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lifeboat/integration/strike"
	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
)

// A ledger follows, from the calls of a program and of those that take up what it left, what a power cut could still take: content that
// was written and names that were changed since the last fsync that covers them. It fails a move into place or out of it that
// comes too early. That a file system keeps the order of renames is not relied on: the journal may be on another than the data. A kill takes nothing,
// but what the dead program did not make durable its heir has to.
//
// A name that is still where a file was moved away from does no harm in a work directory, where both lead to the same file, but in place it does.
type ledger struct {
	root  string
	data  map[inode]string // files whose content or metadata is not durable
	names map[inode]string // directories whose names are not; of one in a work directory, those that it got
	away  map[inode]*left  // what left its place
	isNew map[inode]bool   // of what was moved, whether it was first seen where the new state is staged

	faults                []string
	laid, left, journaled int // moves that were judged
}

// A left is what left its place, and has not come durably to where it is kept.
type left struct {
	path  string
	place inode // the directory that it left, until that is durable
	kept  inode // the directory that it came to, until that is durable
}

// An inode is what stays the same when a name changes.
type inode struct{ dev, ino uint64 }

func newLedger(root string) *ledger {
	return &ledger{root: root, data: map[inode]string{}, names: map[inode]string{}, away: map[inode]*left{}, isNew: map[inode]bool{}}
}

func inodeOf(path string) (inode, bool) {
	fi, err := os.Lstat(path)
	if err != nil {
		return inode{}, false
	}
	st := fi.Sys().(*syscall.Stat_t)
	return inode{uint64(st.Dev), st.Ino}, true
}

func mark(in map[inode]string, path string) {
	if id, ok := inodeOf(path); ok {
		in[id] = path
	}
}

func (l *ledger) renamed(path string) { mark(l.names, filepath.Dir(path)) }

// next is told of a call that is about to have its effect.
func (l *ledger) next(c strike.Call) {
	switch path := c.Paths[0]; c.Name {
	case "fsync", "fdatasync":
		if id, ok := inodeOf(path); ok {
			delete(l.data, id)
			delete(l.names, id)
			for what, e := range l.away {
				if e.place == id {
					e.place = inode{}
				}
				if e.kept == id {
					e.kept = inode{}
				}
				if e.place == e.kept { // both done
					delete(l.away, what)
				}
			}
		}
	case "syncfs":
		clear(l.data)
		clear(l.names)
		clear(l.away)
	case "rename", "renameat", "renameat2":
		l.move(c.Name, path, c.Paths[1])
	case "open", "openat", "mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat":
		if made := c.Paths[len(c.Paths)-1]; !exists(made) {
			l.renamed(made)
		}
	case "unlink", "unlinkat", "rmdir":
		if id, ok := inodeOf(path); ok { // the number may be given to another
			delete(l.data, id)
			delete(l.names, id)
		}
		l.renamed(path)
	default:
		if c.Name == "fchown" && l.inPlace(path) {
			return // SQLite does that as root to what it opens, and changes nothing by it
		}
		mark(l.data, path)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (l *ledger) journals() string { return filepath.Join(l.root, "store", "restores") }

// inPlace reports whether a path is where an application would look.
func (l *ledger) inPlace(path string) bool {
	return strings.HasPrefix(path, filepath.Join(l.root, "live")+"/") && !strings.Contains(path, "/"+layout.SwapPrefix)
}

// isGuard reports whether a path has the link that keeps the name of a database that is away.
func isGuard(path string) bool {
	text, err := os.Readlink(path)
	return err == nil && strings.HasPrefix(text, layout.SwapPrefix)
}

// move judges a rename, and notes what it leaves open.
func (l *ledger) move(call, from, to string) {
	if !exists(from) {
		return
	}
	what := fmt.Sprintf("%s(%s, %s)", call, from, to)
	exchange := call == "renameat2" && exists(to)
	switch {
	case filepath.Dir(to) == l.journals():
		l.journaled++
		l.durable(what, from)
		data, _ := os.ReadFile(from)
		if bytes.Contains(data, []byte(`"state":"done"`)) || bytes.Contains(data, []byte(`"state":"undone"`)) {
			l.settled(what)
		}
	case l.inPlace(from) || l.inPlace(to):
		l.durable(what, l.journals())
		l.durable(what, from)
		if exchange {
			l.durable(what, to)
			if l.inPlace(from) { // what comes does so before it is noted that the other leaves, at the same instant
				from, to = to, from
			}
			l.passes(what, from, to)
			l.passes(what, to, from)
		} else {
			l.passes(what, from, to)
		}
	case strings.Contains(from, "/"+layout.SwapPrefix):
		l.leaves(from, to)
	}
	l.renamed(to)
	if exchange || !strings.Contains(from, "/"+layout.SwapPrefix) {
		l.renamed(from)
	}
}

// passes judges one direction of a move into place or out of it. The guard, which stands for nothing, is passed over.
func (l *ledger) passes(what, from, to string) {
	if isGuard(from) {
		return
	}
	id, _ := inodeOf(from)
	if _, seen := l.isNew[id]; !seen {
		l.isNew[id] = !l.inPlace(from)
	}
	if l.inPlace(from) {
		l.left++
		l.leaves(from, to)
		return
	}
	l.laid++
	delete(l.away, id)
	l.gone(what, func(other inode) bool { return l.isNew[other] != l.isNew[id] })
}

// leaves notes that something leaves its place, or moves on where it is kept.
func (l *ledger) leaves(from, to string) {
	if isGuard(from) {
		return
	}
	id, _ := inodeOf(from)
	kept, _ := inodeOf(filepath.Dir(to))
	if l.away[id] == nil {
		l.away[id] = &left{}
		if l.inPlace(from) {
			l.away[id].place, _ = inodeOf(filepath.Dir(from))
		}
	}
	l.away[id].path, l.away[id].kept = to, kept
}

// gone fails what must come after others left their place and came to where they are kept, durably.
func (l *ledger) gone(what string, others func(inode) bool) {
	for id, e := range l.away {
		if others(id) {
			l.fault("%s: that %s left is not durable: there %t, here %t", what, e.path, e.place == inode{}, e.kept == inode{})
		}
	}
}

// durable fails a move before which a file, or all of a directory, should be on the disk.
func (l *ledger) durable(what, path string) {
	filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if id, ok := inodeOf(name); ok && err == nil && !strings.HasPrefix(e.Name(), durable.TempPrefix) || name == path {
			if _, open := l.data[id]; open {
				l.fault("%s: the content of %s is not durable", what, name)
			}
			if _, open := l.names[id]; open {
				l.fault("%s: the names in %s are not durable", what, name)
			}
		}
		return nil
	})
}

// settled fails what says or implies that the exchange is over while a name that it changed in place is not on the disk.
func (l *ledger) settled(what string) {
	l.gone(what, func(inode) bool { return true })
	for _, dir := range l.names {
		if l.inPlace(dir+"/") || dir == l.journals() && what == theEnd {
			l.fault("%s: the names in %s are not durable", what, dir)
		}
	}
}

const theEnd = "the end"

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, strings.ReplaceAll(fmt.Sprintf(format, args...), l.root, "…"))
}
