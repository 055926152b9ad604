package main

import (
	"io/fs"
	"path/filepath"

	"lifeboat/snapshot"
)

// estimate returns about how many bytes sources have, for the progress bar alone.
func estimate(sources []snapshot.Source) (total int64) {
	for _, src := range sources {
		root, err := filepath.EvalSymlinks(src.Path)
		if err != nil {
			continue
		}
		filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if fi, err := e.Info(); err == nil {
				total += fi.Size()
			}
			return nil
		})
	}
	return total
}
