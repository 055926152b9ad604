// Package mounts tells which names are mount points. What is one can't be renamed nor removed, only what lies in it: a volume of a
// container, or a single file that was bound into it.
//
// On Linux the kernel's list is read, so that a bind mount of the same device is seen. On other systems a name is taken for a mount point
// if its device is another than that of the directory that it is in.
package mounts

import "path/filepath"

// A Table is the mount points as they were at one moment. Its zero value knows of none.
type Table struct {
	points []string // absolute, without symbolic links, sorted; unused where devices are compared
}

// Points returns the mount points that this process sees.
func Points() (Table, error) { return points() }

// Is reports whether path is a mount point. A symbolic link to one is none: it can be renamed.
func (t Table) Is(path string) bool { return t.is(resolve(path)) }

// Below returns the mount points below path, without path itself, as absolute names in order. Symbolic links below path are not followed. Where
// the system keeps no list, directories that can't be read are passed over.
func (t Table) Below(path string) []string { return t.below(resolve(path)) }

// resolve makes a name absolute and follows the symbolic links on the way to it, but not that which it may be
// itself. What can't be followed stays as it is.
func resolve(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil || filepath.Dir(path) == path {
		return path
	}
	return filepath.Join(dir, filepath.Base(path))
}
