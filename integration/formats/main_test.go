// Package formats_test holds the program to stores that were written before it: the golden stores in ../fixtures, which every version
// must read, and continue, for ever; and what it writes itself to the tables of docs/format.md.
package formats_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"lifeboat/recovery/recoverytest"
)

// program is the path of the real program, which TestMain builds.
var program string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lifeboat-formats-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "lifeboat")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", program, "lifeboat").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build lifeboat: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A machine is a place to run lifeboat in, which has nothing but a directory.
type machine struct {
	t   testing.TB
	dir string
}

func newMachine(t testing.TB) *machine { return &machine{t, recoverytest.TempDir(t)} }

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// run runs lifeboat, which must end with an exit code, and returns what it wrote to standard output.
func (m *machine) run(code int, args ...string) []byte {
	m.t.Helper()
	got, stdout, stderr := m.exec(args)
	if got != code {
		m.t.Fatalf("lifeboat %q: exit code %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout
}

// try runs lifeboat, and returns its exit code and all that it wrote.
func (m *machine) try(args ...string) (code int, said string) {
	m.t.Helper()
	code, stdout, stderr := m.exec(args)
	return code, string(stdout) + string(stderr)
}

func (m *machine) exec(args []string) (code int, stdout, stderr []byte) {
	m.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "HOME="+m.dir, "STATE_DIRECTORY="+m.path("state"), "TZ=UTC")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.Bytes(), errs.Bytes()
}
