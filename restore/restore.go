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
// extent is written where it belongs as it arrives. Memory is bounded by what is planned at once.
package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
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
	PrivilegedMetadata bool     // keep setuid and setgid bits, and extended attributes that give rights
	Owner              Owner    // default OwnerAuto
	Concurrency        int      // archives that are fetched at once; 0 means 4
	Checkers           int      // databases that are checked at once, which takes some 20 MiB each; at most 2, which is what 0 means
	Meter              *progress.Meter

	// Salvage brings back what can be read, and lists what cannot, in place of failing. Files of which a part is lost get another name.
	Salvage bool

	memory int64 // that a plan may take, in bytes; 0 means planMemory

	reuse func(path string) string // where a file of the snapshot may lie on this machine already; "" when nowhere
}

// A Result says what was laid down.
type Result struct {
	Stamp          manifest.Stamp `json:"stamp"`
	Target         string         `json:"target,omitempty"` // "" when each source has its own
	Sources        []Source       `json:"sources"`
	Files          int64          `json:"files"`
	Bytes          int64          `json:"bytes"`
	Databases      []Database     `json:"databases"`
	IntegrityOK    bool           `json:"integrity_ok"`       // no database is corrupt
	IntegrityError string         `json:"integrity_error"`    // "" when there is none
	OwnersKept     bool           `json:"owners_kept"`        // or none were wanted
	NotKept        []NotKept      `json:"not_kept,omitempty"` // metadata that could not be kept; at most 100 kinds of it
	NotKeptCount   int64          `json:"not_kept_count,omitempty"`
	Seconds        float64        `json:"seconds"`
	Salvaged       *Salvaged      `json:"salvage,omitempty"` // only when that was asked for
	Times          Times          `json:"-"`
	Contents       int64          `json:"-"` // of Files, those that have content of their own, which was hashed
}

// Times is where the time of Run went, one part after the other.
type Times struct {
	Plan   time.Duration // the tables were read
	Fetch  time.Duration // content came, and was written; digests and databases were checked meanwhile
	Check  time.Duration // what was left of these checks when the last byte had come
	Finish time.Duration // links, metadata, and until all was durable and in place
}

// NotKept is something that files lost on the way.
type NotKept struct {
	Path  string `json:"path"` // the first of them, in the snapshot
	What  string `json:"what"`
	Files int64  `json:"files"` // how many lost it
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

	Facts *manifest.SQLite `json:"-"` // what was recorded at capture
	Size  int64            `json:"-"` // in bytes
}

// NotEmptyError reports a target that has something in it. Nothing was changed.
type NotEmptyError struct {
	Target     string
	Unfinished string // name of a directory in it in which a restore works, or was killed; may be ""
}

func (e *NotEmptyError) Error() string {
	if e.Unfinished != "" {
		return fmt.Sprintf("%s is not empty: it has an unfinished restore in it (%s). If none is running, remove what is there, or give another directory", e.Target, e.Unfinished)
	}
	return e.Target + " is not empty"
}

// A TargetError reports that a target is no directory and cannot become one.
type TargetError struct {
	Target, Why string
	InPlace     bool // of a restore in place; Why says what to do
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("cannot restore into %s: %s", e.Target, e.Why)
}

// ErrNothingSelected means that a selection leaves nothing of the snapshot.
var ErrNothingSelected = errors.New("nothing in the snapshot is selected")

// Run restores a snapshot. When it fails, the target is as it was.
func Run(ctx context.Context, s *layout.Snapshot, opts Options) (*Result, error) {
	began := time.Now()
	opts.Owner = cmp.Or(opts.Owner, OwnerAuto)
	if !slices.Contains(Owners, opts.Owner) {
		return nil, fmt.Errorf("owner %q: want auto, names, numbers or current", opts.Owner)
	}
	target, err := filepath.Abs(opts.Target)
	if err != nil {
		return nil, err
	}
	sel, err := newSelection(opts.Only, opts.Except)
	if err != nil {
		return nil, err
	}
	var sv *salvage
	plan, err := makePlan(ctx, s, sel)
	if opts.Salvage {
		sv = newSalvage(s)
		plan, err = sv.plan(ctx, sel)
	}
	if err != nil {
		return nil, err
	}
	st, err := newStaging(target)
	if err != nil {
		return nil, err
	}
	defer st.discard()
	tree, err := durable.OpenTree(st.dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	if err := plan.check(ctx, s, st.dir, opts.Salvage); err != nil {
		return nil, err
	}
	opts.Meter.Begin("restore", plan.bytes)
	res := &Result{Stamp: s.ID.Stamp, Target: target, Files: plan.files, Contents: plan.contents, Bytes: plan.bytes, Databases: []Database{}, IntegrityOK: true, OwnersKept: true}
	l := newLayer(s, st.root, st.dir, opts, plan, res)
	l.salvage = sv
	planned := time.Now()
	if err := l.contents(ctx); err != nil {
		return nil, err
	}
	if err := sv.lay(ctx, l); err != nil {
		return nil, err
	}
	checked := time.Now()
	if err := l.finish(ctx); err != nil {
		return nil, err
	}
	sv.report(res, plan)
	if err := tree.SyncAll(st.dir); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := st.publish(plan.names()); err != nil {
		return nil, err
	}
	for _, src := range plan.sources {
		src.Path = filepath.Join(st.target, src.Name)
		res.Sources = append(res.Sources, *src)
	}
	res.sort()
	slices.SortFunc(res.NotKept, func(a, b NotKept) int {
		return cmp.Or(manifest.ComparePaths(a.Path, b.Path), cmp.Compare(a.What, b.What))
	})
	took := time.Since(began)
	res.Seconds = took.Seconds()
	res.Times = Times{Plan: planned.Sub(began), Fetch: l.fetched.Sub(planned), Check: checked.Sub(l.fetched), Finish: took - checked.Sub(began)}
	return res, nil
}

// A plan is what is to be laid down, and how much that is.
type plan struct {
	sel          *selection
	sources      []*Source
	files, bytes int64
	contents     int64 // regular files
	largest      int64 // bytes of the largest file

	lines lines // of the files table

	// heirs are, for each file that is not selected but has another name that is, the first such name: it gets the content,
	// and those after it are links to it.
	heirs map[string]string
}

// place returns under which path the content of a line is wanted, or "".
func (p *plan) place(f *manifest.File) string {
	if p.sel.has(f.Path) {
		return f.Path
	}
	return p.heirs[f.Path]
}

// lines yields the files table, or what can be read of it.
type lines func(ctx context.Context) iter.Seq2[*manifest.File, error]

func makePlan(ctx context.Context, s *layout.Snapshot, sel *selection) (*plan, error) {
	p, err := planOf(ctx, sel, s.Files)
	if err != nil {
		return nil, err
	}
	for _, err := range s.Archives(ctx) { // which is looked into piece by piece later, and is to be whole before
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func planOf(ctx context.Context, sel *selection, all lines) (*plan, error) {
	p := &plan{sel: sel, lines: all, heirs: map[string]string{}}
	for f, err := range all(ctx) {
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
		p.files++
		p.sources[len(p.sources)-1].Files++
		p.add(f)
		if f.Type == manifest.Hardlink && !sel.has(f.Link) && p.heirs[f.Link] == "" {
			p.heirs[f.Link] = f.Path
		}
	}
	if err := p.inherit(ctx); err != nil {
		return nil, err
	}
	if p.files == 0 {
		return nil, ErrNothingSelected
	}
	return p, nil
}

// add counts the bytes of a line.
func (p *plan) add(f *manifest.File) {
	at := slices.IndexFunc(p.sources, func(s *Source) bool { return s.Name == manifest.SourceOf(f.Path) })
	p.sources[at].Bytes += f.Size
	p.bytes += f.Size
	if f.Type == manifest.Regular {
		p.contents++
	}
	p.largest = max(p.largest, f.Size)
}

// inherit counts the bytes of files that go to an heir; such a file comes before its other names.
func (p *plan) inherit(ctx context.Context) error {
	if len(p.heirs) == 0 {
		return nil
	}
	for f, err := range p.lines(ctx) {
		if err != nil {
			return err
		}
		if p.heirs[f.Path] != "" {
			p.add(f)
		}
	}
	return nil
}

// slack is what each file may need beyond its size: blocks are rounded up, and directories and inodes need room.
const slack = 4096

// check reports that what is planned would not fit into dir. Only if it seems so are the extents looked at: runs of zeros take
// no space, but to count them all maps must be read.
func (p *plan) check(ctx context.Context, s *layout.Snapshot, dir string, salvaging bool) error {
	if diskspace.Check(dir, p.bytes+p.files*slack) == nil {
		return nil
	}
	need := p.files * slack
	for f, err := range p.lines(ctx) {
		if err != nil {
			return err
		}
		if p.place(f) == "" {
			continue
		}
		for e, err := range s.Extents(ctx, f) {
			if err != nil && !(salvaging && layout.AboutData(err)) {
				return err
			}
			if !e.IsZeros() {
				need += e.Len
			}
		}
	}
	err := diskspace.Check(dir, need)
	var full *diskspace.NotEnoughError
	if errors.As(err, &full) {
		full.Path = filepath.Dir(dir) // the staging directory is gone by the time that somebody reads this
	}
	return err
}

func (p *plan) names() []string {
	var names []string
	for _, s := range p.sources {
		names = append(names, s.Name)
	}
	return names
}
