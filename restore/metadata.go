package restore

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lifeboat/internal/xattr"
	"lifeboat/manifest"
)

// Owner says whose the files become.
type Owner string

const (
	// OwnerAuto is by name where there is one of that name here, else by number, for root; for anybody else files are theirs.
	OwnerAuto    Owner = "auto"
	OwnerNames   Owner = "names"   // by name
	OwnerNumbers Owner = "numbers" // by number
	OwnerCurrent Owner = "current" // those of this process
)

// Owners are all there are.
var Owners = []Owner{OwnerAuto, OwnerNames, OwnerNumbers, OwnerCurrent}

// metadata gives files their owner, extended attributes, mode and times.
type metadata struct {
	privileged bool
	owners     Owner
	uid, gid   int      // of this process; -1 where there are none
	users      sync.Map // of numbers, by name; -1 where there is no such name here
	groups     sync.Map
}

func newMetadata(privileged bool, owners Owner) *metadata {
	return &metadata{privileged: privileged, owners: owners, uid: os.Geteuid(), gid: os.Getegid()}
}

// A loss is something of a file's metadata that was not kept.
type loss struct {
	what  string
	owner bool // it is the owner or the group
}

// apply sets all that a line says of a file or directory, and returns what could not be kept. A change of the
// owner clears the setuid bit and file capabilities, and a mode without write permission refuses attributes, so the order matters.
func (m *metadata) apply(f *manifest.File, at spot) (lost []loss, err error) {
	if lost, err = m.owner(f, at); err != nil {
		return lost, err
	}
	if len(f.Xattrs) > 0 {
		lost = append(lost, m.xattrs(f, at)...)
	}
	mode := fs.FileMode(f.Mode & 0o777)
	if f.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	if special := f.Mode & 0o6000; special != 0 {
		if m.privileged {
			mode |= setIDs(special)
		} else {
			lost = append(lost, loss{what: "setuid or setgid bit (see --privileged-metadata)"})
		}
	}
	if err := at.chmod(mode); err != nil {
		return lost, err
	}
	return lost, at.chtimes(f.ModTime)
}

// applyLink sets the owner, the attributes and the time of a symbolic link. Its mode means nothing.
func (m *metadata) applyLink(f *manifest.File, dir *os.Root, name string) ([]loss, error) {
	lost, err := m.owner(f, named{dir, name})
	if err != nil {
		return lost, err
	}
	parent, base := filepath.Split(name)
	d, err := dir.Open(filepath.Clean(parent))
	if err != nil {
		return lost, err
	}
	defer d.Close()
	for _, x := range f.Xattrs {
		if !m.may(x.Name) {
			lost = append(lost, withheld(x.Name))
		} else if err := setLinkXattr(d, base, xattr.Attr(x)); err != nil {
			lost = append(lost, refused(x.Name, err))
		}
	}
	return lost, setLinkTime(d, base, f.ModTime)
}

// xattrs sets extended attributes. That a file system refuses one is a loss, and no failure.
func (m *metadata) xattrs(f *manifest.File, at spot) (lost []loss) {
	file, err := at.open()
	if err != nil {
		return []loss{{what: "extended attributes: " + err.Error()}}
	}
	defer file.Close()
	// Access control lists come last: they set the mode too, and it may be one that refuses other attributes.
	ordered := slices.Clone(f.Xattrs)
	slices.SortStableFunc(ordered, func(a, b manifest.Xattr) int { return isACL(a.Name) - isACL(b.Name) })
	for _, x := range ordered {
		if !m.may(x.Name) {
			if !xattr.Has(file, xattr.Attr(x)) { // as the label that the system's policy has set
				lost = append(lost, withheld(x.Name))
			}
		} else if err := xattr.Set(file, xattr.Attr(x)); err != nil {
			lost = append(lost, refused(x.Name, err))
		}
	}
	return lost
}

// may reports whether an attribute may be set. Those that the kernel or a program of the system acts upon could be planted in a store
// to gain rights, as setuid bits could; access control lists only give away what the owner may give.
func (m *metadata) may(name string) bool {
	return m.privileged || strings.HasPrefix(name, "user.") || name == "system.posix_acl_access" || name == "system.posix_acl_default" || ordinaryXattr(name)
}

// isACL is 1 for the name of an access control list, and else 0.
func isACL(name string) int {
	if strings.HasPrefix(name, "system.posix_acl_") {
		return 1
	}
	return 0
}

func withheld(name string) loss {
	return loss{what: fmt.Sprintf("extended attribute %s (see --privileged-metadata)", name)}
}

func refused(name string, err error) loss {
	return loss{what: fmt.Sprintf("extended attribute %s: %v", name, err)}
}

func setIDs(bits uint32) (mode fs.FileMode) {
	if bits&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if bits&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	return mode
}

// owner gives a file away.
func (m *metadata) owner(f *manifest.File, at spot) (lost []loss, err error) {
	lose := func(format string, args ...any) { lost = append(lost, loss{fmt.Sprintf(format, args...), true}) }
	if f.UID == manifest.NoOwner || m.owners == OwnerCurrent || m.uid < 0 && m.owners == OwnerAuto {
		return nil, nil
	}
	if m.uid != 0 && m.owners == OwnerAuto {
		if int64(m.uid) != f.UID {
			lose("owner %s (only root can give files away)", nameOf(f.User, f.UID))
		}
		if int64(m.gid) != f.GID {
			lose("group %s", nameOf(f.Group, f.GID))
		}
		return lost, nil
	}
	uid, gid := int(f.UID), int(f.GID)
	if m.owners != OwnerNumbers {
		if id := m.userID(f.User); id >= 0 {
			uid = id
		} else if m.owners == OwnerNames {
			lose("owner %s: there is no such user here", nameOf(f.User, f.UID))
			uid = -1
		} else if f.User != "" {
			lose("owner %s: there is no such user here, so it is number %d", f.User, f.UID)
		}
		if id := m.groupID(f.Group); id >= 0 {
			gid = id
		} else if m.owners == OwnerNames {
			lose("group %s: there is no such group here", nameOf(f.Group, f.GID))
			gid = -1
		} else if f.Group != "" {
			lose("group %s: there is no such group here, so it is number %d", f.Group, f.GID)
		}
	}
	switch err := at.chown(uid, gid); {
	case err == nil:
		return lost, nil
	case m.uid == 0:
		return lost, err
	}
	// The group can be one of this user's own, when the owner cannot be met.
	if uid >= 0 && uid != m.uid {
		lose("owner %s (only root can give files away)", nameOf(f.User, f.UID))
	}
	if gid >= 0 && gid != m.gid && at.chown(-1, gid) != nil {
		lose("group %s (only root can give files to groups that are not its own)", nameOf(f.Group, f.GID))
	}
	return lost, nil
}

func nameOf(name string, id int64) string {
	if name != "" {
		return name
	}
	return strconv.FormatInt(id, 10)
}

// userID returns the number of a user here, or -1.
func (m *metadata) userID(name string) int {
	return byName(&m.users, name, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// groupID returns the number of a group here, or -1.
func (m *metadata) groupID(name string) int {
	return byName(&m.groups, name, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// byName returns the number that a name has on this machine, or -1.
func byName(known *sync.Map, name string, find func(string) (string, error)) int {
	if name == "" {
		return -1
	}
	id, ok := known.Load(name)
	if !ok {
		id = -1
		if s, err := find(name); err == nil {
			if n, err := strconv.Atoi(s); err == nil {
				id = n
			}
		}
		known.Store(name, id)
	}
	return id.(int)
}
