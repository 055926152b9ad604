package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lifeboat/internal/layout"
	"lifeboat/internal/mounts"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
	"lifeboat/manifest"
)

// A unit is what changes places at once: a file, or a directory with all that is in it. A source is one unit, unless only part of it
// is restored, or something is mounted in it: what is mounted cannot be renamed, so it is its entries that change places.
type unit struct {
	path     string // in the snapshot
	source   string
	target   string // where it goes
	mount    string // the mount point that target's parent lies in
	dir      bool
	database bool     // the snapshot says that it is one
	beside   []string // paths of what is named as the logs and journals of a database at target are
	exists   bool     // there is something at target
	empty    bool     // it is a directory without entries
}

// names reports whether what is named as if it belonged to a database at the target goes with what is there. An encrypted database cannot be told from
// other files, and the log of the old one would be read into the new one.
func (un *unit) names() bool { return un != nil && (un.database || len(un.beside) > 0) }

// units are what a restore in place exchanges.
type units struct {
	targets map[string]string // of sources
	sel     *selection
	mounts  mounts.Table
	mountOf map[string]string // of directories
	list    []*unit
	byPath  map[string]*unit
	partial map[string]bool                // directories that stay where they are, while what is in them changes places
	files   map[string]bool                // sources that are one file
	beside  map[string]map[string][]string // sidecars, by directory and name of the database that they would belong to

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
	u := &units{targets: targets, sel: sel, mounts: table, mountOf: map[string]string{}, byPath: map[string]*unit{}, partial: map[string]bool{}, files: map[string]bool{},
		beside: map[string]map[string][]string{}}
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
	if len(u.list) == 0 && !slices.ContainsFunc(u.staying, sel.has) { // nothing is to be done in a mount point that is empty in the snapshot
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
	un := &unit{path: f.Path, source: manifest.SourceOf(f.Path), target: target, dir: f.Type == manifest.Directory, database: f.SQLite != nil}
	un.mount = u.mountPoint(filepath.Dir(target))
	if f.Type == manifest.Regular || f.Type == manifest.Hardlink {
		if un.beside, err = u.sidecars(target); err != nil {
			return nil, err
		}
	}
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

// sidecars returns the files beside target that are named as the logs and journals of a database there are.
func (u *units) sidecars(target string) ([]string, error) {
	dir := filepath.Dir(target)
	of, known := u.beside[dir]
	if !known {
		of = map[string][]string{}
		u.beside[dir] = of
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at the target: %w", err)
		}
		for _, e := range entries {
			if name, ok := sqlitedb.SidecarOf(e.Name()); ok && !e.IsDir() {
				of[name] = append(of[name], filepath.Join(dir, e.Name()))
			}
		}
	}
	return of[filepath.Base(target)], nil
}

// strangers returns what goes with a unit for its name alone: the snapshot has no database there, and nothing of that name.
func (u *units) strangers(un *unit) (paths []string) {
	for _, path := range un.beside {
		if !un.database && u.byPath[manifest.Parent(un.path)+"/"+filepath.Base(path)] == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// inVectorStore reports whether a directory of the snapshot is, or lies in, a vector store of which the entries change places one by one.
func (u *units) inVectorStore(dir string) bool {
	for ; dir != ""; dir = manifest.Parent(dir) {
		if u.byPath[dir+"/"+vectorStore] != nil {
			return true
		}
	}
	return false
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

// parents returns, for each mount point that units lie in, or what goes, where the work directory for these is.
func (u *units) parents(gone []swap.Member) map[string]string {
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
	for _, m := range gone {
		dir := filepath.Dir(m.Target)
		if mount := u.mountPoint(dir); parents[mount] == "" {
			parents[mount] = dir
		}
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
