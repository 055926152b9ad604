// Package restore brings snapshots back.
//
// Everything is laid down in a staging directory beside the target, on the same file system, and nothing is where
// it is wanted before all of it is there, has the SHA-256 that the manifest says, has passed its database check, and is
// durable. Then it is moved into place by rename.
//
// A store may have been written by somebody else. So nothing is created but through an os.Root, symbolic links come last, and
// setuid, setgid and the like are left out unless they are asked for.
//
// Archives are fetched side by side, each by one ranged request where that can be, whatever order the files need them in: an
// extent is written where it belongs as it arrives. Memory is bounded by the batch of extents that is planned at once.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
)

// Options of a restore. Target is required.
type Options struct {
	Target             string   // directory that is absent or empty
	Only               []string // sources, paths or glob patterns to restore; none means all
	Except             []string // likewise, to leave out
	PrivilegedMetadata bool     // keep setuid and setgid bits
	Concurrency        int      // archives that are fetched at once; 0 means 4
	Meter              *progress.Meter
}

// A Result says what was laid down.
type Result struct {
	Stamp          manifest.Stamp `json:"stamp"`
	Target         string         `json:"target"`
	Sources        []Source       `json:"sources"`
	Files          int64          `json:"files"`
	Bytes          int64          `json:"bytes"`
	Databases      []Database     `json:"databases"`
	IntegrityOK    bool           `json:"integrity_ok"` // no database is corrupt
	IntegrityError string         `json:"integrity_error,omitempty"`
	NotKept        []string       `json:"not_kept,omitempty"` // metadata that could not be kept; at most 100
	NotKeptCount   int64          `json:"not_kept_count,omitempty"`
	Seconds        float64        `json:"seconds"`
}

// A Source is what was restored of one source.
type Source struct {
	Name  string `json:"name"`
	Path  string `json:"path"` // where it lies now
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// A Database is the outcome of one integrity check.
type Database struct {
	Path      string `json:"path"` // in the snapshot
	Integrity string `json:"integrity"`
	Detail    string `json:"detail,omitempty"`
	Captured  string `json:"captured"` // what the check at capture found
}

// NotEmptyError reports a target that has something in it. Nothing was changed.
type NotEmptyError struct{ Target string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty; give a directory that is, or one that does not exist yet", e.Target)
}

// ErrNothingSelected means that a selection leaves nothing of the snapshot.
var ErrNothingSelected = errors.New("nothing in the snapshot is selected")

// Run restores a snapshot. When it fails, the target is as it was.
func Run(ctx context.Context, s *layout.Snapshot, opts Options) (*Result, error) {
	began := time.Now()
	target, err := filepath.Abs(opts.Target)
	if err != nil {
		return nil, err
	}
	sel, err := newSelection(opts.Only, opts.Except)
	if err != nil {
		return nil, err
	}
	plan, err := makePlan(ctx, s, sel)
	if err != nil {
		return nil, err
	}
	st, err := newStaging(target, plan.bytes)
	if err != nil {
		return nil, err
	}
	defer st.discard()
	opts.Meter.Begin("restore", plan.bytes)
	res := &Result{Stamp: s.ID.Stamp, Target: target, Files: plan.files, Bytes: plan.bytes, Databases: []Database{}, IntegrityOK: true}
	l := newLayer(s, st.root, st.dir, opts, sel, res)
	if err := l.contents(ctx); err != nil {
		return nil, err
	}
	if err := l.finish(ctx); err != nil {
		return nil, err
	}
	if err := durable.SyncTree(st.dir); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := st.publish(plan.names()); err != nil {
		return nil, err
	}
	for _, src := range plan.sources {
		src.Path = filepath.Join(target, src.Name)
		res.Sources = append(res.Sources, *src)
	}
	res.sort()
	res.Seconds = time.Since(began).Seconds()
	return res, nil
}

// A plan is how much is to be laid down.
type plan struct {
	sources      []*Source
	files, bytes int64
}

// slack is what each file may need beyond its size: blocks are rounded up, and directories and inodes need room.
const slack = 4096

func makePlan(ctx context.Context, s *layout.Snapshot, sel *selection) (*plan, error) {
	p := &plan{}
	for f, err := range s.Files(ctx) {
		if err != nil {
			return nil, err
		}
		if !sel.has(f.Path) {
			continue
		}
		name := manifest.SourceOf(f.Path)
		if len(p.sources) == 0 || p.sources[len(p.sources)-1].Name != name {
			p.sources = append(p.sources, &Source{Name: name})
		}
		src := p.sources[len(p.sources)-1]
		src.Files++
		src.Bytes += f.Size
		p.files++
		p.bytes += f.Size
	}
	if p.files == 0 {
		return nil, ErrNothingSelected
	}
	return p, nil
}

func (p *plan) names() []string {
	var names []string
	for _, s := range p.sources {
		names = append(names, s.Name)
	}
	return names
}

// staging is the directory in which everything is laid down.
type staging struct {
	target string
	dir    string
	root   *os.Root
	inside bool // it lies in the target, because nothing can be made beside that
}

const stagingPrefix = ".lifeboat-restore-"

// newStaging looks whether the target may be used and makes the staging directory: beside it, so that one rename
// publishes everything; or in it, when that is a mount point or its parent belongs to somebody else.
func newStaging(target string, bytes int64) (*staging, error) {
	entries, err := os.ReadDir(target)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look at the target: %w", err)
	}
	if len(entries) > 0 {
		return nil, &NotEmptyError{target}
	}
	parent := filepath.Dir(target)
	if !exists {
		if err := durable.MkdirAll(parent, 0o755); err != nil {
			return nil, fmt.Errorf("make the directory of the target: %w", err)
		}
	}
	st := &staging{target: target}
	st.dir, err = os.MkdirTemp(parent, stagingPrefix)
	if exists && (err != nil || !sameFileSystem(parent, target)) {
		if err == nil {
			os.Remove(st.dir)
		}
		st.inside = true
		st.dir, err = os.MkdirTemp(target, stagingPrefix)
	}
	if err != nil {
		return nil, fmt.Errorf("make a staging directory: %w", err)
	}
	if st.root, err = os.OpenRoot(st.dir); err != nil {
		os.Remove(st.dir)
		return nil, err
	}
	if err := diskspace.Check(st.dir, bytes+bytes/64+slack); err != nil {
		st.discard()
		return nil, err
	}
	return st, nil
}

// publish moves what is staged to where it is wanted.
func (st *staging) publish(names []string) error {
	if st.inside {
		for _, name := range names {
			if err := durable.Rename(filepath.Join(st.dir, name), filepath.Join(st.target, name)); err != nil {
				return fmt.Errorf("move %s into place: %w", name, err)
			}
		}
		return durable.SyncDir(st.target)
	}
	mode := fs.FileMode(0o755)
	if fi, err := os.Stat(st.target); err == nil {
		mode = fi.Mode().Perm()
		if err := os.Remove(st.target); err != nil {
			return &NotEmptyError{st.target}
		}
	}
	if err := os.Chmod(st.dir, mode); err != nil {
		return err
	}
	st.root.Close()
	if err := durable.Rename(st.dir, st.target); err != nil {
		return fmt.Errorf("move into place: %w", err)
	}
	return nil
}

// discard removes what is left of the staging directory. After publish there is nothing, or an empty directory.
func (st *staging) discard() {
	st.root.Close()
	if err := os.RemoveAll(st.dir); err != nil {
		makeRemovable(st.dir)
		os.RemoveAll(st.dir)
	}
}

// makeRemovable gives the owner write permission to the directories below dir, which may have been restored without.
func makeRemovable(dir string) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
}
