package restore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A single file that is mounted into a directory can't change places. It is refused, not passed over in silence.
func TestInPlaceFileIsAMountPoint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: a single file that is mounted into a source, for which the test must run as root")
	}
	parent := snaptest.TempDir(t)
	dir, state := filepath.Join(parent, "d"), t.TempDir()
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("then"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "bound"), []byte("then"), 0o600))
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir)).ID
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("now"), 0o600))
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("now"), 0o600))
	if err := mount(outside, filepath.Join(dir, "bound"), true); err != nil {
		t.Skipf("NOT CHECKED: a single file that is mounted into a source: %v", err)
	}
	defer syscall.Unmount(filepath.Join(dir, "bound"), 0)
	before := snaptest.Walk(t, parent)
	_, err := restore.InPlace(t.Context(), snaptest.Open(t, id, local.Store), restore.InPlaceOptions{
		Targets: map[string]string{"d": dir}, State: state, App: snaptest.App, Stopped: true})
	var bad *restore.TargetError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "mount point") {
		t.Errorf("InPlace = %v", err)
	}
	same(t, before, snaptest.Walk(t, parent), 0)
}
