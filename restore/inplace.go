package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/durable"
	"lifeboat/internal/inuse"
	"lifeboat/internal/layout"
	"lifeboat/internal/mounts"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
	"lifeboat/manifest"
)

// InPlaceOptions of a restore over what is there. Targets and State are required.
type InPlaceOptions struct {
	Options                   // but for Target
	Targets map[string]string // the path of each source that is restored: of its file, or its directory
	State   string            // directory of the journals, which only this user may read
	App     string

	Stopped     bool          // somebody has said that nothing uses what is there
	DeleteExtra bool          // directories hold only what the snapshot has in them
	KeepOld     time.Duration // how long Undo will be possible; 0 means not at all
	// Save takes a safety snapshot of sources that are about to be replaced. nil means that none is wanted.
	Save   func(ctx context.Context, sources []Current) (*Saved, error)
	SaveIn string // directory that Save writes to, for PreviewInPlace; "" when nothing is saved
}

// Current is a source as it is on this machine.
type Current struct{ Name, Path string }

// Saved is what Save has saved.
type Saved struct {
	Stamp   manifest.Stamp
	Damaged []string // what in it is corrupt, or could not be captured
}

// inPlace is one restore in place.
type inPlace struct {
	snap  *layout.Snapshot
	opts  InPlaceOptions
	units *units
	gone  []swap.Member // what goes, and nothing comes for it
	res   *InPlaceResult
	swap  *swap.Swap
	work  map[string]string // the directories that are staged in, by mount point
}

// InPlace restores a snapshot over what is there. Everything is laid down and verified in work directories on the same file systems
// first; then the old and the new change places under a journal (see package swap), so that a crash at any point leaves a state from which Resume leads
// to the new one and Undo to the old. When InPlace fails before that, nothing was changed.
func InPlace(ctx context.Context, s *layout.Snapshot, opts InPlaceOptions) (*InPlaceResult, error) {
	began := time.Now()
	opts.Owner = cmp.Or(opts.Owner, OwnerAuto)
	if unfinished, err := swap.Unfinished(opts.State); err != nil {
		return nil, err
	} else if unfinished != nil {
		return nil, &UnfinishedError{unfinished}
	}
	r := &inPlace{snap: s, opts: opts, work: map[string]string{}}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	if len(r.units.list)+len(r.gone) == 0 {
		return r.nothing()
	}
	if err := r.allowed(); err != nil {
		return nil, err
	}
	if occupied := r.occupied(); len(occupied) > 0 && !opts.Stopped {
		return nil, &OccupiedError{occupied}
	}
	if err := r.idle(); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	members, err := r.prepare(ctx)
	if err != nil {
		return nil, errors.Join(err, r.swap.Abandon())
	}
	if err := r.swap.Commit(members); err != nil {
		var half *swap.CommitError
		switch {
		case !errors.As(err, &half):
			err = errors.Join(err, r.swap.Abandon())
		case half.Back:
			err = errors.Join(err, r.swap.Purge())
		}
		return nil, err
	}
	if err := r.postCheck(ctx); err != nil {
		return nil, err
	}
	if opts.KeepOld > 0 {
		until := time.Now().Add(opts.KeepOld).UTC().Truncate(time.Second)
		r.res.UndoUntil = &until
	} else if err := r.swap.Purge(); err != nil {
		r.res.Warnings = append(r.res.Warnings, "what was there before could not be removed: "+err.Error())
	}
	r.res.sort()
	r.res.Seconds = time.Since(began).Seconds()
	return r.res, nil
}

// look decides what changes places.
func (r *inPlace) look(ctx context.Context) error {
	sel, err := newSelection(r.opts.Only, r.opts.Except)
	if err != nil {
		return err
	}
	targets := map[string]string{}
	for name, path := range r.opts.Targets {
		if targets[name], err = resolve(path); err != nil {
			return err
		}
	}
	if err := apart(targets); err != nil {
		return err
	}
	table, err := mounts.Points()
	if err != nil {
		return err
	}
	if r.units, err = findUnits(ctx, r.snap, sel, targets, table); err != nil {
		return err
	}
	r.gone, err = r.leftovers()
	return err
}

// resolve follows symbolic links, as far as there is something at path.
func resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("target %q is no absolute path", path)
	}
	path = filepath.Clean(path)
	real, err := filepath.EvalSymlinks(path)
	switch {
	case err == nil:
		return real, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", &TargetError{Target: path, Why: cause(err).Error(), InPlace: true}
	case path == filepath.Dir(path):
		return path, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return "", &TargetError{Target: path, Why: "it is a symbolic link that leads nowhere", InPlace: true}
	}
	parent, err := resolve(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// apart makes sure that no source goes into another one.
func apart(targets map[string]string) error {
	for a, pathA := range targets {
		for b, pathB := range targets {
			if a != b && (pathA == pathB || strings.HasPrefix(pathB, strings.TrimSuffix(pathA, string(filepath.Separator))+string(filepath.Separator))) {
				return &TargetError{Target: pathB, Why: fmt.Sprintf("%s would lie in %s, which goes to %s; restore them one after the other, with --only", b, a, pathA), InPlace: true}
			}
		}
	}
	return nil
}

// idle makes sure that no process has open what is about to be replaced, as far as this process may see the others.
func (r *inPlace) idle() error {
	var paths []string
	for _, un := range r.units.list {
		if un.exists {
			paths = append(paths, un.target)
		}
		if un.names() {
			paths = append(paths, sqlitedb.Sidecars(un.target)...)
		}
	}
	for _, m := range r.gone {
		paths = append(paths, m.Target)
	}
	return Idle(paths)
}

// Idle reports an *InUseError when a process has any of paths open, or what lies in them.
func Idle(paths []string) error {
	holders, _, err := inuse.Find(paths)
	if err != nil {
		return fmt.Errorf("find out who uses what would be replaced: %w", err)
	}
	if len(holders) > 0 {
		return &InUseError{Holders: holders}
	}
	return nil
}

// begin makes the work directories, and notes which directories are missing.
func (r *inPlace) begin() error {
	parents := r.units.parents(r.gone)
	list := slices.Compact(slices.Sorted(maps.Values(parents)))
	info := swap.Info{App: r.opts.App, Stamp: string(r.snap.ID.Stamp), KeepOld: r.opts.KeepOld, Command: "restore", Targets: r.units.targets}
	var err error
	if r.swap, err = swap.Begin(r.opts.State, info, list); err != nil {
		return fmt.Errorf("prepare the exchange: %w", err)
	}
	for mount, parent := range parents {
		r.work[mount] = r.swap.Work(parent)
	}
	var missing []string
	for _, un := range r.units.list {
		missing = append(missing, absent(filepath.Dir(un.target))...)
	}
	slices.Sort(missing) // which puts a directory before what lies in it
	if missing = slices.Compact(missing); len(missing) == 0 {
		return nil
	}
	if err := r.swap.Made(missing); err != nil {
		return errors.Join(err, r.swap.Abandon())
	}
	return nil
}

// absent returns the directories that are missing for path to be one, outermost first.
func absent(path string) (list []string) {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			slices.Reverse(list)
			return list
		}
		list = append(list, path)
		path = filepath.Dir(path)
	}
}

// prepare lays everything down and verifies it, saves what is there, and returns what is to change places. Nothing has changed by then but that
// the logs of old databases may have been played into them.
func (r *inPlace) prepare(ctx context.Context) ([]swap.Member, error) {
	total := r.total()
	r.res = &InPlaceResult{Result: total, Swap: r.swap.ID()}
	plans := map[string]*plan{}
	for _, mount := range r.mounts() {
		sel := *r.units.sel
		sel.among = func(path string) bool {
			un := r.units.unitOf(path)
			return un != nil && un.mount == mount
		}
		p, err := makePlan(ctx, r.snap, &sel)
		if errors.Is(err, ErrNothingSelected) { // something goes there, and nothing comes
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := p.check(ctx, r.snap, r.work[mount], false); err != nil {
			return nil, err
		}
		plans[mount] = p
		total.Bytes += p.bytes
	}
	r.opts.Meter.Begin("restore", total.Bytes)
	trees, err := openTrees(r.work)
	defer trees.close()
	if err != nil {
		return nil, err
	}
	for _, mount := range slices.Sorted(maps.Keys(plans)) {
		if err := r.stage(ctx, plans[mount], r.work[mount]); err != nil {
			return nil, err
		}
	}
	total.Sources = r.everySource(total.Sources)
	if !total.IntegrityOK {
		return nil, &CorruptError{total.IntegrityError}
	}
	if err := r.extras(ctx); err != nil {
		return nil, err
	}
	if err := trees.sync(); err != nil {
		return nil, err
	}
	if err := r.save(ctx, trees); err != nil {
		return nil, err
	}
	if err := r.quiesce(ctx); err != nil {
		return nil, err
	}
	if r.gone, err = r.leftovers(); err != nil {
		return nil, err
	}
	if err := r.idle(); err != nil { // once more: it may have been started meanwhile
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.members()
}

// mounts returns the mount points that units lie in, in order.
func (r *inPlace) mounts() []string {
	return slices.Sorted(maps.Keys(r.work))
}

// stage lays down the part of the snapshot that goes to one mount point.
func (r *inPlace) stage(ctx context.Context, p *plan, work string) error {
	dir := staged(work)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	opts := r.opts.Options
	opts.reuse = func(path string) string {
		at, err := r.units.at(path)
		if err != nil {
			return ""
		}
		return at
	}
	res := &Result{IntegrityOK: true, OwnersKept: true}
	l := newLayer(r.snap, root, dir, opts, p, res)
	if err := l.contents(ctx); err != nil {
		return err
	}
	if err := l.finish(ctx); err != nil {
		return err
	}
	t := r.res.Result
	t.Files += p.files
	t.Databases = append(t.Databases, res.Databases...)
	t.NotKept, t.NotKeptCount = append(t.NotKept, res.NotKept...), t.NotKeptCount+res.NotKeptCount
	t.OwnersKept = t.OwnersKept && res.OwnersKept
	if !res.IntegrityOK {
		t.IntegrityOK, t.IntegrityError = false, res.IntegrityError
	}
	r.res.Reused += l.reuses.Load()
	for _, src := range p.sources {
		src.Path = r.units.targets[src.Name]
		if at := slices.IndexFunc(t.Sources, func(s Source) bool { return s.Name == src.Name }); at >= 0 {
			t.Sources[at].Files += src.Files
			t.Sources[at].Bytes += src.Bytes
			continue
		}
		t.Sources = append(t.Sources, *src)
	}
	return nil
}

// staged is where in a work directory the new state is laid down.
func staged(work string) string { return filepath.Join(work, "new") }

// stagedAt returns where a unit is staged.
func (r *inPlace) stagedAt(un *unit) (string, error) {
	rel, err := local(un.path)
	return filepath.Join(staged(r.work[un.mount]), rel), err
}

// trees are the directories in which everything is prepared, one for each file system.
type trees map[string]*durable.Tree

// openTrees opens them. Whatever it returns is to be closed.
func openTrees(work map[string]string) (trees, error) {
	ts := trees{}
	for _, dir := range work {
		t, err := durable.OpenTree(dir)
		if err != nil {
			return ts, err
		}
		ts[dir] = t
	}
	return ts, nil
}

func (ts trees) sync() error {
	for dir, t := range ts {
		if err := t.SyncAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (ts trees) close() {
	for _, t := range ts {
		t.Close()
	}
}

// save takes the safety snapshot, and keeps raw copies of what could not be captured.
func (r *inPlace) save(ctx context.Context, trees trees) error {
	if r.opts.Save == nil {
		return nil
	}
	current := r.current()
	if len(current) == 0 {
		return nil
	}
	saved, err := r.opts.Save(ctx, current)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if diskspace.Full(err) {
		return fmt.Errorf("save the current state: %w", err)
	}
	if err != nil {
		r.warn("the current state could not be captured: %v", err)
		saved = &Saved{Damaged: []string{"all of it"}}
	}
	if saved.Stamp != "" {
		r.res.PreRestoreSnapshot = &saved.Stamp
		if err := r.swap.SetSafety(string(saved.Stamp)); err != nil {
			return err
		}
	}
	err = r.databases(func(_ *unit, path string) error {
		if !isDatabaseFile(path) {
			saved.Damaged = append(saved.Damaged, path+" is no database")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(saved.Damaged) > 0 {
		r.warn("the current state is damaged (%s); raw copies of its databases are kept as well", strings.Join(saved.Damaged, ", "))
		if err := r.rawCopies(); err != nil {
			return err
		}
		if err := trees.sync(); err != nil { // before anything touches the originals
			return err
		}
	}
	return nil
}

func (r *inPlace) warn(format string, args ...any) {
	r.res.Warnings = append(r.res.Warnings, fmt.Sprintf(format, args...))
}

// rawCopies keeps every database that is about to be replaced as it is, with all that lies beside it, before anything opens it for writing.
func (r *inPlace) rawCopies() error {
	return r.databases(func(un *unit, path string) error {
		rel, err := filepath.Rel(r.units.targets[un.source], path)
		if err != nil {
			return err
		}
		into := filepath.Join(r.work[un.mount], "raw", un.source, filepath.Dir(rel))
		if err := os.MkdirAll(into, 0o700); err != nil {
			return err
		}
		beside, err := sqlitedb.Beside(path)
		if err != nil {
			return err
		}
		for _, name := range append([]string{path}, beside...) {
			to := filepath.Join(into, filepath.Base(name))
			if err := new(copier).copy(name, to); err != nil {
				return fmt.Errorf("keep a raw copy of %s: %w", name, err)
			}
			r.res.RawCopies = append(r.res.RawCopies, to)
		}
		return nil
	})
}

// databases calls fn for each database of the snapshot that has a file where it goes.
func (r *inPlace) databases(fn func(un *unit, path string) error) error {
	for _, db := range r.units.databases {
		if fi, err := os.Lstat(db.path); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if err := fn(db.unit, db.path); err != nil {
			return err
		}
	}
	return nil
}

// quiesce plays logs and journals into the old databases. That one is busy means that it is in use after all.
func (r *inPlace) quiesce(ctx context.Context) error {
	return r.databases(func(_ *unit, path string) error {
		done, note, err := sqlitedb.Quiesce(ctx, path)
		if busy, ok := errors.AsType[*sqlitedb.BusyError](err); ok {
			return &InUseError{Why: busy.Error()}
		}
		if err != nil {
			return err
		}
		r.res.Quiesced = append(r.res.Quiesced, Quiesced{path, done, note})
		return nil
	})
}

// members lists what changes places, and makes the directories that are missing.
func (r *inPlace) members() (list []swap.Member, err error) {
	for _, un := range r.units.list {
		from, err := r.stagedAt(un)
		if err != nil {
			return nil, err
		}
		if err := durable.MkdirAll(filepath.Dir(un.target), 0o755); err != nil {
			return nil, err
		}
		list = append(list, swap.Member{Source: un.source, Target: un.target, Staged: from, Database: un.names()})
	}
	return append(list, r.gone...), nil
}

// postCheck looks at the databases where they are now. When one is not as it was staged, everything goes back.
func (r *inPlace) postCheck(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // it is done, and whether it is right is to be known
	err := r.databases(func(_ *unit, path string) error {
		if err := sqlitedb.Unbothered(path); err != nil {
			return err
		}
		integrity, detail, err := sqlitedb.Check(ctx, path, sqlitedb.Quick)
		if err == nil && integrity == sqlitedb.Corrupt {
			err = fmt.Errorf("%s: %s", path, detail)
		}
		return err
	})
	if err == nil {
		return nil
	}
	if undo := r.swap.Undo(); undo != nil {
		return fmt.Errorf("the restored state did not pass the check afterwards (%w), and could not be taken back: %w", err, undo)
	}
	return &PostCheckError{err}
}
