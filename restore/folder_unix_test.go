//go:build unix

package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lifeboat/manifest"
)

// newFolder opens a new directory.
func newFolder(tb testing.TB) (d *folder, dir string) {
	tb.Helper()
	dir = tb.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { root.Close() })
	if d, err = openFolder(root); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.close)
	return d, dir
}

// Nothing is written over, and nothing through a link, whatever lies where a file is to come.
func TestLayOverWhatIsThere(t *testing.T) {
	d, dir := newFolder(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for name, make := range map[string]func(path string) error{
		"file":       func(path string) error { return os.WriteFile(path, []byte("theirs"), 0o600) },
		"link":       func(path string) error { return os.Symlink(outside, path) },
		"directory":  func(path string) error { return os.Mkdir(path, 0o700) },
		"named pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		err = d.lay(name, []byte("ours"), func(spot) error { t.Errorf("%s: got metadata", name); return nil })
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.Lstat(filepath.Join(dir, name)); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
			t.Errorf("%s: is another now: %v %v", name, after, err)
		}
	}
	if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made where a link leads: %v", err)
	}
}

// A file becomes ours where we are asked for, also in a directory that gives what is made in it to another group.
func TestOwnerInADirectoryOfAnotherGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: owners, since only root can give a directory away")
	}
	for _, gid := range []int{os.Getegid(), 12345} {
		dir := t.TempDir()
		if err := os.Chown(dir, -1, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700|fs.ModeSetgid); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		d, err := openFolder(root)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		f := &manifest.File{Mode: 0o640, UID: int64(os.Geteuid()), GID: int64(os.Getegid()), ModTime: -1}
		if err := d.lay("file", []byte("content"), func(at spot) error {
			lost, err := newMetadata(false, OwnerNumbers).apply(f, at)
			if len(lost) > 0 {
				t.Errorf("lost: %v", lost)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Lstat(filepath.Join(dir, "file"))
		if err != nil {
			t.Fatal(err)
		}
		st := fi.Sys().(*syscall.Stat_t)
		if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() || fi.Mode() != 0o640 || fi.ModTime().UnixNano() != -1 || fi.Size() != 7 {
			t.Errorf("in a directory of group %d: user %d, group %d, %s, %d ns, %d bytes", gid, st.Uid, st.Gid, fi.Mode(), fi.ModTime().UnixNano(), fi.Size())
		}
	}
}

// BenchmarkLay is what one small file costs.
func BenchmarkLay(b *testing.B) {
	d, _ := newFolder(b)
	m := newMetadata(false, OwnerAuto)
	f := &manifest.File{Mode: 0o644, UID: int64(os.Geteuid()), GID: int64(os.Getegid()), ModTime: 1e18}
	data := make([]byte, 6000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if err := d.lay(fmt.Sprint(n), data, func(at spot) error { _, err := m.apply(f, at); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
