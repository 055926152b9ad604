package snaptest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// xattrsOf lists the extended attributes of a file or link, one a line.
func xattrsOf(path string) (string, error) {
	buf := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil {
		return "", &os.PathError{Op: "listxattr", Path: path, Err: err}
	}
	var lines []string
	for name := range bytes.SplitSeq(buf[:n], []byte{0}) {
		if len(name) == 0 {
			continue
		}
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(path, string(name), value)
		if err != nil {
			return "", &os.PathError{Op: "getxattr", Path: path, Err: err}
		}
		lines = append(lines, fmt.Sprintf("%s=%x\n", name, value[:n]))
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// SetXattr sets an attribute of a file or link.
func SetXattr(t testing.TB, path, name, value string) {
	t.Helper()
	if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil {
		t.Fatalf("set %s of %s: %v", name, path, err)
	}
}

// HasXattrs tells whether the file system of a directory keeps extended attributes.
func HasXattrs(dir string) bool {
	return unix.Setxattr(dir, "user.probe", nil, 0) == nil && unix.Removexattr(dir, "user.probe") == nil
}

// ACL is an access control list, as Linux stores it: read and write for the owner and for one user more, read for the group.
func ACL(user uint32) string {
	const nobody = 0xffffffff
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{0x01, 6, nobody}, {0x02, 6, user}, {0x04, 4, nobody}, {0x10, 6, nobody}, {0x20, 0, nobody}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

// oddXattrs gives a file, directory or link some attributes.
func (o *OddTree) oddXattrs(path string, dir, link bool) {
	if !o.xattrs || o.random.IntN(3) > 0 {
		return
	}
	if o.Root {
		if o.random.IntN(3) == 0 {
			SetXattr(o.t, path, "trusted.odd", "t\x00\xff")
		}
		if !dir && !link && o.random.IntN(3) == 0 {
			SetXattr(o.t, path, "security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		}
	}
	if link {
		return
	}
	values := []string{"", "text", "\x00\xff\n", strings.Repeat("x", 500)}
	for _, name := range []string{"user.odd", "user.caf\u00e9 \x1b[31m", "user." + strings.Repeat("n", 250)} {
		if o.random.IntN(2) == 0 {
			SetXattr(o.t, path, name, pick(o.random, values))
		}
	}
	if o.random.IntN(2) == 0 {
		SetXattr(o.t, path, "system.posix_acl_access", ACL(uint32(o.random.IntN(70000))))
	}
	if dir && o.random.IntN(2) == 0 {
		SetXattr(o.t, path, "system.posix_acl_default", ACL(4321))
	}
}
