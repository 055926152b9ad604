package sampleapp_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/sampleapp"
)

func create(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), dir, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func verify(t *testing.T, dir string) sampleapp.Report {
	t.Helper()
	report, err := sampleapp.Verify(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// digests returns the hash of each file below dir.
func digests(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	sums := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		sums[filepath.ToSlash(rel)] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func TestCreate(t *testing.T) {
	dir := create(t)
	before := digests(t, dir)
	if len(before) != 8 {
		t.Errorf("Create made %d files, want 8: %v", len(before), before)
	}
	want := sampleapp.Report{
		Accounts: sampleapp.Accounts, Transfers: 2000, Messages: 8000, Total: sampleapp.Total,
		Vectors: sampleapp.Vectors, RegistryTransfers: 2000,
	}
	if diff := cmp.Diff(want, verify(t, dir)); diff != "" {
		t.Errorf("Verify (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, digests(t, dir)); diff != "" {
		t.Errorf("Verify changed the application (-before +after):\n%s", diff)
	}

	if err := sampleapp.Create(t.Context(), dir, 1); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over an application = %v, want fs.ErrExist", err)
	}
	if diff := cmp.Diff(before, digests(t, dir)); diff != "" {
		t.Errorf("Create changed an application (-before +after):\n%s", diff)
	}
}

func TestCreateFollowsFromTheSeed(t *testing.T) {
	first := digests(t, create(t))
	if diff := cmp.Diff(first, digests(t, create(t))); diff != "" {
		t.Errorf("the same seed made something else (-first +second):\n%s", diff)
	}
	dir := t.TempDir()
	if err := sampleapp.Create(t.Context(), dir, 2); err != nil {
		t.Fatal(err)
	}
	verify(t, dir)
	for name, sum := range digests(t, dir) {
		if first[name] == sum && filepath.Ext(name) != ".bin" && filepath.Ext(name) != ".pickle" {
			t.Errorf("%s is the same for another seed", name)
		}
	}
}

func TestCreateCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sampleapp.Create(ctx, t.TempDir(), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Create = %v, want context.Canceled", err)
	}
}
