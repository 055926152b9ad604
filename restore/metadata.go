package restore

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"

	"lifeboat/manifest"
)

// metadata gives files their owner, mode and times. Owners are set by root alone: by name where there is one of that name here, else by
// number; for anybody else files are theirs.
type metadata struct {
	privileged bool
	uid, gid   int      // of this process; -1 where there are none
	users      sync.Map // of numbers, by name; -1 where there is no such name here
	groups     sync.Map
}

func newMetadata(privileged bool) *metadata {
	return &metadata{privileged: privileged, uid: os.Geteuid(), gid: os.Getegid()}
}

// apply sets all that a line says of a file or directory, which has this name in dir, and returns what could not be kept.
func (m *metadata) apply(f *manifest.File, dir *os.Root, name string) (lost []string, err error) {
	lost, err = m.owner(f, dir, name)
	if err != nil {
		return lost, err
	}
	mode := fs.FileMode(f.Mode & 0o777)
	if f.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	if special := f.Mode & 0o6000; special != 0 {
		if m.privileged {
			mode |= setIDs(special)
		} else {
			lost = append(lost, "setuid or setgid bit (see --privileged-metadata)")
		}
	}
	if err := dir.Chmod(name, mode); err != nil {
		return lost, err
	}
	if len(f.Xattrs) > 0 {
		lost = append(lost, "extended attributes")
	}
	t := f.ModTime.Time()
	return lost, dir.Chtimes(name, t, t)
}

// applyLink sets the owner and the time of a symbolic link. Its mode means nothing.
func (m *metadata) applyLink(f *manifest.File, dir *os.Root, name string) ([]string, error) {
	lost, err := m.owner(f, dir, name)
	if err != nil {
		return lost, err
	}
	parent, base := filepath.Split(name)
	d, err := dir.Open(filepath.Clean(parent))
	if err != nil {
		return lost, err
	}
	defer d.Close()
	return lost, setLinkTime(d, base, f.ModTime)
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

func (m *metadata) owner(f *manifest.File, dir *os.Root, name string) (lost []string, err error) {
	switch {
	case f.UID == manifest.NoOwner || m.uid < 0:
		return nil, nil
	case m.uid == 0:
		return nil, dir.Lchown(name, m.userID(f), m.groupID(f))
	}
	if int64(m.uid) != f.UID {
		lost = append(lost, fmt.Sprintf("owner %s (only root can give files away)", nameOf(f.User, f.UID)))
	}
	if int64(m.gid) != f.GID {
		lost = append(lost, fmt.Sprintf("group %s", nameOf(f.Group, f.GID)))
	}
	return lost, nil
}

func nameOf(name string, id int64) string {
	if name != "" {
		return name
	}
	return strconv.FormatInt(id, 10)
}

func (m *metadata) userID(f *manifest.File) int {
	return byName(&m.users, f.User, f.UID, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func (m *metadata) groupID(f *manifest.File) int {
	return byName(&m.groups, f.Group, f.GID, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// byName returns the number that a name has on this machine, or else the number that was recorded.
func byName(known *sync.Map, name string, recorded int64, find func(string) (string, error)) int {
	if name == "" {
		return int(recorded)
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
	if id.(int) < 0 {
		return int(recorded)
	}
	return id.(int)
}
