//go:build !unix

package sqlitedb_test

import (
	"os/exec"
	"testing"
)

func readers(t *testing.T) []reader {
	t.Log("NOT CHECKED: capture by a user who does not own the files; this system can't become one")
	return []reader{{"owner", func(*exec.Cmd) {}, func(t *testing.T) string { return t.TempDir() }}}
}
