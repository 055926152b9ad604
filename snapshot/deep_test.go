//go:build linux

package snapshot_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// deepWalk reads a tree through descriptors, since no system call takes its paths.
func deepWalk(t *testing.T, dir string) map[string]string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	tree := map[string]string{}
	var walk func(r *os.Root, rel string)
	walk = func(r *os.Root, rel string) {
		entries, err := fs.ReadDir(r.FS(), ".")
		must(t, err)
		for _, e := range entries {
			name := rel + "/" + e.Name()
			switch e.Type() {
			case 0:
				data, err := r.ReadFile(e.Name())
				must(t, err)
				tree[name] = string(data)
			case fs.ModeSymlink:
				to, err := r.Readlink(e.Name())
				must(t, err)
				tree[name] = "-> " + to
			case fs.ModeDir:
				tree[name] = "directory"
				sub, err := r.OpenRoot(e.Name())
				must(t, err)
				walk(sub, name)
				sub.Close()
			}
		}
	}
	walk(root, "")
	return tree
}

// Paths that are longer than any system call takes come back, however many directories that is.
func TestDeepTrees(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	file := func(path string) {
		must(t, root.WriteFile(path, []byte(path[:1]+path[len(path)-1:]), 0o600))
	}
	wide := strings.Repeat(strings.Repeat("w", 255)+"/", 30) // 7,680 bytes
	must(t, root.MkdirAll(wide, 0o755))
	file(wide + "file")
	must(t, root.Symlink("nowhere", wide+"link"))
	must(t, root.Link(wide+"file", wide+"same"))
	at := ""
	for i := range 3 * 64 { // more directories than are kept open, with something behind each
		at += "d/"
		must(t, root.Mkdir(strings.TrimSuffix(at, "/"), 0o755))
		if i%7 == 0 {
			file(at + "z")
		}
	}
	want := deepWalk(t, dir)
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	snaptest.Validate(t, res.ID, local.Store)
	if res.Head.State != manifest.Complete || len(res.Head.Problems) > 0 {
		t.Errorf("state %s, problems %d, the first %.200v", res.Head.State, len(res.Head.Problems), res.Head.Problems[0])
	}
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	if diff := cmp.Diff(want, deepWalk(t, filepath.Join(target, "d"))); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	t.Logf("%d entries, the longest path has %d bytes, the deepest lies in %d directories", len(want), len(wide)+4, 3*64)
}

// A path that is too long even for the format is named, and the snapshot incomplete.
func TestPathsThatAreTooLong(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	deep := strings.Repeat(strings.Repeat("w", 255)+"/", 127) // 32,512 bytes
	must(t, root.MkdirAll(deep+strings.Repeat("w", 255), 0o755))
	must(t, root.WriteFile(deep+strings.Repeat("x", 252), nil, 0o600)) // with "d/" before it, 32,766
	must(t, root.WriteFile(deep+strings.Repeat("x", 255), nil, 0o600)) // and one too many
	must(t, root.WriteFile("z", nil, 0o600))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	snaptest.Validate(t, res.ID, local.Store)
	problems := res.Head.Problems
	if len(problems) != 2 || problems[1].Kind != "unreadable" || res.Head.State != manifest.Incomplete {
		t.Fatalf("state %s, %d problems: %.300s", res.Head.State, len(problems), fmt.Sprint(problems))
	}
	if !strings.Contains(problems[1].Detail, "more than 32768") {
		t.Errorf("%q", problems[1].Detail)
	}
	if got := paths(t, res.ID, local.Store); len(got) != 1+127+1+1 {
		t.Errorf("%d lines", len(got))
	}
	snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
}
