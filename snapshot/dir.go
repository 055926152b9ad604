package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A dir is a directory that the walk is in. All that lies in it is reached through its descriptor and by a name without a slash. So
// no path is too long for the system, and nobody leads the walk out of the source by putting a symbolic link where a directory was.
type dir struct {
	rel   string // below the source's root; "." for that itself
	info  fs.FileInfo
	path  string   // of what lies in it begins with this, in the manifest
	root  *os.Root // nil while it is closed
	list  *os.File // the same, as it was listed; nil before that, and once it was closed
	names []string // of the entries, ascending
	logs  bool     // some of them end as logs of databases do
	cache bool     // its entries are left out
}

// hold keeps the names of the entries.
func (d *dir) hold(names []string) {
	slices.Sort(names)
	d.names = names
	d.logs = slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, "-wal") })
}

// has reports whether there was an entry of a name when the directory was listed.
func (d *dir) has(name string) bool {
	_, there := slices.BinarySearch(d.names, name)
	return there
}

// maxOpen is how many directories of the innermost ones are kept open. The others are opened anew when the walk comes back to them.
const maxOpen = 64

var errReplaced = errors.New("another took its place while it was opened")

// top enters the root of the source.
func (r *reader) top() (*dir, error) {
	root, err := os.OpenRoot(r.c.root)
	if err != nil {
		return nil, err
	}
	d := &dir{rel: ".", path: r.c.path(".") + "/", info: r.c.info, root: root}
	if !d.isOpen() {
		root.Close()
		return nil, errReplaced
	}
	r.within = append(r.within, d)
	return d, nil
}

// enter opens a directory that a look at its name showed. The caller calls leave.
func (r *reader) enter(parent *dir, in *os.Root, name string, seen sight) (*dir, error) {
	root, err := in.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	d := &dir{rel: filepath.Join(parent.rel, name), path: parent.path + name + "/", info: seen.FileInfo, root: root}
	if !d.isOpen() {
		root.Close()
		return nil, errReplaced
	}
	r.within = append(r.within, d)
	if far := len(r.within) - 1 - maxOpen; far > 0 {
		r.within[far].close()
	}
	return d, nil
}

// leave ends what top and enter began.
func (r *reader) leave(d *dir) {
	d.close()
	r.within = r.within[:len(r.within)-1]
}

// open returns the descriptor of a directory that the walk is in.
func (r *reader) open(d *dir) (*os.Root, error) {
	if d.root != nil {
		return d.root, nil
	}
	root, err := r.within[0].root.OpenRoot(d.rel) // component by component
	if err != nil {
		return nil, err
	}
	if d.root = root; !d.isOpen() {
		d.close()
		return nil, errors.New("the directory that it lies in was moved or replaced while it was read")
	}
	return root, nil
}

// isOpen reports whether what is open is the directory that is meant.
func (d *dir) isOpen() bool {
	fi, err := d.root.Stat(".")
	return err == nil && os.SameFile(fi, d.info)
}

func (d *dir) close() {
	if d.root != nil {
		d.root.Close()
		d.root = nil
	}
	if d.list != nil {
		d.list.Close()
		d.list = nil
	}
}

// openSame opens a file for reading, if it is still the one that a look at its name showed: a symbolic link that took its place is
// not followed, and a pipe's other end is not waited for.
func openSame(dir *os.Root, name string, seen sight) (*os.File, sight, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, sight{}, err
	}
	now, err := look(f.Stat)
	if err == nil && !os.SameFile(now.FileInfo, seen.FileInfo) {
		err = errReplaced
	}
	if err != nil {
		f.Close()
		return nil, sight{}, err
	}
	return f, now, nil
}
