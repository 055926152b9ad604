package recoverytest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func compareOwner(info fs.FileInfo, uid, gid *int) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner is not known")
	}
	if uid != nil && int(s.Uid) != *uid {
		return fmt.Errorf("belongs to user %d, not to %d", s.Uid, *uid)
	}
	if gid != nil && int(s.Gid) != *gid {
		return fmt.Errorf("belongs to group %d, not to %d", s.Gid, *gid)
	}
	return nil
}

// listXattrs returns the user.* attributes of a file. Others may have been put there by the system.
func listXattrs(name string) (map[string]string, error) {
	out := map[string]string{}
	buf := make([]byte, 1<<16)
	n, err := unix.Llistxattr(name, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	for key := range bytes.SplitSeq(buf[:n], []byte{0}) {
		if !strings.HasPrefix(string(key), "user.") {
			continue
		}
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(name, string(key), value)
		if err != nil {
			return nil, fmt.Errorf("read extended attribute %s: %w", key, err)
		}
		out[string(key)] = string(value[:n])
	}
	return out, nil
}

// SupportsXattrs tells whether the file system of a directory keeps user.* attributes.
func SupportsXattrs(dir string) bool {
	return unix.Setxattr(dir, "user.lifeboat-probe", []byte("1"), 0) == nil
}
