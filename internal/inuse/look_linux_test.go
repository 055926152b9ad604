package inuse

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the kernel names another device for a mapped file than stat does, as on Btrfs, its name leads to it. (The system
// of the test need not be such a one, so its answer is made up; and no process has the number, so there is no link.)
func TestMappingOnAnotherDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	const pid = 1 << 30
	for _, test := range []struct {
		m    mapped
		want bool
	}{
		{mapped{file: id{st.Dev, st.Ino}}, true},
		{mapped{file: id{st.Dev + 1, st.Ino}, path: path}, true},
		{mapped{file: id{st.Dev + 1, st.Ino + 1}, path: path}, false}, // another file has its name now
		{mapped{file: id{st.Dev + 1, st.Ino}, path: path + "x"}, false},
	} {
		l := &listing{files: map[id][]use{}}
		l.mapping(pid, test.m)
		if got := slices.Contains(l.files[id{st.Dev, st.Ino}], use{pid, Mapped}); got != test.want {
			t.Errorf("%+v: %v", test.m, got)
		}
	}
}

func TestParseMapping(t *testing.T) {
	const line = "00400000-7fffffffffff rw-s 00001000 fe:1b 1234                      /srv/a  b/app.db-shm (deleted)\n"
	m, ok := parseMapping(line)
	want := mapped{0x400000, 0x7fffffffffff, id{0xfe1b, 1234}, "/srv/a  b/app.db-shm (deleted)"}
	if !ok || m != want {
		t.Errorf("%+v, %v", m, ok)
	}
	for _, line := range []string{
		"", "\n", "7f-8f rw-p 0 fe:00\n", "7f8f rw-p 0 fe:00 1 /x\n", "7f-8f rw-p 0 fe00 1 /x\n", "7f-8g rw-p 0 fe:00 1 /x\n", "7f-8f rw-p 0 fe:00 1x /x\n",
		"7ffc0-7ffd0 rw-p 00000000 00:00 0                          [stack]\n", "7f-8f rw-p 0 00:00 0\n",
	} {
		if m, ok := parseMapping(line); ok {
			t.Errorf("%q is %+v", line, m)
		}
	}
}

// A file that was removed counts only if it lay on a device on which the paths lie: in another container, or behind another
// mount, something else may have the same name.
func TestNamelessOnAnotherDevice(t *testing.T) {
	dir := t.TempDir()
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	l := &listing{roots: []string{dir}, files: map[id][]use{}}
	for i, name := range []string{"/here (deleted)", "/elsewhere (deleted)", "x/beside (deleted)", "/not deleted", " (deleted)"} {
		dev := st.Dev
		if name == "/elsewhere (deleted)" {
			dev++
		}
		l.nameless(1000+i, dir+name, dev)
	}
	m := &matcher{opened: l, devices: map[uint64]bool{}, seen: map[key]int{}}
	if err := m.walk(dir); err != nil {
		t.Fatal(err)
	}
	m.unlinked()
	if want := []Holder{{PID: 1000, Path: dir + "/here", How: Unlinked}, {PID: 1004, Path: dir, How: Unlinked}}; !slices.Equal(m.holders, want) {
		t.Errorf("%+v", m.holders)
	}
}

// A directory or a file that can't be read may hide something.
func TestUnreadable(t *testing.T) {
	for _, closed := range []string{"", "directory", "directory/file"} {
		dir := t.TempDir()
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "directory"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "directory", "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if closed != "" {
			if err := os.Chmod(filepath.Join(dir, closed), 0); err != nil {
				t.Fatal(err)
			}
		}
		m := &matcher{opened: &listing{}, whole: true, devices: map[uint64]bool{}}
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // for ever: the thread is of no more use
			_, err := unix.SetfsuidRetUid(65534)
			done <- errors.Join(err, m.walk(dir))
		}()
		if err := <-done; err != nil || m.whole != (closed == "") {
			t.Errorf("%q: whole %v, %v", closed, m.whole, err)
		}
		if err := os.Chmod(filepath.Join(dir, "directory"), 0o755); err != nil { // so that it can be removed
			t.Fatal(err)
		}
	}
}
