// Package snapshot captures live state: it reads sources as they are being written to, and writes a snapshot of them.
//
// Nothing of a source is changed, and nobody who writes to it has to stop. SQLite databases, wherever they are
// met, are pinned by a read transaction and streamed page by page out of it; files are read under a guard that
// notices when they change meanwhile. What the snapshot can promise about the instant that it shows is in its manifest, and no more
// than that.
//
// Every byte passes through three stages that run side by side: a reader for each source, a packer that hashes and cuts
// into segments, and the encoders of package archive. Memory does not grow with the data: the lines of the files table, whose
// archives have no names until they are complete, wait in a scratch file.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/zst"
	"lifeboat/manifest"
)

// A Source is one thing to capture.
type Source struct {
	Name     string // as manifest.CheckName wants it
	Path     string // absolute
	Optional bool   // that it is missing is no problem

	Exclude       []string // patterns; see CheckExclude
	ExcludeCaches bool     // leave out what is in directories that a CACHEDIR.TAG marks, but the tag
	OneFileSystem bool     // leave out what is mounted below Path
}

// A Target is where a snapshot is written.
type Target interface {
	// Create begins an archive of a source, or of tables if that is "". It may wait for room.
	Create(ctx context.Context, source string) (archive.Object, error)
	// Commit stores the manifest. It is called once, after every archive is stored.
	Commit(ctx context.Context, id manifest.ID, stored []byte) error
}

// A Spool is a Target whose room is limited.
type Spool interface {
	Target
	// Reserve gives a source the room that so many bytes of a database need. From then until release, Create for that source does
	// not wait, but draws on that room and, when it is used up, on what is free, or fails. Before it waits for room, it calls flush,
	// once, after which no archive of the source is open. release says whether the archive that is open should be cut, since it
	// was not given all the room that it may need when it grows.
	Reserve(ctx context.Context, source string, bytes int64, flush func() error) (release func() (cut bool), err error)
}

// Options of a capture. App, Stamp and Target are required.
type Options struct {
	App      string
	Kind     manifest.Kind // default manifest.Backup
	Stamp    manifest.Stamp
	Tool     string // version, for the manifest
	Host     manifest.Host
	Previous *manifest.ID
	Omitted  []manifest.Omission // sources that the caller left out

	// Base is what the sources are compared with; nil for nothing, so that everything is stored, as it also is without a call of its LeanOn. ReadAll
	// reads also what it proves to be unchanged.
	Base    *Base
	ReadAll bool
	// Leans is told before the commit which archives of the base the snapshot uses.
	Leans func(archives []*manifest.Archive)
	// NextBase, if set, is where what the next snapshot is compared with is written, after the commit. That it cannot be is no failure.
	NextBase io.Writer

	Target Target
	Stored func(a *manifest.Archive) error // told of each archive once it is stored; see archive.Options

	// Before is called before any source is looked at, and After once the last of them was read, or the capture has failed: as soon as
	// whoever was asked by Before to hold still may go on. failed is why there is no snapshot, if so. What they return is a problem of the
	// snapshot, of kind not_held, which makes it incomplete, and hook. After is called if Before was, with a context that does not end.
	Before func(ctx context.Context) error
	After  func(ctx context.Context, failed error) error

	Avoid []string // directories that are never captured: the stores themselves
	// How long a database may be pinned, and by how much its log may grow meanwhile, whatever the reason; beyond that the capture fails
	// with a *PinLimitError. 0 means DefaultMaxPin and DefaultMaxWALGrowth.
	MaxPin       time.Duration
	MaxWALGrowth int64 // bytes
	// How long writers to a database in a rollback mode may be kept from committing at a stretch; 0 means sqlitedb.DefaultMaxBlock. Where it must be
	// longer, that is a problem in the head.
	MaxBlock time.Duration

	// Tries is how often it is tried to pin several databases at one instant before it is left at the skew that is measured; 0 means
	// sqlitedb's default, and less than 0 not once. With Barrier, their writers have to wait for a moment then, some fractions of a millisecond: see
	// sqlitedb.PinTogether. That this could not be done is a problem in the head.
	Tries   int
	Barrier bool

	ArchiveLimit int64     // where an archive ends; see archive.Options
	Compression  zst.Level // of archives; the zero value is the recommended one

	Scratch  string        // directory for temporary files; default the system's
	LockWait time.Duration // how long to wait for a database that somebody has locked; 0 means 10 seconds
	Workers  int           // processors that compress; 0 as archive.PoolOptions says
	Meter    *progress.Meter
	Now      func() time.Time // default time.Now
}

// A Result is a snapshot that was committed.
type Result struct {
	ID       manifest.ID
	Head     *manifest.Head
	Barrier  time.Duration // for how long nobody could write to databases in WAL mode, if Options.Barrier was needed
	NextBase error         // why Options.NextBase was not written, if it was not
}

// parallel is how many sources are captured at once.
const parallel = 2

// Take captures sources and commits the snapshot to opts.Target. Something that could not be captured is listed in the
// head, which is then incomplete: no error. When Take fails, nothing was committed.
func Take(ctx context.Context, sources []Source, opts Options) (*Result, error) {
	if opts.Kind == "" {
		opts.Kind = manifest.Backup
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	t := &take{opts: opts, began: opts.Now()}
	t.spool, _ = opts.Target.(Spool)
	ctx, stop := t.watchPins(ctx)
	defer stop()
	res, err := t.run(ctx, sources)
	if limit, ok := errors.AsType[*PinLimitError](context.Cause(ctx)); ok && err != nil {
		return nil, limit
	}
	return res, err
}

func (t *take) run(ctx context.Context, sources []Source) (*Result, error) {
	var err error
	if t.scratch, err = os.MkdirTemp(t.opts.Scratch, "lifeboat-*"); err != nil {
		return nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	defer os.RemoveAll(t.scratch)
	if t.pool, err = archive.NewPool(archive.PoolOptions{Workers: t.opts.Workers, Level: t.opts.Compression}); err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.read(ctx, sources); err != nil {
		return nil, err
	}
	head, err := t.assemble(ctx)
	if err != nil {
		return nil, err
	}
	id, stored, err := layout.SealManifest(head)
	if err != nil {
		return nil, err
	}
	if t.opts.Leans != nil {
		t.opts.Leans(t.opts.Base.Used())
	}
	if err := t.opts.Target.Commit(ctx, id, stored); err != nil {
		return nil, fmt.Errorf("commit snapshot %s: %w", id.Stamp, err)
	}
	res := &Result{ID: id, Head: head, Barrier: t.barrier}
	if t.opts.NextBase != nil {
		res.NextBase = t.writeBase(t.opts.NextBase, id, head, stored)
	}
	return res, nil
}

// read captures the sources, while those who have to hold still do.
func (t *take) read(ctx context.Context, sources []Source) (err error) {
	if t.opts.After != nil {
		defer func() {
			if failed := t.opts.After(context.WithoutCancel(ctx), err); failed != nil {
				t.problems.add(problemHook, "", "", failed)
			}
		}()
	}
	if t.opts.Before != nil {
		if err := t.opts.Before(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			t.problems.add(problemUnready, "", "", err)
		}
	}
	if err := t.open(sources); err != nil {
		return err
	}
	if err := t.pin(ctx); err != nil {
		return err
	}
	if err := t.capture(ctx); err != nil {
		return err
	}
	return t.check()
}

// take is one capture of all sources.
type take struct {
	opts     Options
	spool    Spool // nil if the target's room is not limited
	pins     pins
	began    time.Time
	scratch  string
	pool     *archive.Pool
	avoid    []fs.FileInfo
	captures []*capture // ascending by name
	captured []*capture // those of which there is something
	meant    []string   // the sources of the application, also those that were left out
	omitted  []manifest.Omission
	problems problems
	extras   []*archive.Writer // of maps and pieces
	maps     *mapSet
	archives []*manifest.Archive // of the archives table, ascending

	barrier time.Duration // for how long writers had to wait for the instant of the databases
	apart   func()        // adds to the problems that they are not of one instant; nil if nobody asked for that

	storedMu sync.Mutex
}

// capture is the capture of one source.
type capture struct {
	t        *take
	Source   Source
	root     string // the path with symbolic links followed
	info     fs.FileInfo
	kind     manifest.SourceType
	pinned   *sqlitedb.Pinned // of a source that is a database
	room     room             // for that, if it blocks its writers still
	known    *known           // what the base has of it; nil for nothing that proves anything
	at       time.Time        // when it was pinned and found to be just that; zero if it was not
	until    time.Time        // how long it is known to have been the newest state: see sqlitedb.Pinned.Span
	excludes *excludes
	writer   *archive.Writer
	draft    *draft
	seen     instants
	line     manifest.Source
	again    int64 // bytes that are stored again, since the archives that the base has them in are left or absent
	err      error // why there is nothing of the source, if so
}

// open looks at every source and decides what it is.
func (t *take) open(sources []Source) error {
	for _, dir := range t.opts.Avoid {
		if fi, err := os.Stat(dir); err == nil {
			t.avoid = append(t.avoid, fi)
		}
	}
	t.omitted = slices.Clone(t.opts.Omitted)
	for _, o := range t.omitted {
		t.meant = append(t.meant, o.Source)
	}
	for _, s := range sources {
		t.meant = append(t.meant, s.Name)
		if err := manifest.CheckName(s.Name); err != nil {
			return err
		}
		c, err := t.look(s)
		switch {
		case err == nil:
			t.captures = append(t.captures, c)
		case errors.Is(err, fs.ErrNotExist) && s.Optional:
			t.omitted = append(t.omitted, manifest.Omission{Source: s.Name, Why: "optional, and not there"})
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			t.problems.add(problemMissing, s.Name, "", err)
		default:
			return fmt.Errorf("source %s: %w", s.Name, err)
		}
	}
	slices.SortFunc(t.captures, func(a, b *capture) int { return strings.Compare(a.Source.Name, b.Source.Name) })
	for i := 1; i < len(t.captures); i++ {
		if t.captures[i-1].Source.Name == t.captures[i].Source.Name {
			return fmt.Errorf("two sources are named %q; name one with NAME=PATH", t.captures[i].Source.Name)
		}
	}
	if len(t.captures) == 0 {
		if len(t.problems.list) > 0 {
			return fmt.Errorf("nothing to capture: %s: %s", t.problems.list[0].Source, t.problems.list[0].Detail)
		}
		return errors.New("nothing to capture: no source is left")
	}
	return nil
}

func (t *take) look(s Source) (*capture, error) {
	c := &capture{t: t, Source: s}
	var err error
	if c.excludes, err = newExcludes(s.Exclude); err != nil {
		return nil, err
	}
	if c.root, err = filepath.EvalSymlinks(s.Path); err != nil {
		return nil, err
	}
	if c.info, err = os.Stat(s.Path); err != nil {
		return nil, err
	}
	if t.ownAbove(c.root) {
		return nil, fmt.Errorf("%s is a store of lifeboat's own, or lies in one; back up what it was made from", s.Path)
	}
	switch {
	case c.info.IsDir():
		c.kind = manifest.DirectorySource
	case !c.info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a directory", s.Path)
	default:
		db, err := isDatabase(s.Path)
		if err != nil {
			return nil, err
		}
		c.kind = manifest.FileSource
		if db {
			c.kind = manifest.SQLiteSource
		}
	}
	return c, nil
}

func isDatabase(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return sqlitedb.BeginsDatabase(f), nil
}

// pin pins what is in use, at one instant if it can be had, and then the other databases that are sources, one directly after the other; and then lets
// those go that wait for it: at once, if they are proved to be as the base has them.
func (t *take) pin(ctx context.Context) error {
	for _, c := range t.captures {
		if c.kind == manifest.SQLiteSource {
			if err := c.recall(); err != nil {
				return fmt.Errorf("source %s: %w", c.Source.Name, err)
			}
		}
	}
	if err := t.pinTogether(ctx); err != nil {
		return err
	}
	for _, c := range t.captures {
		if c.kind != manifest.SQLiteSource || c.pinned != nil || !c.at.IsZero() {
			continue
		}
		p, err := t.pinOne(ctx, c.Source.Path)
		if errors.Is(err, sqlitedb.ErrNotDatabase) {
			c.kind = manifest.FileSource // it begins like one, and is none; its bytes are what there is
			continue
		}
		if err == nil {
			c.pinned = p
		} else if err = c.notPinned(ctx, err); err != nil {
			return err
		}
	}
	for _, c := range t.captures {
		if c.pinned == nil || c.restsAt(c.pinned) {
			continue
		}
		p, room, err := t.letGo(ctx, c.Source.Name, c.Source.Path, c.pinned, func(bool) error { return nil })
		c.pinned, c.room = p, room
		if err == nil {
			continue
		}
		if c.pinned, err = nil, c.notPinned(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// notPinned notes why there is nothing of a database that is a source, or returns what ends the capture.
func (c *capture) notPinned(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if noRoom(err) {
		return fmt.Errorf("source %s: %w", c.Source.Name, err) // that is ours, and no fault of the source
	}
	c.err = err
	c.t.problems.add(whyUnread(err), c.Source.Name, c.path("."), err)
	return nil
}

func (t *take) close() {
	t.releaseWaiting(nil)
	for _, c := range t.captures {
		c.close()
	}
	for _, w := range t.extras {
		w.Discard()
	}
}

func (c *capture) close() {
	if c.pinned != nil {
		c.t.unpin(c.pinned)
	}
	c.room.release()
	if c.writer != nil {
		c.writer.Discard()
	}
	if c.draft != nil {
		c.draft.close()
	}
}

// newWriter returns a writer into the target. Writers of several sources work at once; the caller's Stored is told of one
// archive at a time.
func (t *take) newWriter(ctx context.Context, source string) *archive.Writer {
	return archive.NewWriter(ctx, t.pool, archive.Options{
		Create: func(ctx context.Context) (archive.Object, error) { return t.opts.Target.Create(ctx, source) },
		Limit:  t.opts.ArchiveLimit,
		Stored: func(a *manifest.Archive) error {
			t.storedMu.Lock()
			defer t.storedMu.Unlock()
			if t.opts.Stored == nil {
				return nil
			}
			return t.opts.Stored(a)
		},
	})
}

// capture reads and packs the sources.
func (t *take) capture(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, c := range t.captures {
		var err error
		if c.draft, err = newDraft(t.scratch); err != nil {
			return fmt.Errorf("make a scratch file: %w", err)
		}
		c.writer = t.newWriter(gctx, c.Source.Name)
	}
	for _, c := range t.inOrder() {
		g.Go(func() error {
			if err := c.run(gctx); err != nil {
				return fmt.Errorf("source %s: %w", c.Source.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// inOrder returns the captures, those first that hold up somebody's commits: they must not wait behind one that waits for room.
func (t *take) inOrder() []*capture {
	list := slices.Clone(t.captures)
	urgency := func(c *capture) int {
		if c.pinned != nil && c.pinned.BlocksCommits() {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b *capture) int { return urgency(a) - urgency(b) })
	return list
}

// run captures one source: a reader and a packer side by side.
func (c *capture) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	r, p := newReader(gctx, c), newPacker(c)
	g.Go(func() error {
		defer close(r.batches)
		if err := r.source(); err != nil {
			return err
		}
		return r.handOn()
	})
	g.Go(func() error {
		for b := range r.batches {
			if err := r.pass(b, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.writer.Close(); err != nil {
		return err
	}
	return c.draft.finish()
}

// check looks at the sources again, and picks those of which there is something.
func (t *take) check() error {
	var errs []error
	for _, c := range t.captures {
		if c.line.Files == 0 {
			errs = append(errs, fmt.Errorf("source %s: %w", c.Source.Name, c.err))
			continue
		}
		if err := c.sameRoot(); err != nil {
			return err
		}
		t.captured = append(t.captured, c)
	}
	if len(t.captured) == 0 {
		return fmt.Errorf("nothing was captured: %w", errors.Join(errs...))
	}
	return nil
}

// sameRoot reports that a source was replaced by another while it was captured: what was captured is then of neither. A
// single file is an exception, for it was read through one descriptor, and to replace it by rename is how programs write it.
func (c *capture) sameRoot() error {
	if c.kind == manifest.FileSource {
		return nil
	}
	fi, err := os.Stat(c.Source.Path)
	if err == nil && !os.SameFile(fi, c.info) {
		err = errors.New("it was replaced by another")
	}
	if err != nil {
		return fmt.Errorf("source %s changed under the capture: %s: %w; run the backup again", c.Source.Name, c.Source.Path, err)
	}
	return nil
}

// path returns the path in the manifest of a path below the source's root.
func (c *capture) path(rel string) string {
	if c.kind != manifest.DirectorySource {
		return c.Source.Name + "/" + filepath.Base(c.Source.Path)
	}
	if rel == "." {
		return c.Source.Name
	}
	return c.Source.Name + "/" + filepath.ToSlash(rel)
}
