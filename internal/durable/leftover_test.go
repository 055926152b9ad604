//go:build !windows

package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"lifeboat/internal/durable"
)

// What is in use stays, what nobody holds goes, and what is not meant is not looked at.
func TestSweepDirs(t *testing.T) {
	parent := t.TempDir()
	used, err := durable.MakeTempDir(parent, "scratch-*")
	if err != nil {
		t.Fatal(err)
	}
	moved, err := durable.MakeTempDir(parent, "scratch-*")
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(parent, "scratch-moved")
	if err := durable.Rename(moved.Path, beside); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(parent, "scratch-left")
	for _, dir := range []string{filepath.Join(left, "closed"), filepath.Join(parent, "other")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, perm := range map[string]os.FileMode{filepath.Join(left, "closed", "x"): 0o644, filepath.Join(parent, "scratch-file"): 0o644} {
		if err := os.WriteFile(path, nil, perm); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(left, "closed"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", filepath.Join(parent, "scratch-link")); err != nil {
		t.Fatal(err)
	}
	if removed := durable.SweepDirs(parent, "scratch-"); !slices.Equal(removed, []string{left}) {
		t.Errorf("removed %q", removed)
	}
	want := []string{"other", "scratch-file", "scratch-link", filepath.Base(used.Path), "scratch-moved"}
	slices.Sort(want)
	if got := names(t, parent); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
	used.Release()
	moved.Release()
	if removed := durable.SweepDirs(parent, "scratch-"); len(removed) != 2 {
		t.Errorf("when nobody holds them any more: removed %q", removed)
	}
}

func TestTempDirRemove(t *testing.T) {
	parent := t.TempDir()
	d, err := durable.MakeTempDir(parent, "x-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Path, "y"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if n := names(t, parent); len(n) != 0 {
		t.Errorf("there is %q", n)
	}
}

// A file that is being written stays until it has its name, whoever sweeps.
func TestSweepFiles(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "below", durable.TempPrefix+"left")
	if err := os.Mkdir(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{left, filepath.Join(dir, "x.tmp-")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := durable.SweepFiles(dir); n != 1 {
		t.Errorf("%d were removed", n)
	}
	if err := f.Commit(filepath.Join(dir, "named"), 0o600); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"below", "named", "x.tmp-"}) {
		t.Errorf("there is %q", got)
	}
}

// Somebody sweeps all the while, and no writer notices.
func TestSweepWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	var sweeping, writing sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				durable.SweepFiles(dir)
				durable.SweepDirs(dir, "scratch-")
			}
		}
	})
	for i := range 4 {
		writing.Go(func() {
			for range 50 {
				if err := durable.WriteFile(filepath.Join(dir, string(rune('a'+i))), []byte("x"), 0o600); err != nil {
					t.Error(err)
				}
				d, err := durable.MakeTempDir(dir, "scratch-*")
				if err != nil {
					t.Error(err)
					continue
				}
				if err := os.WriteFile(filepath.Join(d.Path, "x"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := d.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(done)
	sweeping.Wait()
	if got := names(t, dir); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("there is %q", got)
	}
}

func TestReplaceDir(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, d := range []string{filepath.Join(from, "new"), filepath.Join(to, "old")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.ReplaceDir(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over one that is not empty: %v", err)
	}
	if err := os.Remove(filepath.Join(to, "old")); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReplaceDir(from, to); err != nil {
		t.Fatal(err)
	}
	if got := names(t, to); !slices.Equal(got, []string{"new"}) {
		t.Errorf("there is %q", got)
	}
}

func TestMove(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte(filepath.Base(path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Move(a, b); !errors.Is(err, fs.ErrExist) {
		t.Errorf("to a name that is taken: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("there is %q", got)
	}
	if err := durable.Move(a, filepath.Join(dir, "c")); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("there is %q", got)
	}
	if err := durable.Move(a, filepath.Join(dir, "d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestExchange(t *testing.T) {
	dir := t.TempDir()
	file, sub := filepath.Join(dir, "file"), filepath.Join(dir, "sub")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(sub, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := durable.Exchange(file, sub)
	exchanged := err == nil
	if !exchanged && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	t.Logf("exchanged: %t", exchanged)
	for path, isDir := range map[string]bool{file: exchanged, sub: !exchanged} {
		if fi, err := os.Lstat(path); err != nil || fi.IsDir() != isDir {
			t.Errorf("%s: %v, %v", path, fi, err)
		}
	}
	if err := durable.Exchange(file, filepath.Join(dir, "none")); err == nil {
		t.Error("exchanged with nothing")
	}
}
