//go:build unix

package snapshot_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// paths returns the paths of the files table.
func paths(t *testing.T, id manifest.ID, store layout.Store) []string {
	t.Helper()
	var list []string
	for f, err := range snaptest.Open(t, id, store).Files(t.Context()) {
		must(t, err)
		list = append(list, f.Path)
	}
	return list
}

// Sockets, pipes and devices are no state. They are listed as left out, and the walk does not wait for them.
func TestSpecialFiles(t *testing.T) {
	dir, err := os.MkdirTemp("", "walk") // a socket's path is at most 104 bytes long
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(t, err)
	defer l.Close()
	want := []string{"skipped", "skipped"}
	if isRoot() {
		if err := syscall.Mknod(filepath.Join(dir, "null"), syscall.S_IFCHR|0o600, 1<<8|3); err == nil {
			want = append(want, "skipped")
		}
	}
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("data", dir))
	snaptest.Validate(t, res.ID, local.Store)
	if got := kinds(res.Head); !slices.Equal(got, want) || res.Head.State != manifest.Complete {
		t.Errorf("problems %+v, state %s", res.Head.Problems, res.Head.State)
	}
	_, err = snapshot.Take(t.Context(), []snapshot.Source{{Name: "p", Path: filepath.Join(dir, "pipe")}}, snaptest.Fill(local, snapshot.Options{}))
	if err == nil || !strings.Contains(err.Error(), "neither a file nor a directory") {
		t.Errorf("a pipe as a source: %v", err)
	}
}

// The stores themselves, scratch space and the directories in which restores stage and keep are not in their own backup.
func TestOwnFilesAreLeftOut(t *testing.T) {
	home := t.TempDir()
	for _, d := range []string{"app", "tmp", "mnt/backup/archives", layout.StagingPrefix + "123/data", layout.SwapPrefix + "123/old"} {
		must(t, os.MkdirAll(filepath.Join(home, d), 0o755))
		must(t, os.WriteFile(filepath.Join(home, d, "file"), []byte("x"), 0o600))
	}
	local, _, err := localstore.Prepare(t.Context(), filepath.Join(home, "state", "store"), snaptest.App, nil)
	must(t, err)
	opts := snapshot.Options{Scratch: filepath.Join(home, "tmp"), Avoid: []string{local.Path(), filepath.Join(home, "mnt/backup")}}
	res := snaptest.Take(t, local, opts, snaptest.Directory("home", home))
	snaptest.Validate(t, res.ID, local.Store)
	want := []string{"home", "home/app", "home/app/file", "home/mnt", "home/state", "home/tmp", "home/tmp/file"}
	if got := kinds(res.Head); !slices.Equal(got, []string{"skipped", "skipped", "skipped", "skipped"}) || res.Head.State != manifest.Complete {
		t.Errorf("problems %+v, state %s", res.Head.Problems, res.Head.State)
	}
	if diff := cmp.Diff(want, paths(t, res.ID, local.Store)); diff != "" {
		t.Error(diff)
	}
	_, err = snapshot.Take(t.Context(), []snapshot.Source{snaptest.Directory("s", local.Path())}, snaptest.Fill(local, opts))
	if err == nil || !strings.Contains(err.Error(), "lifeboat's own") {
		t.Errorf("the store as a source: %v", err)
	}
}

func TestExclude(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "b.txt", "cache/x", "sub/cache/y", "sub/a.log", "sub/deep/b.txt", "icons/1/2.png", "keep/icons/1.png"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	local := snaptest.Local(t)
	src := snaptest.Directory("d", dir)
	src.Exclude = []string{"*.log", "/cache/", "icons/**", "**/deep", "!/b.txt"}
	for _, p := range src.Exclude {
		must(t, snapshot.CheckExclude(p))
	}
	for _, p := range []string{"", "!", "/", "[", "a{", "./a", "a//b", "../x", "[[:alpha:]]"} {
		if snapshot.CheckExclude(p) == nil {
			t.Errorf("CheckExclude(%q) = nil", p)
		}
	}
	res := snaptest.Take(t, local, snapshot.Options{}, src)
	got := paths(t, res.ID, local.Store)
	t.Log(got)
	for _, p := range got {
		if strings.HasSuffix(p, ".log") || strings.Contains(p, "deep") || strings.HasSuffix(p, "2.png") || p == "d/cache/x" {
			t.Errorf("%s was captured", p)
		}
	}
	if n := res.Head.Sources[0].Excluded; n != 5 {
		t.Errorf("%d entries were counted as excluded", n)
	}
	for _, p := range []string{"d/b.txt", "d/icons", "d/sub/cache/y", "d/keep/icons/1.png"} {
		if !slices.Contains(got, p) {
			t.Errorf("%s was not captured", p)
		}
	}
}

// The files of a database go with it; files that only look so do not.
func TestSidecars(t *testing.T) {
	dir := t.TempDir()
	db := database(t, filepath.Join(dir, "app.db"), 4096, true)
	must(t, os.WriteFile(filepath.Join(dir, "notes"), []byte("no database"), 0o600))
	for _, name := range []string{"notes-wal", "notes-journal", "other-shm", "app.db-mj12345692A"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	want := []string{"d", "d/app.db", "d/notes", "d/notes-journal", "d/notes-wal", "d/other-shm"}
	if diff := cmp.Diff(want, paths(t, res.ID, local.Store)); diff != "" {
		t.Error(diff)
	}
	must(t, db.Close())
}

// A file that begins like a database and is none, and one too short to be one, are files.
func TestNotQuiteDatabases(t *testing.T) {
	dir := t.TempDir()
	magic := "SQLite format 3\x00"
	for name, data := range map[string]string{"short.db": magic, "encrypted.db": magic + strings.Repeat("\xa7noise", 3000), "cut.db": magic + strings.Repeat("\x00", 600)} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	want := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	sources := []snapshot.Source{snaptest.Directory("d", dir), {Name: "f", Path: filepath.Join(dir, "encrypted.db")}}
	res := snaptest.Take(t, local, snapshot.Options{}, sources...)
	snaptest.Validate(t, res.ID, local.Store)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	same(t, want, snaptest.Walk(t, filepath.Join(target, "d")), 0)
	same(t, snaptest.Walk(t, dir), want, 0)
}

// A database that another process keeps to itself cannot be captured; the rest can, and no line refers to it.
func TestLockedDatabase(t *testing.T) {
	dir := t.TempDir()
	db := database(t, filepath.Join(dir, "a.db"), 4096, false)
	must(t, os.Link(filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")))
	must(t, os.WriteFile(filepath.Join(dir, "c"), []byte("c"), 0o600))
	_, err := db.Exec("BEGIN EXCLUSIVE")
	must(t, err)
	local := snaptest.Local(t)
	sources := []snapshot.Source{snaptest.Directory("d", dir), {Name: "named", Path: filepath.Join(dir, "a.db")}}
	opts := snapshot.Options{LockWait: 50 * time.Millisecond}
	res := snaptest.Take(t, local, opts, sources...)
	snaptest.Validate(t, res.ID, local.Store)
	if got := kinds(res.Head); !slices.Equal(got, []string{"locked", "locked", "locked"}) || res.Head.State != manifest.Incomplete {
		t.Errorf("problems %+v, state %s", res.Head.Problems, res.Head.State)
	}
	if got := paths(t, res.ID, local.Store); !slices.Equal(got, []string{"d", "d/c"}) {
		t.Errorf("lines %q", got)
	}
	_, err = snapshot.Take(t.Context(), sources[1:], snaptest.Fill(local, opts))
	if err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("alone: %v", err)
	}
}

// Two sources of one name, and names that are none.
func TestSourceNames(t *testing.T) {
	dir := t.TempDir()
	local := snaptest.Local(t)
	for _, names := range [][]string{{"a", "a"}, {""}, {"../x"}, {"A"}, {"a/b"}} {
		var sources []snapshot.Source
		for _, n := range names {
			sources = append(sources, snaptest.Directory(n, dir))
		}
		if _, err := snapshot.Take(t.Context(), sources, snaptest.Fill(local, snapshot.Options{})); err == nil {
			t.Errorf("sources named %q made a snapshot", names)
		}
	}
}
