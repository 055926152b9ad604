//go:build !linux

package main

import "testing"

// mount is for Linux.
func mount(t *testing.T, dir string, size int, options ...string) {
	t.Skip("NOT CHECKED: a file system that is full, or read-only: on Linux only")
}
