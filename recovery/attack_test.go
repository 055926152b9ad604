package recovery_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/recovery/recoverytest"
)

// forge makes the hostile stores of testdata/forge.py, and returns their directory.
func forge(t *testing.T) string {
	t.Helper()
	recoverytest.Need(t)
	dir := t.TempDir()
	cmd := exec.Command("python3", filepath.Join("testdata", "forge.py"), dir)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("forge stores: %v\n%s", err, out)
	}
	return dir
}

// TestHostileStores: all digests are right, and what is written is not. Nothing may be written outside of DIR, and, but
// where only the content of a file shows it, nothing at all.
func TestHostileStores(t *testing.T) {
	dir := forge(t)
	data, err := os.ReadFile(filepath.Join(dir, "attacks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var attacks []struct{ Name, By string }
	if err := json.Unmarshal(data, &attacks); err != nil || len(attacks) < 80 {
		t.Fatalf("%d attacks: %v", len(attacks), err)
	}
	all := os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != ""
	if !all {
		t.Log("NOT ALL: each attack is made on one of the programs; LIFEBOAT_TEST_EXHAUSTIVE=1 makes it on both")
	}
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		honest := filepath.Join(t.TempDir(), "dest")
		if r := recoverytest.Run(t, script, filepath.Join(dir, "honest", "store"), "2026", honest); r.Code != 0 {
			t.Fatalf("the honest store is refused, so this test shows nothing: %d\n%s", r.Code, r.Stderr)
		}
		for i, a := range attacks {
			if onShell := i%3 == 0 && a.By != "py"; !all && onShell != (script == recoverytest.Shell) {
				continue
			}
			t.Run(a.Name, func(t *testing.T) {
				t.Parallel()
				parent := t.TempDir()
				dest := filepath.Join(parent, "dest")
				store := filepath.Join(dir, a.Name, "store")
				before := tree(t, store)
				r := recoverytest.Run(t, script, store, "2026", dest)
				mustRefuse := a.By == "both" || a.By == "py" && script == recoverytest.Python
				if (mustRefuse || a.By == "lost" || a.By == "piece") && r.Code != 4 || r.Code != 0 && r.Code != 4 {
					t.Errorf("exit code %d, want 4\n%s%s", r.Code, r.Stdout, r.Stderr)
				}
				if strings.Contains(r.Stderr, "Traceback") || strings.Contains(r.Stderr, "syntax") {
					t.Errorf("fell over:\n%s", r.Stderr)
				}
				if _, err := os.Lstat(dest); mustRefuse && !os.IsNotExist(err) {
					t.Errorf("something was written: %v", err)
				}
				if a.By == "lost" && !strings.Contains(r.Stderr, "LOST     data/") {
					t.Errorf("the lost file is not named:\n%s", r.Stderr)
				}
				if a.By == "piece" && !strings.Contains(r.Stderr, "DAMAGED  piece 1 of the files table") {
					t.Errorf("the lost piece is not named:\n%s", r.Stderr)
				}
				if i := strings.IndexFunc(r.Stdout+r.Stderr, func(c rune) bool { return c != '\n' && c != '\t' && (c < 0x20 || 0x7f <= c && c < 0xa0) }); i >= 0 {
					t.Errorf("what a terminal would act on is shown: %q", (r.Stdout + r.Stderr)[i:])
				}
				onlyDest(t, parent)
				if after := tree(t, store); after != before {
					t.Errorf("the store was changed:\n%s\n%s", before, after)
				}
			})
		}
	})
}

// tree lists everything below a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}
