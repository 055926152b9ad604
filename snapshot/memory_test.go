//go:build linux

package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// memoryVariable makes this program capture and restore the directory "tree" in the directory that it names, and say how much
// memory that took.
const memoryVariable = "LIFEBOAT_TEST_MEMORY"

func useMemory(root string) error {
	ctx := context.Background()
	begin, err := peak()
	if err != nil {
		return err
	}
	local, _, err := localstore.Prepare(ctx, filepath.Join(root, "store"), snaptest.App, nil)
	if err != nil {
		return err
	}
	res, err := snapshot.Take(ctx, []snapshot.Source{snaptest.Directory("d", filepath.Join(root, "tree"))}, snaptest.Fill(local, snapshot.Options{}))
	if err != nil {
		return err
	}
	taken, err := peak()
	if err != nil {
		return err
	}
	snap, err := layout.OpenSnapshot(ctx, res.ID, 2, local.Store)
	if err != nil {
		return err
	}
	if _, err := restore.Run(ctx, snap, restore.Options{Target: filepath.Join(root, "target")}); err != nil {
		return err
	}
	restored, err := peak()
	if err != nil {
		return err
	}
	fmt.Println(res.Head.Files.Count, begin, taken, restored)
	return nil
}

// peak returns the most memory that this process has had, in KiB.
func peak() (kib int64, err error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(data), "VmHWM:")
	if !ok {
		return 0, fmt.Errorf("/proc/self/status has no VmHWM")
	}
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	return kib, err
}

// Memory does not grow with the number of files.
func TestMemoryOfManyFiles(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("NOT CHECKED: the memory that many files take; not with -short, and not under the race detector, which takes much itself")
	}
	const files, limit = 1000, 150 << 10 // KiB
	dirs := 40
	if os.Getenv("LIFEBOAT_TEST_LARGE") != "" {
		dirs = 200
	}
	root := t.TempDir()
	for i := range dirs {
		dir := filepath.Join(root, "tree", fmt.Sprintf("%03d", i))
		must(t, os.MkdirAll(dir, 0o755))
		for k := range files {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%d.json", k)), fmt.Appendf(nil, "[%d,%d]", i, k), 0o644))
		}
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), memoryVariable+"="+root)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var lines, begin, taken, restored int64
	_, err = fmt.Sscan(string(out), &lines, &begin, &taken, &restored)
	must(t, err)
	t.Logf("%d lines: %d KiB at the beginning, %d after the capture, %d after the restore", lines, begin, taken, restored)
	if lines != int64(dirs)*(files+1)+1 || taken-begin > limit || restored-begin > limit {
		t.Errorf("more than %d KiB over the beginning", limit)
	}
}
