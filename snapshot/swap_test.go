//go:build unix

package snapshot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// What is listed may be another thing when it is read, by accident or by malice. The walk takes what is there then, says what is gone, never
// waits for a pipe, and is never led out of the source.
func TestEntriesThatBecomeOthers(t *testing.T) {
	secret := t.TempDir()
	must(t, os.WriteFile(filepath.Join(secret, "file"), []byte("the secret"), 0o600))
	others := map[string]func(t *testing.T, path string){
		"nothing":             func(*testing.T, string) {},
		"file":                func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("new"), 0o600)) },
		"directory":           func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"link to a file":      func(t *testing.T, path string) { must(t, os.Symlink(filepath.Join(secret, "file"), path)) },
		"link to a directory": func(t *testing.T, path string) { must(t, os.Symlink(secret, path)) },
		"pipe":                func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) },
	}
	want := map[string]string{"nothing": "", "file": "file", "directory": "directory", "link to a file": "symlink", "link to a directory": "symlink", "pipe": ""}
	problems := map[string][]string{"nothing": {"vanished", "vanished"}, "pipe": {"skipped", "skipped"}}
	for name, make := range others {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			file, dir := filepath.Join(c.dir, "x-file"), filepath.Join(c.dir, "x-directory")
			must(t, os.WriteFile(file, []byte("old"), 0o600))
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600))
			c.take(t, func(*changing) { // "live" is being read, so both names are known and neither was looked at
				must(t, os.Remove(file))
				must(t, os.RemoveAll(dir))
				make(t, file)
				make(t, dir)
			})
			for _, path := range []string{"data/x-file", "data/x-directory"} {
				got := ""
				if f := c.lines[path]; f != nil {
					got = string(f.Type)
				}
				if got != want[name] {
					t.Errorf("%s is %q, want %q", path, got, want[name])
				}
			}
			if c.lines["data/x-directory/file"] != nil {
				t.Error("something was captured that was gone, or lies outside the source")
			}
			if got := kinds(c.res.Head); !slices.Equal(got, problems[name]) || c.res.Head.State != manifest.Complete {
				t.Errorf("problems %+v, state %s", c.res.Head.Problems, c.res.Head.State)
			}
			if data, err := os.ReadFile(filepath.Join(c.target, "x-file")); err == nil && want[name] == "file" && string(data) != "new" {
				t.Errorf("the file is %q", data)
			}
		})
	}
}

// A directory that the walk is in may be moved away, and a link to elsewhere put in its place: what is read is what lay in it.
func TestDirectoryThatIsSwappedWhileTheWalkIsInIt(t *testing.T) {
	evil := t.TempDir()
	for _, name := range []string{"sub", "z"} {
		must(t, os.Mkdir(filepath.Join(evil, name), 0o755))
	}
	for _, name := range []string{"n", "sub/n", "z/n"} {
		must(t, os.WriteFile(filepath.Join(evil, name), []byte("evil"), 0o600))
	}
	dir, aside := t.TempDir(), filepath.Join(t.TempDir(), "aside")
	in := filepath.Join(dir, "m", "m")
	must(t, os.MkdirAll(filepath.Join(in, "sub"), 0o755))
	snaptest.WriteFile(t, filepath.Join(in, "live"), snaptest.Behind, snaptest.Random, 9)
	for _, name := range []string{"n", "sub/n"} {
		must(t, os.WriteFile(filepath.Join(in, name), []byte("good"), 0o600))
	}
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() {
		must(t, os.Rename(in, aside))
		must(t, os.Symlink(evil, in))
	}}
	res := snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", dir))
	snaptest.Validate(t, res.ID, local.Store)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	for _, name := range []string{"n", "sub/n"} {
		if data, err := os.ReadFile(filepath.Join(target, "data/m/m", name)); err != nil || string(data) != "good" {
			t.Errorf("%s is %q (%v)", name, data, err)
		}
	}
	if got := paths(t, res.ID, local.Store); slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, "/z") }) {
		t.Errorf("the walk went elsewhere: %q", got)
	}
}

// A source whose root is another at the end is captured as neither.
func TestSourceThatIsSwapped(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "dir")
	must(t, os.Mkdir(dir, 0o755))
	snaptest.WriteFile(t, filepath.Join(dir, "live"), snaptest.Behind, snaptest.Random, 9)
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() {
		must(t, os.Rename(dir, dir+".old"))
		must(t, os.Mkdir(dir, 0o755))
	}}
	_, err := snapshot.Take(t.Context(), []snapshot.Source{snaptest.Directory("data", dir)}, snaptest.Fill(gate, snapshot.Options{}))
	if err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("Take = %v", err)
	}
	if entries, err := local.Store.Snapshots(t.Context()); err != nil || len(entries) > 0 {
		t.Errorf("there are snapshots: %v (%v)", entries, err)
	}
}

// readError is a regular file of the system whose content cannot be read, by root either.
const readError = "/sys/class/net/lo/speed"

// What cannot be read makes the snapshot incomplete; the rest is in it.
func TestReadErrors(t *testing.T) {
	if _, err := os.Stat(readError); err != nil {
		t.Skipf("NOT CHECKED: errors of reading, for want of a file that has one: %v", err)
	}
	if _, err := os.ReadFile(readError); err == nil {
		t.Skipf("NOT CHECKED: errors of reading; %s can be read here", readError)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "z"), []byte("z"), 0o600))
	local := snaptest.Local(t)
	sources := []snapshot.Source{snaptest.Directory("data", dir), {Name: "broken", Path: readError}}
	if bind(t, readError, filepath.Join(dir, "m")) {
		must(t, os.WriteFile(filepath.Join(dir, "n"), []byte("n"), 0o600))
	}
	res := snaptest.Take(t, local, snapshot.Options{}, sources...)
	snaptest.Validate(t, res.ID, local.Store)
	if got := kinds(res.Head); len(got) == 0 || slices.Compact(got)[0] != "unreadable" || res.Head.State != manifest.Incomplete {
		t.Errorf("problems %+v, state %s", res.Head.Problems, res.Head.State)
	}
	got := paths(t, res.ID, local.Store)
	if !slices.Contains(got, "data/a") || !slices.Contains(got, "data/z") || slices.Contains(got, "data/m") || slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, "broken") }) {
		t.Errorf("lines %q", got)
	}
	if _, err := snapshot.Take(t.Context(), sources[1:], snaptest.Fill(local, snapshot.Options{})); err == nil {
		t.Error("a snapshot of nothing")
	}
}

// bind puts a file in the place of another, for root alone.
func bind(t *testing.T, file, at string) bool {
	t.Helper()
	must(t, os.WriteFile(at, bytes.Repeat([]byte("x"), 100), 0o600))
	if err := mountBind(file, at); err != nil {
		t.Logf("NOT CHECKED: errors of reading in the middle of a directory: %v", err)
		must(t, os.Remove(at))
		return false
	}
	t.Cleanup(func() { unmount(at) })
	return true
}

// Directories and files that may not be read are named, and nothing else is lost.
func TestUnreadableEntries(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	dir := snaptest.TempDir(t)
	for _, d := range []string{"a", "closed", "listed", "passed", "z"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, d, "file"), []byte(d), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o000))
	must(t, os.Chmod(filepath.Join(dir, "closed"), 0o000))
	must(t, os.Chmod(filepath.Join(dir, "listed"), 0o400))
	must(t, os.Chmod(filepath.Join(dir, "passed"), 0o100))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	snaptest.Validate(t, res.ID, local.Store)
	var named []string
	for _, p := range res.Head.Problems {
		named = append(named, p.Kind+" "+p.Path)
	}
	slices.Sort(named)
	if want := []string{"unreadable d/closed", "unreadable d/listed", "unreadable d/passed", "unreadable d/secret"}; !slices.Equal(named, want) && !slices.Equal(named, append(want[:1:1], "unreadable d/listed/file", "unreadable d/passed", "unreadable d/secret")) {
		t.Errorf("problems %q", named)
	}
	if got := paths(t, res.ID, local.Store); !slices.Contains(got, "d/a/file") || !slices.Contains(got, "d/z/file") || res.Head.State != manifest.Incomplete {
		t.Errorf("lines %q, state %s", got, res.Head.State)
	}
}
