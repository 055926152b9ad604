package manifest

import (
	"strings"
)

// ComparePaths orders paths as a walk meets them: component by component, bytewise, a directory
// directly before what it holds. So "a/z" comes before "a.txt".
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			switch {
			case a[i] == '/':
				return -1
			case b[i] == '/':
				return 1
			case a[i] < b[i]:
				return -1
			}
			return 1
		}
	}
	return len(a) - len(b)
}

// CheckPath reports why a path may not occur in a manifest, or nil. What it lets pass is relative, stays
// below the directory it is joined to, and has one spelling.
func CheckPath(path string) error {
	switch {
	case path == "":
		return invalid("empty path")
	case len(path) > MaxPath:
		return invalid("path of %d bytes, more than %d", len(path), MaxPath)
	case strings.IndexByte(path, 0) >= 0:
		return invalid("path %q has a NUL byte", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return invalid("path %q has a component %q", path, part)
		}
	}
	return nil
}

// Parent returns the path without its last component, or "" when there is only one.
func Parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ""
	}
	return path[:i]
}

// SourceOf returns the first component of a path, the name of its source.
func SourceOf(path string) string {
	source, _, _ := strings.Cut(path, "/")
	return source
}

// CheckName reports why a name of a source or an application is refused, or nil.
func CheckName(name string) error {
	if len(name) < 1 || len(name) > 64 {
		return invalid("name %.80q: want 1 to 64 characters", name)
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return invalid("name %q: want a lower-case letter or digit, then lower-case letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}
