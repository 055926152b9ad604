//go:build unix

package snaptest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// An Entry is all that a restore should bring back of a file, a directory or a link.
type Entry struct {
	Type     string // file, directory, symlink, or what else it is
	Mode     uint32 // as stat(2) has it, without the type; 0 of a symlink
	UID, GID uint32
	ModTime  int64 // nanoseconds since 1970
	Size     int64 // of a file
	SHA256   string
	Link     string // target of a symlink
	First    string // the first path, in order, of the same file, when it has several in this tree
	Xattrs   string // extended attributes, as far as this process sees them
}

// Walk describes a tree: what lies below dir, and dir itself as ".". It is written without a look at how lifeboat walks.
func Walk(t testing.TB, dir string) map[string]Entry {
	t.Helper()
	tree := map[string]Entry{}
	first, names := map[uint64]string{}, map[string]int{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		e := Entry{Mode: uint32(st.Mode) & 0o7777, UID: st.Uid, GID: st.Gid, ModTime: info.ModTime().UnixNano()}
		if e.Xattrs, err = xattrsOf(path); err != nil {
			return err
		}
		switch uint32(st.Mode) & syscall.S_IFMT {
		case syscall.S_IFREG:
			e.Type, e.Size = "file", st.Size
			if e.SHA256, err = fileSum(path); err != nil {
				return err
			}
			if st.Nlink > 1 {
				if _, ok := first[st.Ino]; !ok {
					first[st.Ino] = rel
				}
				e.First = first[st.Ino]
				names[e.First]++
			}
		case syscall.S_IFDIR:
			e.Type = "directory"
		case syscall.S_IFLNK:
			e.Type, e.Mode = "symlink", 0
			if e.Link, err = os.Readlink(path); err != nil {
				return err
			}
		default:
			e.Type = info.Mode().Type().String()
		}
		tree[rel] = e
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	for rel, n := range names {
		if n == 1 { // its other names lie elsewhere
			e := tree[rel]
			e.First = ""
			tree[rel] = e
		}
	}
	return tree
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// Diff tells in what two trees differ, at most ten lines; "" when they are the same. The bits in mask of modes are not compared, and when
// setuid is among them, nor are the attributes that only --privileged-metadata keeps.
func Diff(want, got map[string]Entry, mask uint32) string {
	var lines []string
	for path := range want {
		w, g := want[path], got[path]
		w.Mode, g.Mode = w.Mode&^mask, g.Mode&^mask
		if mask&0o4000 != 0 {
			w.Xattrs, g.Xattrs = unprivileged(w.Xattrs), unprivileged(g.Xattrs)
		}
		if _, ok := got[path]; !ok {
			lines = append(lines, fmt.Sprintf("%q is missing", path))
		} else if w != g {
			lines = append(lines, fmt.Sprintf("%q is\n\t%+v, not\n\t%+v", path, g, w))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			lines = append(lines, fmt.Sprintf("%q should not be there", path))
		}
	}
	slices.Sort(lines)
	if n := len(lines); n > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", n-10))
	}
	return strings.Join(lines, "\n")
}

// unprivileged leaves out the attributes that are security.* and trusted.*.
func unprivileged(xattrs string) string {
	var kept []string
	for line := range strings.Lines(xattrs) {
		if !strings.HasPrefix(line, "security.") && !strings.HasPrefix(line, "trusted.") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
