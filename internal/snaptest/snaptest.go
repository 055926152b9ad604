// Package snaptest has what the tests of capture, transfer, validation and restore share: trees that nobody would make
// on purpose, a comparison of two trees that knows nothing of snapshots, stores that fail when they are told to, and the
// common path from a directory to a snapshot and back.
package snaptest

import (
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
	"lifeboat/validate"
)

// App is the application whose stores these are.
const App = "snaptest"

// Stamp is that of a snapshot when the test gives none.
const Stamp = manifest.Stamp("20260102T030405Z")

// Local makes a new local store.
func Local(t testing.TB) *localstore.Store {
	t.Helper()
	s, _, err := localstore.Prepare(t.Context(), filepath.Join(t.TempDir(), "store"), App, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Directory returns a source.
func Directory(name, path string) snapshot.Source { return snapshot.Source{Name: name, Path: path} }

// Take captures sources into a store. What opts does not say is filled in.
func Take(t testing.TB, target snapshot.Target, opts snapshot.Options, sources ...snapshot.Source) *snapshot.Result {
	t.Helper()
	res, err := snapshot.Take(t.Context(), sources, Fill(target, opts))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Fill returns opts with what Take needs.
func Fill(target snapshot.Target, opts snapshot.Options) snapshot.Options {
	opts.App, opts.Target = App, target
	if opts.Stamp == "" {
		opts.Stamp = Stamp
	}
	return opts
}

// Open opens a snapshot.
func Open(t testing.TB, id manifest.ID, places ...layout.Store) *layout.Snapshot {
	t.Helper()
	s, err := layout.OpenSnapshot(t.Context(), id, 2, places...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Restore restores a snapshot into a new directory and returns that.
func Restore(t testing.TB, id manifest.ID, opts restore.Options, places ...layout.Store) string {
	t.Helper()
	if opts.Target == "" {
		opts.Target = filepath.Join(TempDir(t), "target")
	}
	if _, err := restore.Run(t.Context(), Open(t, id, places...), opts); err != nil {
		t.Fatal(err)
	}
	return opts.Target
}

// Validate fails the test unless a store has all of a snapshot, with every byte.
func Validate(t testing.TB, id manifest.ID, store layout.Store) *validate.Report {
	t.Helper()
	r, err := validate.Check(t.Context(), id, store, validate.Options{ReadData: true, Workers: 2, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK {
		t.Fatalf("snapshot %s does not validate: %+v", id, r.Findings)
	}
	return r
}

// ValidateAll validates every snapshot that a store lists, and returns them.
func ValidateAll(t testing.TB, store layout.Store) []layout.Entry {
	t.Helper()
	entries, err := store.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		Validate(t, e.ID, store)
	}
	return entries
}

// TempDir is t.TempDir for trees with directories that cannot be written to.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}

// Empty fails the test unless a directory is there and has nothing in it.
func Empty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", filepath.Join(dir, e.Name()))
	}
}
