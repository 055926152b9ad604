//go:build !unix

package sqlitedb_test

import "testing"

func readers(t *testing.T) []reader {
	t.Log("NOT CHECKED: capture by a user who does not own the files; this system can't become one")
	return []reader{owner()}
}
