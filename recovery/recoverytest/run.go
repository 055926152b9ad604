// Package recoverytest runs recover.sh and recover.py in tests, and compares what they rebuilt with what was expected.
//
// The programs are the ones that [recovery.Files] returns, not the copies in the store. They are run for real, with the
// sh, jq, zstd, sha256sum and python3 of the machine; when one of these is missing, the test fails and says so. They are
// tested on Linux, and a test is skipped on other systems: macOS cannot hold names that are not UTF-8.
package recoverytest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lifeboat/recovery"
)

// Script is one of the two recovery programs.
type Script string

// The two programs. [Run] takes either.
const (
	Shell  Script = "sh"
	Python Script = "py"
)

// Scripts returns both programs, for tests that run each.
func Scripts() []Script { return []Script{Shell, Python} }

// Result is what a run of a program came to.
type Result struct {
	// Code is the exit code; the head of each program lists their meanings.
	Code int
	// Stdout and Stderr are everything that it wrote.
	Stdout, Stderr string
}

// Need fails the test unless the programs that the scripts run are installed, and skips it where it cannot pass.
func Need(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skipf("NOT CHECKED: recover.sh and recover.py on %s; their tests are for Linux", runtime.GOOS)
	}
	var missing []string
	for _, program := range []string{"sh", "jq", "zstd", "sha256sum", "dd", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("the recovery programs cannot be tested without %s: install jq, zstd, coreutils and python3", strings.Join(missing, ", "))
	}
}

// Run rebuilds the snapshot stamp of the store in the directory store into dest, and returns what came of it; any exit
// code is a result. The program stands in the store as somebody would who recovers it. Each env is NAME=VALUE; an empty
// store means that LIFEBOAT_FETCH is among them. With an empty stamp and dest, the program lists the snapshots.
func Run(t testing.TB, script Script, store, stamp, dest string, env ...string) Result {
	t.Helper()
	Need(t)
	dir := t.TempDir()
	for _, f := range recovery.Files() {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := "sh"
	if script == Python {
		program = "python3"
	}
	args := []string{filepath.Join(dir, "recover."+string(script))}
	if stamp != "" || dest != "" {
		args = append(args, stamp, dest)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = store
	if store == "" {
		cmd.Dir = t.TempDir()
	}
	cmd.Env = append(os.Environ(), "LIFEBOAT_FETCH=", "LIFEBOAT_PRIVILEGED=", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", args[0], err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// TempDir is t.TempDir for a directory into which a snapshot is recovered: it can be removed after the test even when
// directories in it are read-only and the test does not run as root.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		// A directory that cannot be opened up is left for t.TempDir to complain about.
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}
