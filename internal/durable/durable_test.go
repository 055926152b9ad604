package durable_test

import (
	"bytes"
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

// What is written in many pieces is whole, also beyond the length at which the disk begins early.
func TestWriteInPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := durable.Create(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	var want []byte
	for i := 0; len(want) < 12<<20; i++ {
		piece := bytes.Repeat([]byte{byte(i)}, 1+i*7919%(1<<20))
		if n, err := f.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		want = append(want, piece...)
	}
	if err := f.Commit(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes were written, %d are there: %v", len(want), len(got), err)
	}
}
