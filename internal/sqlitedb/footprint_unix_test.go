//go:build unix

package sqlitedb_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const nobody = 65534

// readers are we, and somebody who may read the files but not write to them, nor to their directory.
func readers(t *testing.T) []reader {
	if os.Geteuid() != 0 {
		t.Log("NOT CHECKED: capture by a user who does not own the files; only root can become one")
		return []reader{owner()}
	}
	binary := publicBinary(t)
	stranger := reader{"stranger", func(t *testing.T, args ...string) error {
		cmd := command(t, "capture", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Path = binary
		return cmd.Run()
	}, func(t *testing.T) string {
		dir := open(t, t.TempDir())
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		return dir
	}}
	return []reader{owner(), stranger}
}

// publicBinary copies the test binary to where other users can run it.
func publicBinary(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(open(t, t.TempDir()), "capture")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
