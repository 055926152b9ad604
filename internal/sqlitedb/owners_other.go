//go:build !unix

package sqlitedb

// keepOwners has nothing to do where files have no owners that SQLite would change.
func keepOwners() error { return nil }
