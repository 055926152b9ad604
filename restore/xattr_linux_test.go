package restore_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lifeboat/internal/snaptest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

func withXattrs(path string, names ...string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf(`[%q,%q]`, name, base64.StdEncoding.EncodeToString([]byte("value"))))
	}
	return strings.Replace(file(path), `"chunk"`, `"xattrs":[`+strings.Join(list, ",")+`],"chunk"`, 1)
}

// An attribute that gives rights stays away unless it is asked for; one that the file system refuses is a loss, and no failure.
func TestXattrs(t *testing.T) {
	if !snaptest.HasXattrs(t.TempDir()) {
		t.Skip("NOT CHECKED: extended attributes, which this file system has not")
	}
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: evilText, Bytes: 8, Lines: []string{root,
		withXattrs("d/a", "com.example", "security.x", "system.posix_acl_access", "system.unknown", "trusted.x", "user.a", "user."+strings.Repeat("n", 255)),
		withXattrs("d/b", "security.x")}}.Forge(t, local)
	isRoot := os.Geteuid() == 0
	for _, privileged := range []bool{false, true} {
		target := filepath.Join(t.TempDir(), "t")
		res, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target, PrivilegedMetadata: privileged})
		must(t, err)
		buf := make([]byte, 1000)
		for name, want := range map[string]bool{"user.a": true, "security.x": privileged && isRoot, "trusted.x": privileged && isRoot} {
			n, err := unix.Getxattr(filepath.Join(target, "d/a"), name, buf)
			if got := err == nil && string(buf[:n]) == "value"; got != want {
				t.Errorf("privileged %v: %s is there: %v (%v)", privileged, name, got, err)
			}
		}
		listed := lost(res)
		for _, name := range []string{"com.example", "system.posix_acl_access", "system.unknown", "user.nnn"} {
			if !strings.Contains(listed, name) {
				t.Errorf("privileged %v: %s is not among what was not kept:\n%s", privileged, name, listed)
			}
		}
		if want := "d/a extended attribute security.x (see --privileged-metadata) 2"; !privileged && !strings.Contains(listed, want) {
			t.Errorf("not kept:\n%s", listed)
		}
	}
}

// What the directory above the target gives to new files does not get into a restore.
func TestInheritedAccessControlLists(t *testing.T) {
	parent := t.TempDir()
	if !snaptest.HasXattrs(parent) {
		t.Skip("NOT CHECKED: access control lists, which this file system has not")
	}
	tree := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(filepath.Join(tree, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(tree, "sub", "file"), []byte("x"), 0o640))
	want := snaptest.Walk(t, tree)
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", tree)).ID
	snaptest.SetXattr(t, parent, "system.posix_acl_default", snaptest.ACL(4321))
	for _, there := range []bool{false, true} {
		target := filepath.Join(parent, fmt.Sprint(there))
		if there {
			must(t, os.Mkdir(target, 0o750))
			snaptest.SetXattr(t, target, "user.mine", "1")
		}
		ref := filepath.Join(parent, "reference")
		must(t, os.RemoveAll(ref))
		must(t, os.Mkdir(ref, 0o755))
		before := snaptest.Walk(t, directoryLike(target, ref, there))["."]
		snaptest.Restore(t, id, restore.Options{Target: target}, local.Store)
		same(t, want, snaptest.Walk(t, filepath.Join(target, "d")), 0)
		if after := snaptest.Walk(t, target)["."]; defaultACL(after.Xattrs) != defaultACL(before.Xattrs) || there && !strings.Contains(after.Xattrs, "user.mine") {
			t.Errorf("the target has %q, want %q", after.Xattrs, before.Xattrs)
		}
	}
}

func directoryLike(target, ref string, there bool) string {
	if there {
		return target
	}
	return ref
}

func defaultACL(xattrs string) string {
	for line := range strings.Lines(xattrs) {
		if strings.HasPrefix(line, "system.posix_acl_default=") {
			return line
		}
	}
	return ""
}

// A name that the file system does not take is named, and nothing is half there.
func TestNamesThatAreRefused(t *testing.T) {
	local := snaptest.Local(t)
	long := strings.Repeat("n", 256)
	for name, lines := range map[string][]string{
		"file":      {root, file("d/" + long)},
		"directory": {root, dir("d/" + long)},
		"symlink":   {root, link("d/"+long, "x")},
	} {
		bytes := int64(0)
		if name == "file" {
			bytes = 4
		}
		id := snaptest.Forgery{Content: evilText, Lines: lines, Bytes: bytes}.Forge(t, local)
		parent := t.TempDir()
		_, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: filepath.Join(parent, "t")})
		if err == nil || !strings.Contains(err.Error(), `lay down "d/`+long+`": this file system does not take such a name: file name too long; restore to another`) {
			t.Errorf("%s: %v", name, err)
		}
		snaptest.Empty(t, parent)
	}
}
