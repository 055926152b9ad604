package mounts

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// What the kernel lists is read, whatever bytes a name has.
func TestParse(t *testing.T) {
	table, err := parse("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n" +
		"30 27 254:0 /srv/x /a\\040b\\011c\\012d\\134e\\043 rw,relatime shared:7 master:1 - ext4 /dev/vda rw\n" +
		"31 27 0:5 / /data rw - tmpfs none rw\n" +
		"32 31 0:6 / /data rw - tmpfs none rw\n" +
		"33 32 0:7 / /data/in\\040side rw - tmpfs none rw\n" +
		"34 27 0:8 / /database rw - tmpfs none rw\n" +
		"35 27 0:9 / /not\\09octal\\777\\4 rw - tmpfs none rw\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/", "/a b\tc\nd\\e#", "/data", "/data/in side", "/database", `/not\09octal\777\4`}; !slices.Equal(table.points, want) {
		t.Errorf("%q", table.points)
	}
	for path, want := range map[string]bool{"/": true, "/data": true, "/data/": true, "/data/in side": true, "/dat": false, "/data/in": false, "/data/x/..": true} {
		if got := table.Is(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	for path, want := range map[string][]string{
		"/data": {"/data/in side"}, "/data/in side": nil, "/dat": nil,
		"/": {"/a b\tc\nd\\e#", "/data", "/data/in side", "/database", `/not\09octal\777\4`},
	} {
		if got := table.Below(path); !slices.Equal(got, want) {
			t.Errorf("below %q: %q", path, got)
		}
	}
	for _, line := range []string{"27 1 254:0 /\n", "27 1 254:0 / data rw - ext4\n", "\n"} {
		if table, err := parse(line); err == nil {
			t.Errorf("%q was read as %q", line, table.points)
		}
	}
}

// The root is a mount point everywhere, and so is /proc, without which there is no list; a new directory is none.
func TestPoints(t *testing.T) {
	table, err := Points()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if !table.Is("/") || !table.Is("/proc") || table.Is(dir) || !slices.Contains(table.Below("/"), "/proc") || len(table.Below(dir)) > 0 {
		t.Errorf("%q", table.points)
	}
}

// A directory and a file that are bound from the same device are mount points, also if they are named through
// symbolic links; a rename of them fails, which is what the list is for.
func TestBindMounts(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"source", "state", "state/bound \\dir\nx", "state/plain"} {
		if err := os.Mkdir(in(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"source/file", "state/bound.json", "state/plain.json"} {
		if err := os.WriteFile(in(name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bind(t, in("source"), in("state/bound \\dir\nx"))
	bind(t, in("source/file"), in("state/bound.json"))
	for name, to := range map[string]string{"way": "state", "link": "state/bound \\dir\nx"} {
		if err := os.Symlink(in(to), in(name)); err != nil {
			t.Fatal(err)
		}
	}

	table, err := Points()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"state/bound \\dir\nx": true, "way/bound \\dir\nx": true, "state/bound.json": true, "way/bound.json": true,
		"state": false, "way": false, "link": false, "state/plain": false, "state/plain.json": false, "state/absent": false, "no/such/way": false,
	} {
		if got := table.Is(in(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
		if want && os.Rename(in(name), in("elsewhere")) == nil {
			t.Errorf("%q was renamed", name)
		}
	}
	want := []string{in("state/bound \\dir\nx"), in("state/bound.json")}
	if got := table.Below(in("state")); !slices.Equal(got, want) {
		t.Errorf("below: %q", got)
	}
	if got := table.Below(in("way")); len(got) > 0 {
		t.Errorf("below a symbolic link: %q", got)
	}
	t.Chdir(in("state"))
	if !table.Is("bound.json") || table.Is("plain.json") || !slices.Equal(table.Below("."), want) {
		t.Errorf("by relative names: %v, %v, %q", table.Is("bound.json"), table.Is("plain.json"), table.Below("."))
	}
}

// bind binds a name to another until the test ends. A test that can't have that says so.
func bind(t *testing.T, from, to string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: bind mounts: only root can make one")
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("NOT CHECKED: bind mounts: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(to, 0); err != nil {
			t.Errorf("unmount %s: %v", to, err)
		}
	})
}
