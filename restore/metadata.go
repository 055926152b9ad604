package restore

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"sync"

	"lifeboat/manifest"
)

// metadata gives files their owner, mode and times. Owners are set by root alone: by name where there is one of that name here, else by
// number; for anybody else files are theirs.
type metadata struct {
	root       *os.Root
	privileged bool
	uid        int      // of this process; -1 where there are none
	users      sync.Map // of numbers, by name; -1 where there is no such name here
	groups     sync.Map
}

func newMetadata(root *os.Root, privileged bool) *metadata {
	return &metadata{root: root, privileged: privileged, uid: os.Geteuid()}
}

// apply sets all that a line says of a file or directory, and returns what could not be kept.
func (m *metadata) apply(f *manifest.File, name string) (lost []string, err error) {
	lost, err = m.owner(f, name)
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
	if err := m.root.Chmod(name, mode); err != nil {
		return lost, err
	}
	if len(f.Xattrs) > 0 {
		lost = append(lost, "extended attributes")
	}
	t := f.ModTime.Time()
	return lost, m.root.Chtimes(name, t, t)
}

// applyLink sets the owner of a symbolic link. Its mode means nothing, and its time cannot be set without following it.
func (m *metadata) applyLink(f *manifest.File, name string) ([]string, error) {
	return m.owner(f, name)
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

func (m *metadata) owner(f *manifest.File, name string) ([]string, error) {
	if f.UID == manifest.NoOwner || m.uid < 0 {
		return nil, nil
	}
	if m.uid != 0 {
		if int64(m.uid) != f.UID {
			return []string{fmt.Sprintf("owner %s (only root can give files away)", ownerName(f))}, nil
		}
		return nil, nil
	}
	return nil, m.root.Lchown(name, m.userID(f), m.groupID(f))
}

func ownerName(f *manifest.File) string {
	if f.User != "" {
		return f.User
	}
	return strconv.FormatInt(f.UID, 10)
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
