//go:build unix

package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// odd takes a snapshot of an odd tree and returns what is in it.
func odd(t *testing.T, seed uint64, entries int) (id manifest.ID, local *localstore.Store, tree map[string]snaptest.Entry) {
	t.Helper()
	dir := filepath.Join(snaptest.TempDir(t), "d")
	snaptest.OddTree{Seed: seed, Entries: entries, Root: os.Geteuid() == 0}.Make(t, dir)
	local = snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	return res.ID, local, snaptest.Walk(t, dir)
}

func same(t *testing.T, want, got map[string]snaptest.Entry, mask uint32) {
	t.Helper()
	if diff := snaptest.Diff(want, got, mask); diff != "" {
		t.Errorf("what was restored is not what was captured:\n%s", diff)
	}
}

const special = 0o6000

// Where a target may lie, and what becomes of it.
func TestTargets(t *testing.T) {
	id, local, tree := odd(t, 1, 30)
	run := func(target string) error {
		_, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target})
		return err
	}
	t.Run("absent, with its parents", func(t *testing.T) {
		target := filepath.Join(snaptest.TempDir(t), "a", "b", "c")
		must(t, run(target))
		same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
		if fi, err := os.Stat(target); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("mode %v (%v)", fi.Mode(), err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		target := snaptest.TempDir(t)
		must(t, os.Chmod(target, 0o750|os.ModeSetgid))
		if os.Geteuid() == 0 {
			must(t, os.Chown(target, 4321, 1234))
			must(t, os.Chmod(target, 0o750|os.ModeSetgid))
		}
		before := snaptest.Walk(t, target)["."]
		must(t, run(target))
		same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
		after := snaptest.Walk(t, target)["."]
		if after.ModTime = before.ModTime; after != before {
			t.Errorf("the target is %+v, and was %+v", after, before)
		}
		noStaging(t, filepath.Dir(target))
	})
	t.Run("not empty", func(t *testing.T) {
		target := t.TempDir()
		must(t, os.WriteFile(filepath.Join(target, "x"), []byte("x"), 0o600))
		before := snaptest.Walk(t, target)
		var notEmpty *restore.NotEmptyError
		if err := run(target); !errors.As(err, &notEmpty) || notEmpty.Target != target {
			t.Errorf("Run = %v", err)
		}
		same(t, before, snaptest.Walk(t, target), 0)
	})
	t.Run("a file", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(target, []byte("x"), 0o600))
		if err := run(target); err == nil {
			t.Error("a file was replaced")
		}
		if data, err := os.ReadFile(target); err != nil || string(data) != "x" {
			t.Errorf("the file is %q (%v)", data, err)
		}
	})
	t.Run("below a file", func(t *testing.T) {
		parent := t.TempDir()
		must(t, os.WriteFile(filepath.Join(parent, "file"), []byte("x"), 0o600))
		if err := run(filepath.Join(parent, "file", "target")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a link to an empty directory", func(t *testing.T) {
		parent := snaptest.TempDir(t)
		must(t, os.Mkdir(filepath.Join(parent, "real"), 0o755))
		must(t, os.Symlink("real", filepath.Join(parent, "link")))
		must(t, run(filepath.Join(parent, "link")))
		same(t, tree, snaptest.Walk(t, filepath.Join(parent, "real", "d")), special)
		if to, err := os.Readlink(filepath.Join(parent, "link")); err != nil || to != "real" {
			t.Errorf("the link leads to %q (%v)", to, err)
		}
	})
	t.Run("a link to nowhere", func(t *testing.T) {
		parent := t.TempDir()
		must(t, os.Symlink("nowhere", filepath.Join(parent, "link")))
		if err := run(filepath.Join(parent, "link")); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("Run = %v", err)
		}
	})
}

func noStaging(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), layout.StagingPrefix) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// A target that nothing can be renamed to from outside: a mount point.
func TestTargetIsAMountPoint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: a mount point as the target, for which the test must run as root")
	}
	id, local, tree := odd(t, 2, 20)
	for _, bind := range []bool{false, true} {
		parent := snaptest.TempDir(t)
		target := filepath.Join(parent, "target")
		source := filepath.Join(parent, "source")
		must(t, os.Mkdir(target, 0o755))
		must(t, os.Mkdir(source, 0o755))
		if err := mount(source, target, bind); err != nil {
			t.Skipf("NOT CHECKED: a mount point as the target: %v", err)
		}
		_, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target})
		if err == nil {
			same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
		} else {
			t.Error(err)
		}
		noStaging(t, target)
		must(t, syscall.Unmount(target, 0))
	}
}

// A target whose parent belongs to somebody else.
func TestTargetInAForeignDirectory(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	id, local, tree := odd(t, 3, 20)
	parent := snaptest.TempDir(t)
	target := filepath.Join(parent, "target")
	must(t, os.Mkdir(target, 0o755))
	must(t, os.Chmod(parent, 0o555))
	_, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target})
	must(t, err)
	same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)
	noStaging(t, target)
	_, err = restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: filepath.Join(parent, "new")})
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("into a directory that is not ours: %v", err)
	}
}

// lost returns what was not kept, a line for each kind of it.
func lost(res *restore.Result) string {
	var lines []string
	for _, n := range res.NotKept {
		lines = append(lines, fmt.Sprintf("%s %s %d", n.Path, n.What, n.Files))
	}
	return strings.Join(lines, "\n")
}

// Who is not root cannot give files away, and is told of each that would have to be.
func TestOwnersThatAreNotKept(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	lines := []string{root, strings.Replace(file("d/f"), `"chunk"`, `"uid":12,"gid":34,"user":"alice","chunk"`, 1)}
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: evilText, Lines: lines, Bytes: 4}.Forge(t, local)
	res, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: filepath.Join(t.TempDir(), "t")})
	must(t, err)
	if got := lost(res); res.NotKeptCount != 2 || !strings.Contains(got, "d/f owner alice") || !strings.Contains(got, "d/f group 34") {
		t.Errorf("%d not kept: %q", res.NotKeptCount, got)
	}
}

// A failure removes directories that cannot be written to, too.
func TestFailureRemovesReadOnlyDirectories(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	lines := []string{root, `{"path":"d/a","type":"directory","mode":"0500"}`, `{"path":"d/a/b","type":"directory","mode":"0000"}`, file("d/a/b/x"), dir("d/z"), file("d/z/x")}
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: evilText, Lines: lines, Bytes: 8}.Forge(t, local)
	parent := snaptest.TempDir(t)
	target := filepath.Join(parent, "target")
	must(t, os.Mkdir(target, 0o755))
	hook := &hooked{Store: local.Store.Store, before: func(key string) {
		if strings.HasPrefix(key, "archives/") {
			os.WriteFile(filepath.Join(target, "x"), []byte("x"), 0o600)
		}
	}}
	_, err := restore.Run(t.Context(), snaptest.Open(t, id, layout.Store{Store: hook}), restore.Options{Target: target})
	var notEmpty *restore.NotEmptyError
	if !errors.As(err, &notEmpty) {
		t.Errorf("Run = %v", err)
	}
	noStaging(t, parent)
	if data, err := os.ReadFile(filepath.Join(target, "x")); err != nil || string(data) != "x" {
		t.Errorf("what appeared in the target meanwhile is %q (%v)", data, err)
	}
}

// hooked is a store that says what is read.
type hooked struct {
	remote.Store
	before func(key string)
}

func (h *hooked) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	h.before(key)
	return h.Store.Open(ctx, key, off, n)
}

// What does not fit is refused before it is fetched; runs of zeros take no space.
func TestSpace(t *testing.T) {
	parent := t.TempDir()
	free, err := diskspace.Free(parent)
	must(t, err)
	const mib = 1 << 20
	extents := make([]manifest.Extent, manifest.MaxInline)
	for i := range extents {
		extents[i] = manifest.Extent{Archive: manifest.Hash{1}, Len: mib}
	}
	files := []*manifest.File{{Path: "d", Type: manifest.Directory, Mode: 0o755, UID: manifest.NoOwner, GID: manifest.NoOwner}}
	for i := range free/(manifest.MaxInline*mib) + 2 {
		files = append(files, &manifest.File{Path: "d/" + string(rune('A'+i/1000)) + string(rune('0'+i/100%10)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)),
			Type: manifest.Regular, UID: manifest.NoOwner, GID: manifest.NoOwner, Size: manifest.MaxInline * mib, SHA256: manifest.Hash{1}, Chunk: mib, Extents: extents})
	}
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: strings.Repeat("evil", mib/4), Files: files}.Forge(t, local)
	var noSpace *diskspace.NotEnoughError
	_, err = restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: filepath.Join(parent, "new", "target")})
	if !errors.As(err, &noSpace) || noSpace.Need < free {
		t.Errorf("Run = %v", err)
	}
	snaptest.Empty(t, parent)

	// A file of zeros that is larger than the disk, and one that has to be fetched. To hash all of those zeros would take
	// too long, so the restore is stopped when it has come to that.
	local = snaptest.Local(t)
	size := free + 10<<30
	id = snaptest.Forgery{Content: evilText, Files: []*manifest.File{
		files[0],
		{Path: "d/a", Type: manifest.Regular, UID: manifest.NoOwner, GID: manifest.NoOwner, Size: size, SHA256: manifest.Hash{1}, Chunk: mib, Extents: []manifest.Extent{{Len: size}}},
		{Path: "d/b", Type: manifest.Regular, UID: manifest.NoOwner, GID: manifest.NoOwner, Size: 4, SHA256: manifest.Hash{1}, Chunk: 4, Extents: []manifest.Extent{{Archive: manifest.Hash{1}, Len: 4}}},
	}}.Forge(t, local)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reads := map[string]int{}
	hook := &hooked{Store: local.Store.Store, before: func(key string) {
		if strings.HasPrefix(key, "archives/") {
			if reads[key]++; len(reads) == 3 { // two of tables, then that of the content
				cancel()
			}
		}
	}}
	_, err = restore.Run(ctx, snaptest.Open(t, id, layout.Store{Store: hook}), restore.Options{Target: filepath.Join(parent, "target")})
	if errors.As(err, &noSpace) || !errors.Is(err, context.Canceled) {
		t.Errorf("a sparse file: Run = %v", err)
	}
	snaptest.Empty(t, parent)
}

// When one of several sources cannot be moved into place, none is.
func TestSourcesThatCannotAllBeMoved(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	parent := snaptest.TempDir(t)
	target := filepath.Join(parent, "target")
	must(t, os.Mkdir(target, 0o755))
	var sources []snapshot.Source
	for _, name := range []string{"a", "b", "c"} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte(name), 0o600))
		sources = append(sources, snaptest.Directory(name, dir))
	}
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, sources...).ID
	must(t, os.Chmod(parent, 0o555))
	hook := &hooked{Store: local.Store.Store, before: func(key string) {
		if staging, _ := filepath.Glob(filepath.Join(target, layout.StagingPrefix+"*")); len(staging) > 0 {
			os.MkdirAll(filepath.Join(target, "b", "theirs"), 0o755)
		}
	}}
	_, err := restore.Run(t.Context(), snaptest.Open(t, id, layout.Store{Store: hook}), restore.Options{Target: target})
	if err == nil || !strings.Contains(err.Error(), "move b into place") {
		t.Errorf("Run = %v", err)
	}
	var left []string
	for path := range snaptest.Walk(t, target) {
		left = append(left, path)
	}
	if got := sorted(left); got != ". b b/theirs" {
		t.Errorf("the target has %s", got)
	}
}

// However many extents a file has, its last bytes complete it, also when they are zeros.
func TestZerosAfterManyExtents(t *testing.T) {
	for _, n := range []int{1<<15 - 1, 1 << 15, 1<<15 + 1} {
		text := append(bytes.Repeat([]byte("e"), n), make([]byte, 100)...)
		local := snaptest.Local(t)
		id := snaptest.Forgery{
			Content: "e", Bytes: int64(len(text)),
			Map: func(e manifest.Extent) []manifest.Extent {
				return append(slices.Repeat([]manifest.Extent{e}, n), manifest.Extent{Len: 100})
			},
			Lines: []string{root, fmt.Sprintf(`{"path":"d/f","type":"file","mode":"0421","mtime":"7.000000000","size":%d,"sha256":"%s","chunk":1,"maps":[%%M]}`, len(text), manifest.HashOf(text))},
		}.Forge(t, local)
		target := snaptest.Restore(t, id, restore.Options{}, local.Store)
		path := filepath.Join(target, "d", "f")
		data, err := os.ReadFile(path)
		must(t, err)
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o421 || fi.ModTime().Unix() != 7 || !bytes.Equal(data, text) {
			t.Errorf("%d extents: %v, %v (%v)", n, fi.Mode(), fi.ModTime(), err)
		}
		snaptest.Validate(t, id, local.Store)
	}
}

// What is selected comes, with the directories that it lies in as they were.
func TestSelection(t *testing.T) {
	tree := t.TempDir()
	for _, name := range []string{"a/b/c/file", "a/b/other", "a/x.log", "z/file", "top"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(tree, name), []byte(name), 0o600))
	}
	must(t, os.Symlink("file", filepath.Join(tree, "a/b/c/link")))
	must(t, os.MkdirAll(filepath.Join(tree, "z/deep"), 0o755))
	for name, first := range map[string]string{"z/same": "top", "z/third": "top", "z/deep/log": "a/x.log"} {
		must(t, os.Link(filepath.Join(tree, first), filepath.Join(tree, name)))
	}
	must(t, os.Chmod(filepath.Join(tree, "a/b"), 0o710))
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", tree), snapshot.Source{Name: "f", Path: filepath.Join(tree, "top")}).ID
	all := snaptest.Walk(t, tree)
	size := func(list string) (n int64) { // of these files, each counted once
		seen := map[string]bool{}
		for _, path := range strings.Fields(list) {
			e := all[strings.TrimPrefix(strings.TrimPrefix(path, "d/"), "f/")]
			if first := path[:1] + e.First; e.First == "" || !seen[first] {
				n += e.Size
				seen[first] = true
			}
		}
		return n
	}
	for _, tt := range []struct {
		only, except []string
		want         string // sorted, without directories
		err          bool
	}{
		{nil, nil, "d/a/b/c/file d/a/b/c/link d/a/b/other d/a/x.log d/top d/z/deep/log d/z/file d/z/same d/z/third f/top", false},
		{[]string{"f"}, nil, "f/top", false},
		{[]string{"d/a/b/c/file"}, nil, "d/a/b/c/file", false},
		{[]string{"d/a/b/c/link"}, nil, "d/a/b/c/link", false},
		{[]string{"d/a"}, []string{"d/a/b/c"}, "d/a/b/other d/a/x.log", false},
		{[]string{"**/*.log", "d/z/file"}, nil, "d/a/x.log d/z/file", false},
		{nil, []string{"d", "x"}, "f/top", false},
		{[]string{"d/z", "d/top"}, nil, "d/top d/z/deep/log d/z/file d/z/same d/z/third", false},
		{[]string{"d/z"}, nil, "d/z/deep/log d/z/file d/z/same d/z/third", false}, // the first names of three of them are not selected
		{[]string{"d/z/third"}, nil, "d/z/third", false},
		{[]string{"d"}, []string{"d/a", "d/top"}, "d/z/deep/log d/z/file d/z/same d/z/third", false},
		{[]string{"d/z/same", "d/z/third"}, nil, "d/z/same d/z/third", false},
		{[]string{"nothing"}, nil, "", true},
		{[]string{"d/["}, nil, "", true},
	} {
		target := filepath.Join(snaptest.TempDir(t), "target")
		res, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target, Only: tt.only, Except: tt.except})
		if tt.err {
			if err == nil {
				t.Errorf("only %q, except %q: no error", tt.only, tt.except)
			}
			snaptest.Empty(t, filepath.Dir(target))
			continue
		}
		must(t, err)
		var got []string
		for path, e := range snaptest.Walk(t, target) {
			if rel, ok := strings.CutPrefix(path, "d/"); ok || path == "d" {
				if path == "d" {
					rel = "."
				}
				if want := all[rel]; want.Mode != e.Mode || want.ModTime != e.ModTime || want.UID != e.UID || want.SHA256 != e.SHA256 {
					t.Errorf("only %q: %s is %+v, and was %+v", tt.only, path, e, want)
				}
			}
			if e.Type != "directory" {
				got = append(got, path)
			}
		}
		if list := sorted(got); list != tt.want {
			t.Errorf("only %q, except %q: restored %s, want %s", tt.only, tt.except, list, tt.want)
		}
		if want := size(tt.want); res.Bytes != want {
			t.Errorf("only %q, except %q: %d bytes, want %d", tt.only, tt.except, res.Bytes, want)
		}
		same, err1 := os.Stat(filepath.Join(target, "d/z/same"))
		third, err2 := os.Stat(filepath.Join(target, "d/z/third"))
		if err1 == nil && err2 == nil && !os.SameFile(same, third) {
			t.Errorf("only %q, except %q: two names of one file became two files", tt.only, tt.except)
		}
	}
}
