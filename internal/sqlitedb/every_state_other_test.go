//go:build !unix

package sqlitedb_test

import "testing"

func readers(t *testing.T) []reader {
	t.Log("NOT CHECKED: capture by a user who does not own the files, or in a directory that is read-only; this system has no such users")
	return []reader{owner()}
}

// otherOwners are none, for want of owners.
func otherOwners() []state { return nil }

// identity returns nothing: this system has no inodes, nor a time of change.
func identity(*testing.T, string) (inode, changed string) { return "", "" }
