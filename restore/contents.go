package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

const (
	defaultConcurrency = 4
	mostCheckers       = 2  // databases that are checked at once
	pending            = 64 // files that have arrived, and wait to be read back or checked
)

// What is planned at once is bounded by the memory that it takes, in bytes, not by how much it is: the more of a file that lies scattered over many
// archives is planned at once, the fewer archives are come back to. 24 MiB are some 35,000 files, or 1.5 GiB in extents of a page.
const (
	planMemory = 24 << 20
	fileMemory = 700 // of a file, with its line
	jobMemory  = 64  // of an extent, with what its list has room for
)

// lineMemory is what the extents and maps in a line take.
func lineMemory(f *manifest.File) int64 { return int64(48*len(f.Extents) + 80*len(f.Maps)) }

// A layer lays down a snapshot below a root.
type layer struct {
	snap *layout.Snapshot
	root *os.Root
	dir  string // the root's path
	opts Options
	plan *plan
	meta *metadata

	mu  sync.Mutex
	res *Result

	verifying bool            // nothing is kept: each file goes as soon as it has been verified
	salvage   *salvage        // nil unless what is damaged is to be left out
	whole     *Whole          // archives are verified as wholes; only when verifying
	numbered  int             // files so far, when verifying
	parent    string          // the directory that was made last
	early     map[string]bool // directories that were made before their lines came
	fetched   time.Time       // when the last byte had come

	reuses atomic.Int64 // files that were on this machine already

	kept       []*manifest.File // lines that finish needs
	keptMemory int64            // that they take; when it is more than maxKept, they are not there

	batch    *batch
	own      *writer // of who plans
	checking *errgroup.Group
	checkCtx context.Context
	readers  slots // who reads back
	checkers slots
}

func newLayer(s *layout.Snapshot, root *os.Root, dir string, opts Options, p *plan, res *Result) *layer {
	if opts.Concurrency <= 0 {
		opts.Concurrency = defaultConcurrency
	}
	if opts.memory == 0 {
		opts.memory = planMemory
	}
	early := map[string]bool{}
	for _, heir := range p.heirs {
		for dir := manifest.Parent(heir); dir != ""; dir = manifest.Parent(dir) {
			early[dir] = true
		}
	}
	return &layer{early: early, snap: s, root: root, dir: dir, opts: opts, plan: p, res: res,
		meta: newMetadata(opts.PrivilegedMetadata, opts.Owner), batch: newBatch(), own: &writer{root: root},
		readers: make(slots, readers), checkers: make(slots, min(cmp.Or(opts.Checkers, mostCheckers), mostCheckers))}
}

// contents lays down directories and files, verified. Links and the metadata of directories are for finish.
func (l *layer) contents(ctx context.Context) error {
	l.checking, l.checkCtx = errgroup.WithContext(ctx)
	l.checking.SetLimit(pending)
	err := l.files(l.checkCtx)
	l.own.close()
	l.fetched = time.Now()
	if waitErr := l.checking.Wait(); waitErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = waitErr
	}
	return err
}

func (l *layer) files(ctx context.Context) error {
	for f, err := range l.plan.lines(ctx) {
		if err != nil {
			return err
		}
		if path := l.plan.place(f); path == "" {
			continue
		} else if path != f.Path {
			heir := *f
			heir.Path = path
			f = &heir
		}
		switch f.Type {
		case manifest.Directory:
			if l.verifying {
				continue
			}
			if err := l.directory(f); err != nil {
				return err
			}
			l.keep(f)
		case manifest.Regular:
			if err := l.add(ctx, f); err != nil {
				return err
			}
		default: // links come last (but for a name that inherits a file, which came before), but what they lie in is made with everything else
			if err := l.makeParent(f); err != nil {
				return err
			}
			l.keep(f)
		}
	}
	return l.run(ctx)
}

// directory makes the directory of a line. It must not be there: to a file system that does not tell upper from lower case,
// another name of the snapshot may be the same, and two directories would become one.
func (l *layer) directory(f *manifest.File) error {
	if err := l.makeParent(f); err != nil {
		return err
	}
	name, err := local(f.Path)
	if err != nil {
		return err
	}
	l.parent = f.Path
	if err := l.root.Mkdir(name, 0o700); err != nil && !(errors.Is(err, fs.ErrExist) && l.early[f.Path]) {
		return unwanted(f.Path, err)
	}
	return nil
}

// mkdir makes a directory that has no line of its own before what lies in it, and its parents.
func (l *layer) mkdir(path string) error {
	name, err := local(path)
	if err != nil {
		return err
	}
	return unwanted(path, l.root.MkdirAll(name, 0o700))
}

// unwanted says, of an error that the file system here has with a name, which one that is, and what can be done.
func unwanted(path string, err error) error {
	const next = "restore to another file system, or leave it out with --except"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("lay down %q: this file system takes another name in the snapshot for the same (is it one that does not tell upper from lower case?); %s", path, next)
	case isBadName(err):
		return fmt.Errorf("lay down %q: this file system does not take such a name: %w; %s", path, cause(err), next)
	}
	return fmt.Errorf("lay down %q: %w", path, cause(err))
}

// cause returns an error without the path in it, which may be that of the staging directory.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// An output is a file that is being laid down.
type output struct {
	file  *manifest.File
	name  string
	whole bool         // it arrives in one extent, and is made then
	left  atomic.Int64 // bytes that have not arrived
	saved atomic.Int64 // bytes that came out of archives, when something may be lost of it
	parts *parts       // of a file that does not arrive as a whole
}

// add plans one file. What needs no archive is done at once.
func (l *layer) add(ctx context.Context, f *manifest.File) error {
	name, err := l.name(f)
	if err != nil {
		return err
	}
	out := &output{file: f, name: name, whole: len(f.Extents) == 1 && !f.Extents[0].IsZeros()}
	out.left.Store(f.Size)
	if there, err := l.reused(f, name); err != nil {
		return err
	} else if there {
		l.opts.Meter.Add(f.Size)
		l.finished(out)
		return nil
	}
	if f.Size == 0 {
		return l.small(l.own, out, nil)
	}
	if !out.whole {
		if err := l.create(out); err != nil {
			return err
		}
	}
	l.batch.memory += fileMemory + lineMemory(f)
	at := int64(0)
	for e, err := range l.snap.Extents(ctx, f) {
		if err != nil {
			if !l.salvage.takes(err) {
				return l.wrong(err)
			}
			l.lose(out, at, e.Len, err)
			at += e.Len
			continue
		}
		if !e.IsZeros() {
			l.batch.add(e, out, at)
		} else {
			l.arrived(out, at, e.Len)
		}
		at += e.Len
		if l.batch.memory >= l.opts.memory {
			if err := l.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// name returns where a file is to be laid down, in a directory that is there.
func (l *layer) name(f *manifest.File) (string, error) {
	if l.verifying {
		l.numbered++
		return strconv.Itoa(l.numbered), nil
	}
	if err := l.makeParent(f); err != nil {
		return "", err
	}
	return local(f.Path)
}

// makeParent makes the directory that a file lies in, unless that was the last to be made.
func (l *layer) makeParent(f *manifest.File) error {
	parent := manifest.Parent(f.Path)
	if l.verifying || parent == "" || parent == l.parent {
		return nil
	}
	l.parent = parent
	return l.mkdir(parent)
}

// create makes a file of its full size, in which all is zeros so far.
func (l *layer) create(out *output) error {
	out.parts = newParts()
	w, err := l.root.OpenFile(out.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unwanted(out.file.Path, err)
	}
	defer w.Close()
	if err := w.Truncate(out.file.Size); err != nil {
		return err
	}
	return w.Close()
}

// A batch is extents that are fetched together, by archive.
type batch struct {
	byArchive map[manifest.Hash][]job
	order     []manifest.Hash         // of first use
	databases map[manifest.Hash]int64 // by archive: the size of the largest database that something in it is of
	memory    int64                   // bytes, about
}

// A job puts one extent into a file.
type job struct {
	archive.Range
	out *output
	at  int64
}

func newBatch() *batch {
	return &batch{byArchive: map[manifest.Hash][]job{}, databases: map[manifest.Hash]int64{}}
}

func (b *batch) add(e manifest.Extent, out *output, at int64) {
	if b.byArchive[e.Archive] == nil {
		b.order = append(b.order, e.Archive)
	}
	b.byArchive[e.Archive] = append(b.byArchive[e.Archive], job{archive.Range{Off: e.Off, Len: e.Len}, out, at})
	b.memory += jobMemory
	if out.file.SQLite != nil {
		b.databases[e.Archive] = max(b.databases[e.Archive], out.file.Size)
	}
}

// run fetches the batch. Databases come first, the largest of them before others, so that they are checked while the rest is still coming.
func (l *layer) run(ctx context.Context) error {
	b := l.batch
	l.batch = newBatch()
	slices.SortStableFunc(b.order, func(x, y manifest.Hash) int { return cmp.Compare(b.databases[y], b.databases[x]) })
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(l.opts.Concurrency)
	for _, h := range b.order {
		jobs := b.byArchive[h]
		delete(b.byArchive, h)
		g.Go(func() error { return l.archive(gctx, h, jobs) })
	}
	return g.Wait()
}

// archive reads from one archive and writes what it reads to where it belongs.
func (l *layer) archive(ctx context.Context, h manifest.Hash, jobs []job) error {
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(a.Off, b.Off) })
	ranges := make([]archive.Range, len(jobs))
	for i, j := range jobs {
		ranges[i] = j.Range
	}
	w := &writer{root: l.root}
	defer w.close()
	read := l.snap.Read
	switch {
	case l.whole != nil:
		read = l.readWhole
	case l.salvage != nil:
		return l.salvageArchive(ctx, w, h, jobs)
	}
	err := read(ctx, h, ranges, func(i int, data []byte) error { return l.deliver(w, jobs[i], data) })
	if err != nil {
		return err
	}
	return w.closeFile()
}

// deliver writes what was read of an archive to where it belongs.
func (l *layer) deliver(w *writer, j job, data []byte) error {
	if j.out.whole {
		return l.small(w, j.out, data)
	}
	if err := w.writeAt(j.out.name, data, j.at); err != nil {
		return err
	}
	j.out.saved.Add(int64(len(data)))
	l.arrived(j.out, j.at, int64(len(data)))
	return nil
}

// small lays down a file that arrived as a whole.
func (l *layer) small(w *writer, out *output, data []byte) error {
	f := out.file
	if sum := manifest.HashOf(data); sum != f.SHA256 {
		if l.salvage != nil {
			return l.notItself(w, out, data)
		}
		return l.wrong(&layout.DigestError{Path: f.Path, Want: f.SHA256, Got: sum})
	}
	l.opts.Meter.Add(int64(len(data)))
	if l.verifying && f.SQLite == nil {
		l.opts.Meter.File()
		return nil
	}
	dir, base, err := w.enter(out.name)
	if err != nil {
		return err
	}
	if f.SQLite != nil {
		if err := writeNew(dir, base, data); err != nil {
			return unwanted(f.Path, err)
		}
		l.checking.Go(func() error { return l.check(out) })
		return nil
	}
	err = dir.lay(base, data, func(at spot) error {
		lost, err := l.meta.apply(f, at)
		l.notKept(f, lost)
		return err
	})
	if err != nil {
		return unwanted(f.Path, err)
	}
	l.opts.Meter.File()
	return nil
}

// writeNew makes a file that gets its metadata later.
func writeNew(dir *folder, base string, data []byte) error {
	return dir.lay(base, data, func(spot) error { return nil })
}

// finished finishes a file whose digest is known to be right, in the background.
func (l *layer) finished(out *output) { l.checking.Go(func() error { return l.checked(out) }) }

// checked finishes a file, a database after its check.
func (l *layer) checked(out *output) error {
	if out.file.SQLite != nil {
		return l.check(out)
	}
	return l.done(out.file, out.name)
}

// forget removes a file that is not to be kept.
func (l *layer) forget(out *output) error {
	if !l.verifying {
		return nil
	}
	return l.root.Remove(out.name)
}

// check runs the integrity check of a database, as long as nothing but its owner can reach it.
func (l *layer) check(out *output) error {
	if err := l.checkers.take(l.checkCtx); err != nil {
		return err
	}
	defer l.checkers.free()
	d := Database{Path: out.file.Path, Captured: out.file.SQLite.Integrity, Facts: out.file.SQLite, Size: out.file.Size}
	limit := CheckLimit(out.file.Size)
	ctx, cancel := context.WithTimeout(l.checkCtx, limit)
	defer cancel()
	integrity, detail, err := sqlitedb.Check(ctx, filepath.Join(l.dir, out.name), sqlitedb.Full)
	switch {
	case err == nil:
		d.Integrity, d.Detail = string(integrity), detail
	case ctx.Err() != nil && l.checkCtx.Err() == nil:
		d.Integrity, d.Detail = string(sqlitedb.Unverifiable), fmt.Sprintf("the check did not come to an end within %s", limit)
	default:
		return fmt.Errorf("check %q: %w", d.Path, err)
	}
	l.mu.Lock()
	l.res.Databases = append(l.res.Databases, d)
	if integrity == sqlitedb.Corrupt {
		l.res.IntegrityOK = false
		if l.res.IntegrityError == "" {
			l.res.IntegrityError = fmt.Sprintf("%s: %s", d.Path, d.Detail)
		}
	}
	l.mu.Unlock()
	return l.done(out.file, out.name)
}

// CheckLimit is how long a check of a database of so many bytes may take. A database can be made so that its check never ends.
func CheckLimit(size int64) time.Duration {
	return 10*time.Minute + time.Duration(size>>20)*time.Second
}

// done gives a file its metadata.
func (l *layer) done(f *manifest.File, name string) error {
	if l.verifying {
		l.opts.Meter.File()
		return l.root.Remove(name)
	}
	lost, err := l.meta.apply(f, named{l.root, name})
	l.notKept(f, lost)
	l.opts.Meter.File()
	return err
}

// maxNotKept is how many losses of metadata are listed.
const maxNotKept = 100

// notKept lists what was lost of a file. What many files lost in the same way is listed once, with the first of them.
func (l *layer) notKept(f *manifest.File, lost []loss) {
	if len(lost) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lo := range lost {
		l.res.NotKeptCount++
		l.res.OwnersKept = l.res.OwnersKept && !lo.owner
		at := slices.IndexFunc(l.res.NotKept, func(n NotKept) bool { return n.What == lo.what })
		switch {
		case at >= 0:
			l.res.NotKept[at].Files++
			if manifest.ComparePaths(f.Path, l.res.NotKept[at].Path) < 0 {
				l.res.NotKept[at].Path = f.Path
			}
		case len(l.res.NotKept) < maxNotKept:
			l.res.NotKept = append(l.res.NotKept, NotKept{Path: f.Path, What: lo.what, Files: 1})
		}
	}
}

// A writer writes to files, and keeps the last one, and the last directory, open for the next.
type writer struct {
	root *os.Root
	name string
	f    *os.File

	parent string   // of dir
	sub    *os.Root // dir's, unless that is root
	dir    *folder
}

func (w *writer) writeAt(name string, data []byte, off int64) error {
	if w.f == nil || w.name != name {
		if err := w.closeFile(); err != nil {
			return err
		}
		f, err := w.root.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		w.f, w.name = f, name
	}
	_, err := w.f.WriteAt(data, off)
	return err
}

// enter opens the directory of a file and returns the name that the file has there: a root looks up each component
// of a path anew for each thing that is done with it.
func (w *writer) enter(name string) (dir *folder, base string, err error) {
	parent, base := filepath.Split(name)
	if w.dir != nil && w.parent == parent {
		return w.dir, base, nil
	}
	w.leave()
	root := w.root
	if parent != "" {
		if w.sub, err = w.root.OpenRoot(parent); err != nil {
			w.sub = nil
			return nil, "", err
		}
		root = w.sub
	}
	if w.dir, err = openFolder(root); err != nil {
		w.dir = nil
		return nil, "", err
	}
	w.parent = parent
	return w.dir, base, nil
}

func (w *writer) leave() {
	if w.dir != nil {
		w.dir.close()
		w.dir = nil
	}
	if w.sub != nil {
		w.sub.Close()
		w.sub = nil
	}
}

func (w *writer) closeFile() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}

func (w *writer) close() {
	w.closeFile()
	w.leave()
}
