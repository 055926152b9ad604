package restore

import (
	"fmt"

	"github.com/bmatcuk/doublestar/v4"

	"lifeboat/manifest"
)

// A selection decides which paths of a snapshot are meant. A pattern means the path that it names and all below it;
// `*` and `?` stand for what they stand for in a shell, `**` for any number of directories.
type selection struct {
	only, except []string
	among        func(path string) bool // of what they mean, only this; nil means all of it
}

func newSelection(only, except []string) (*selection, error) {
	for _, p := range append(append([]string{}, only...), except...) {
		if !doublestar.ValidatePattern(p) {
			return nil, fmt.Errorf("pattern %q is malformed", p)
		}
	}
	return &selection{only: only, except: except}, nil
}

func (s *selection) has(path string) bool {
	return (len(s.only) == 0 || matches(s.only, path)) && !matches(s.except, path) && (s.among == nil || s.among(path))
}

// matches reports whether a pattern fits a path or a directory that it lies in.
func matches(patterns []string, path string) bool {
	for ; path != "" && len(patterns) > 0; path = manifest.Parent(path) {
		for _, p := range patterns {
			if p == path {
				return true
			}
			if ok, err := doublestar.Match(p, path); err == nil && ok {
				return true
			}
		}
	}
	return false
}
