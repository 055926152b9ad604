//go:build race

package snapshot_test

// The race detector slows SQLite, which is compiled from C to Go, to a thirtieth.
const underRace = true
