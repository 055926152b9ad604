package snapshot_test

import (
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// A database that was pinned before the walk is not opened by it, and has its extended attributes nevertheless.
func TestXattrsOfWhatWaits(t *testing.T) {
	dir := t.TempDir()
	if !snaptest.HasXattrs(dir) {
		t.Skip("NOT CHECKED: extended attributes: the file system has none")
	}
	path := filepath.Join(dir, "app.db")
	database(t, path, 4096, true)
	snaptest.SetXattr(t, path, "user.note", "kept")
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	found := false
	for f, err := range snaptest.Open(t, res.ID, local.Store).Files(t.Context()) {
		must(t, err)
		if f.Path == "d/app.db" {
			found = len(f.Xattrs) == 1 && f.Xattrs[0].Name == "user.note" && string(f.Xattrs[0].Value) == "kept" && f.Type == manifest.Regular
		}
	}
	if !found {
		t.Error("it has no extended attributes")
	}
}
