package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/durable"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestCommitReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, content := range []string{"first", "second, longer"} {
		if err := durable.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Fatalf("read %q, %v; want %q", got, err, content)
		}
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("directory holds %q, want only x", n)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("half"))
	f.Discard()
	f.Discard()
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("directory holds %q, want nothing", n)
	}
	if err := f.Commit(filepath.Join(dir, "x"), 0o600); err == nil {
		t.Error("Commit after Discard succeeded")
	}
}

func TestCommitToMissingDirectory(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(filepath.Join(dir, "no", "x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Commit = %v, want fs.ErrNotExist", err)
	}
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("directory holds %q, want nothing", n)
	}
}

func TestMkdirAllAndRename(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a", "b"), filepath.Join(dir, "c", "d")
	for _, d := range []string{a, b, a} {
		if err := durable.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.WriteFile(filepath.Join(a, "x"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Rename(filepath.Join(a, "x"), filepath.Join(b, "y")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Remove(filepath.Join(b, "y")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Remove(filepath.Join(b, "y")); err != nil {
		t.Errorf("Remove of an absent file = %v", err)
	}
}
