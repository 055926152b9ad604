//go:build !linux

package mounts

import (
	"io/fs"
	"path/filepath"
)

func points() (Table, error) { return Table{}, nil }

func (Table) is(path string) bool { return isPoint(path) }

func (Table) below(path string) (all []string) {
	_ = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it can't be read, so nothing below it is known
		}
		if name != path && isPoint(name) {
			all = append(all, name)
		}
		return nil
	})
	return all
}
