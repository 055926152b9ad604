package main

import (
	"os"
	"path/filepath"

	"lifeboat/internal/keep"
	"lifeboat/internal/layout"
)

// keptName is the directory, in a local store, of what was read from remotes and does not change.
const keptName = "kept"

// keeper returns where what was read from remotes is kept: in the local store, or without one in the user's directory for such things; nil if there is
// neither.
func (s *session) keeper() layout.Keeper {
	cfg, err := s.config(nil)
	if err != nil {
		return nil
	}
	if dir, _, err := s.localDir(cfg); err == nil {
		if _, err := os.Stat(filepath.Join(dir, layout.MarkerKey)); err == nil {
			return keep.In(filepath.Join(dir, keptName))
		}
	}
	if dir := s.env.CacheDir(); dir != "" {
		return keep.In(filepath.Join(dir, "lifeboat"))
	}
	return nil
}
