package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lifeboat/internal/layout"
	"lifeboat/internal/mounts"
	"lifeboat/manifest"
)

// A unit is what changes places at once: a file, or a directory with all that is in it. A source is one unit, unless only part of it
// is restored, or something is mounted in it: what is mounted cannot be renamed, so it is its entries that change places.
type unit struct {
	path   string // in the snapshot
	source string
	target string // where it goes
	mount  string // the mount point that target's parent lies in
	dir    bool
	sqlite bool
	exists bool // there is something at target
	empty  bool // it is a directory without entries
}

// units are what a restore in place exchanges.
type units struct {
	targets map[string]string // of sources
	sel     *selection
	mounts  mounts.Table
	mountOf map[string]string // of directories
	list    []*unit
	byPath  map[string]*unit
	partial map[string]bool // directories that stay where they are, while what is in them changes places
	files   map[string]bool // sources that are one file

	databases []located // in units
	staying   []string  // directories of the snapshot that are partial, in order
}

// located is something of the snapshot, and where it goes.
type located struct {
	unit *unit
	path string // on this machine
}

// findUnits decides what changes places. targets has the path of each source that is restored.
func findUnits(ctx context.Context, s *layout.Snapshot, sel *selection, targets map[string]string, table mounts.Table) (*units, error) {
	u := &units{targets: targets, sel: sel, mounts: table, mountOf: map[string]string{}, byPath: map[string]*unit{}, partial: map[string]bool{}, files: map[string]bool{}}
	for _, src := range s.Head.Sources {
		u.files[src.Name] = src.Type != manifest.DirectorySource
	}
	u.mounted()
	for f, err := range s.Files(ctx) {
		if err != nil {
			return nil, err
		}
		if targets[manifest.SourceOf(f.Path)] == "" {
			continue
		}
		if !sel.has(f.Path) {
			u.split(f.Path)
		}
	}
	for f, err := range s.Files(ctx) {
		if err != nil {
			return nil, err
		}
		// What is mounted and is no directory in the snapshot has no entries that could change places: look refuses it.
		if u.partial[f.Path] && f.Type == manifest.Directory {
			if targets[manifest.SourceOf(f.Path)] != "" {
				u.staying = append(u.staying, f.Path)
			}
			continue
		}
		un := u.unitOf(f.Path)
		if un == nil && sel.has(f.Path) {
			if un, err = u.look(f); err != nil {
				return nil, err
			}
			u.list = append(u.list, un)
			u.byPath[f.Path] = un
		}
		if un != nil && f.SQLite != nil {
			path, err := u.at(f.Path)
			if err != nil {
				return nil, err
			}
			u.databases = append(u.databases, located{un, path})
		}
	}
	if len(u.list) == 0 {
		return nil, ErrNothingSelected
	}
	return u, nil
}

// split makes a directory, and those above it in the snapshot, stay where they are.
func (u *units) split(path string) {
	for ; path != "" && !u.partial[path]; path = manifest.Parent(path) {
		u.partial[path] = true
	}
}

// mounted splits what cannot be renamed as a whole: mount points, what has one below it, and the directory of a source whose parent belongs to
// somebody else.
func (u *units) mounted() {
	for name, target := range u.targets {
		if u.files[name] {
			continue
		}
		fi, err := os.Stat(target)
		if err != nil || !fi.IsDir() {
			continue
		}
		if u.mounts.Is(target) || !mayWrite(filepath.Dir(target)) {
			u.split(name)
		}
		for _, point := range u.mounts.Below(target) {
			if rel, err := filepath.Rel(target, point); err == nil {
				u.split(name + "/" + filepath.ToSlash(rel))
			}
		}
	}
}

// unitOf returns the unit that a path of the snapshot belongs to, or nil.
func (u *units) unitOf(path string) *unit {
	for ; path != ""; path = manifest.Parent(path) {
		if un := u.byPath[path]; un != nil {
			return un
		}
	}
	return nil
}

// at returns where a path of the snapshot lies on this machine.
func (u *units) at(path string) (string, error) {
	name := manifest.SourceOf(path)
	target := u.targets[name]
	if target == "" {
		return "", fmt.Errorf("no place is known for %q", path)
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(path, name), "/")
	if u.files[name] || rel == "" {
		return target, nil
	}
	rel, err := local(rel)
	return filepath.Join(target, rel), err
}

// look finds out what is where a unit goes.
func (u *units) look(f *manifest.File) (*unit, error) {
	target, err := u.at(f.Path)
	if err != nil {
		return nil, err
	}
	if err := u.onTheWay(f.Path); err != nil {
		return nil, err
	}
	un := &unit{path: f.Path, source: manifest.SourceOf(f.Path), target: target, dir: f.Type == manifest.Directory, sqlite: f.SQLite != nil}
	un.mount = u.mountPoint(filepath.Dir(target))
	fi, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return un, nil
	case err != nil:
		return nil, fmt.Errorf("look at the target: %w", cause(err))
	}
	un.exists = true
	if u.mounts.Is(target) {
		return nil, &TargetError{Target: target, Why: "it is a mount point of its own, which cannot be exchanged; mount the directory that it lies in, or restore with --target DIR and copy it", InPlace: true}
	}
	if (u.files[un.source] || f.Type == manifest.Regular) && fi.IsDir() {
		return nil, &TargetError{Target: target, Why: "it is a directory, where the snapshot has a file; move it away, or say where else with --map " + un.source + "=PATH", InPlace: true}
	}
	if un.dir && !fi.IsDir() {
		return nil, &TargetError{Target: target, Why: "it is a file, where the snapshot has a directory; move it away, or say where else with --map " + un.source + "=PATH", InPlace: true}
	}
	if fi.IsDir() {
		entries, err := os.ReadDir(target)
		if err != nil {
			return nil, fmt.Errorf("look at the target: %w", err)
		}
		un.empty = len(entries) == 0
	}
	return un, nil
}

// onTheWay makes sure that a path of a source is reached through directories of it, and through no link that leads out of it.
func (u *units) onTheWay(path string) error {
	if u.files[manifest.SourceOf(path)] {
		return nil
	}
	for dir := manifest.Parent(path); dir != "" && manifest.Parent(dir) != ""; dir = manifest.Parent(dir) {
		at, err := u.at(dir)
		if err != nil {
			return err
		}
		fi, err := os.Lstat(at)
		if err == nil && !fi.IsDir() {
			return &TargetError{Target: at, Why: "it is no directory, as it is in the snapshot, and something in it is to be restored; move it away, or restore the whole source", InPlace: true}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("look at the target: %w", cause(err))
		}
	}
	return nil
}

// occupied returns the targets at which there is something to lose.
func (u *units) occupied() (list []string) {
	for _, un := range u.list {
		if un.exists && !un.empty {
			list = append(list, un.target)
		}
	}
	return list
}

// parents returns, for each mount point that units lie in, where the work directory of its units goes.
func (u *units) parents() map[string]string {
	parents := map[string]string{}
	for _, un := range u.list {
		if parents[un.mount] != "" {
			continue
		}
		parent := nearest(filepath.Dir(u.targets[un.source]))
		if u.mountPoint(parent) != un.mount || !mayWrite(parent) {
			parent = nearest(filepath.Dir(un.target))
		}
		parents[un.mount] = parent
	}
	return parents
}

// nearest returns path or, if it is not there, the directory above it that is.
func nearest(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// mountPoint returns the mount point that a directory lies in, whether or not the directory is there.
func (u *units) mountPoint(dir string) string {
	if point, ok := u.mountOf[dir]; ok {
		return point
	}
	point := dir
	if parent := filepath.Dir(dir); parent != dir && !u.mounts.Is(dir) {
		point = u.mountPoint(parent)
	}
	u.mountOf[dir] = point
	return point
}
