package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// The store of safety snapshots is gone through when one of them goes, when one may have been cut in the middle, and when none is listed;
// else none of them is read.
func TestDropSafetyIf(t *testing.T) {
	local := snaptest.Local(t)
	dir := filepath.Join(local.Path(), safetyName)
	store, _, err := localstore.Prepare(t.Context(), dir, "app", nil)
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(source, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	res := snaptest.Take(t, store, snapshot.Options{}, snapshot.Source{Name: "file", Path: source})
	orphan := filepath.Join(dir, layout.ArchiveKey(manifest.HashOf([]byte("of a safety snapshot that was cut"))))
	listed := filepath.Join(dir, layout.ManifestKey(res.ID))
	whole, err := os.ReadFile(listed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(manifest.Stamp) bool { return false }
	call := func(what string, cut bool, drop func(manifest.Stamp) bool, fails, keepsOrphan, keepsListed bool) {
		t.Helper()
		err := dropSafetyIf(t.Context(), local, cut, drop)
		_, orphanErr := os.Stat(orphan)
		_, listedErr := os.Stat(listed)
		if (err != nil) != fails || (orphanErr == nil) != keepsOrphan || (listedErr == nil) != keepsListed {
			t.Errorf("%s: %v; an archive of none is there: %t, the snapshot: %t", what, err, orphanErr == nil, listedErr == nil)
		}
	}
	damaged := []byte(strings.Repeat("damaged", 100))
	if err := os.WriteFile(listed, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	call("none goes, so none is read", false, none, false, true, true)
	call("one may have been cut, and one can't be read", true, none, true, true, true)
	if err := os.WriteFile(listed, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	call("none goes", false, none, false, true, true)
	call("one may have been cut", true, none, false, false, true)
	snaptest.Validate(t, res.ID, store.Store)
	call("it goes", false, func(stamp manifest.Stamp) bool { return stamp == res.ID.Stamp }, false, false, false)
	if archives, _ := filepath.Glob(filepath.Join(dir, "archives", "*")); len(archives) > 0 {
		t.Errorf("its archives stay: %q", archives)
	}
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	call("there is none", false, none, false, false, false)
}
