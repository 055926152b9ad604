package snapshot

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// CheckExclude reports a pattern that can match nothing because it is malformed.
func CheckExclude(pattern string) error {
	if pattern == "" || !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("exclude pattern %q is malformed", pattern)
	}
	return nil
}

// excluded reports whether a path below a source's root is left out. A pattern without a slash is matched with the name
// at any depth, one with a slash with the whole path; `**` stands for any number of directories, as in doublestar. What lies below an excluded directory is
// excluded with it.
func excluded(patterns []string, rel string) bool {
	for _, p := range patterns {
		name := rel
		if !strings.Contains(strings.TrimSuffix(p, "/"), "/") {
			name = path.Base(rel)
		}
		p = strings.Trim(p, "/")
		if ok, err := doublestar.Match(p, name); err == nil && ok {
			return true
		}
	}
	return false
}
