//go:build unix

package restore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/recovery/recoverytest"
	"lifeboat/remote"
	"lifeboat/restore"
)

// directory opens the store in a directory that is there.
func directory(t *testing.T, path string) layout.Store {
	t.Helper()
	dir, err := remote.NewDir(path, remote.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return layout.Store{Store: dir}
}

// Stores that another program wrote from the specification alone, with what must come out of each of their snapshots.
func TestHandMadeStores(t *testing.T) {
	expected, err := filepath.Glob("../testdata/stores/*/*.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	restored := 0
	for _, path := range expected {
		want := recoverytest.ReadExpected(t, path)
		for _, f := range want.Files {
			if f.Path == "data/empty" { // belongs to user and group "root" by name, and to another number
				*f.UID, *f.GID = 0, 0
			}
		}
		store := directory(t, filepath.Join(filepath.Dir(path), "store"))
		id, err := manifest.ParseID(want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !lists(t, store, id) {
			t.Logf("%s is not listed: it was removed", id.Stamp)
			continue
		}
		t.Run(filepath.Base(filepath.Dir(path))+"/"+string(id.Stamp), func(t *testing.T) {
			snaptest.Validate(t, id, store)
			target := snaptest.Restore(t, id, restore.Options{PrivilegedMetadata: true}, store)
			missing, wrong := want.Compare(target, false)
			if len(missing) > 0 || len(wrong) > 0 {
				t.Errorf("missing:\n%s\nwrong:\n%s", strings.Join(missing, "\n"), strings.Join(wrong, "\n"))
			}
		})
		restored++
	}
	if restored < 5 {
		t.Errorf("%d snapshots were restored, of %d descriptions", restored, len(expected))
	}
}

func lists(t *testing.T, store layout.Store, id manifest.ID) bool {
	t.Helper()
	_, err := os.Stat(strings.TrimPrefix(store.String(), "file://") + "/" + layout.ManifestKey(id))
	return err == nil
}
