package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"unicode/utf8"

	"lifeboat/internal/xattr"
	"lifeboat/manifest"
)

// line begins the line of a file: everything that is known of it but its content.
func (r *reader) line(rel string, fi fs.FileInfo, typ manifest.FileType) *manifest.File {
	f := &manifest.File{Path: r.c.path(rel), Type: typ, UID: manifest.NoOwner, GID: manifest.NoOwner}
	r.describe(f, fi)
	return f
}

// describe sets mode, owner and time.
func (r *reader) describe(f *manifest.File, fi fs.FileInfo) {
	f.Mode, f.ModTime = unixMode(fi.Mode()), manifest.TimestampOf(fi.ModTime())
	if st, ok := statOf(fi); ok {
		f.UID, f.GID = st.uid, st.gid
		f.User, f.Group = r.owners.user(st.uid), r.owners.group(st.gid)
	}
}

// xattrs are the extended attributes of a file, and what could not be read of them.
type xattrs struct {
	list []manifest.Xattr
	lost error
}

var xattrLimits = xattr.Limits{Count: manifest.MaxXattrs, Bytes: manifest.MaxXattrBytes}

func readXattrs(f *os.File) xattrs  { return newXattrs(xattr.Read(f, xattrLimits)) }
func pathXattrs(path string) xattrs { return newXattrs(xattr.ReadPath(path, xattrLimits)) }

// namedXattrs reads those of a symbolic link, or of a file that must not be opened. path is where it lies, for systems that reach it only by that; "" for links,
// which have none there.
func namedXattrs(dir *os.Root, name, path string) xattrs {
	d, err := dir.Open(".")
	if err != nil {
		return xattrs{lost: err}
	}
	defer d.Close()
	if in, ok := pathIn(d, name); ok {
		path = in
	}
	if path == "" {
		return xattrs{}
	}
	return pathXattrs(path)
}

func newXattrs(attrs []xattr.Attr, lost error) xattrs {
	x := xattrs{lost: lost}
	for _, a := range attrs {
		if !utf8.ValidString(a.Name) {
			x.lost = errors.Join(x.lost, fmt.Errorf("extended attribute %q: its name is not UTF-8", a.Name))
			continue
		}
		x.list = append(x.list, manifest.Xattr{Name: a.Name, Value: a.Value})
	}
	return x
}

// keepXattrs puts extended attributes into a line. That some could not be read is said, and makes nothing incomplete.
func (r *reader) keepXattrs(f *manifest.File, x xattrs) {
	f.Xattrs = x.list
	if x.lost != nil {
		r.c.t.problems.addDetail(problemMetadata, r.c.Source.Name, f.Path, cut(strings.ReplaceAll(x.lost.Error(), "\n", "; "), 1000))
	}
}

// hasHoles reports whether a file takes less room than it is long.
func hasHoles(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := statOf(fi)
	return ok && st.blocks*512 < fi.Size()
}

// unixMode returns the permission, setuid, setgid and sticky bits as stat(2) has them.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		mode |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		mode |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	return mode
}

// stat is what some systems know of a file beyond fs.FileInfo.
type stat struct {
	uid, gid int64
	links    int64
	dev, ino uint64
	blocks   int64 // of 512 bytes, that the file takes
}

// links finds files that have several names. The first name of each in walk order that was captured has the content; the others
// refer to it.
type links struct{ paths map[[2]uint64]string }

// first returns the name under which a file was captured before, or "".
func (l *links) first(fi fs.FileInfo) string {
	st, ok := statOf(fi)
	if !ok || st.links < 2 {
		return ""
	}
	return l.paths[[2]uint64{st.dev, st.ino}]
}

// add notes in the line of a file that it has several names, and remembers this one.
func (l *links) add(fi fs.FileInfo, f *manifest.File) {
	st, ok := statOf(fi)
	if !ok || st.links < 2 {
		return
	}
	f.Links = st.links
	if l.paths == nil {
		l.paths = map[[2]uint64]string{}
	}
	l.paths[[2]uint64{st.dev, st.ino}] = f.Path
}

// owners looks up names of users and groups, each once.
type owners struct{ users, groups map[int64]string }

func newOwners() owners { return owners{map[int64]string{}, map[int64]string{}} }

func (o owners) user(id int64) string {
	return lookup(o.users, id, func(s string) (string, error) {
		u, err := user.LookupId(s)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func (o owners) group(id int64) string {
	return lookup(o.groups, id, func(s string) (string, error) {
		g, err := user.LookupGroupId(s)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

func lookup(known map[int64]string, id int64, find func(string) (string, error)) string {
	name, ok := known[id]
	if !ok {
		name, _ = find(strconv.FormatInt(id, 10)) // a number without a name is common
		known[id] = name
	}
	return name
}
