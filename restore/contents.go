package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

const (
	defaultConcurrency = 4
	batchSize          = 1 << 17 // extents that are planned at once; each takes some 64 bytes
	checkers           = 2       // files that are read back or checked at once
)

// A layer lays down a snapshot below a root.
type layer struct {
	snap *layout.Snapshot
	root *os.Root
	dir  string // the root's path
	opts Options
	sel  *selection
	meta *metadata

	mu  sync.Mutex
	res *Result

	verifying bool // nothing is kept: each file goes as soon as it has been verified
	numbered  int  // files so far, when verifying

	batch    *batch
	checking *errgroup.Group
	checkCtx context.Context
}

func newLayer(s *layout.Snapshot, root *os.Root, dir string, opts Options, sel *selection, res *Result) *layer {
	if opts.Concurrency <= 0 {
		opts.Concurrency = defaultConcurrency
	}
	return &layer{snap: s, root: root, dir: dir, opts: opts, sel: sel, res: res,
		meta: newMetadata(root, opts.PrivilegedMetadata), batch: newBatch()}
}

// contents lays down directories and files, verified. Links and the metadata of directories are for finish.
func (l *layer) contents(ctx context.Context) error {
	l.checking, l.checkCtx = errgroup.WithContext(ctx)
	l.checking.SetLimit(checkers)
	err := l.files(l.checkCtx)
	if waitErr := l.checking.Wait(); waitErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = waitErr
	}
	return err
}

func (l *layer) files(ctx context.Context) error {
	for f, err := range l.snap.Files(ctx) {
		if err != nil {
			return err
		}
		if !l.sel.has(f.Path) {
			continue
		}
		switch f.Type {
		case manifest.Directory:
			if l.verifying {
				continue
			}
			if err := l.mkdir(f.Path); err != nil {
				return err
			}
		case manifest.Regular:
			if err := l.add(ctx, f); err != nil {
				return err
			}
		}
	}
	return l.run(ctx)
}

// mkdir makes a directory, and its parents when the selection leaves those out.
func (l *layer) mkdir(path string) error {
	name, err := local(path)
	if err != nil {
		return err
	}
	return l.root.MkdirAll(name, 0o700)
}

// local returns a path of a snapshot as the file system here wants it.
func local(path string) (string, error) {
	name, err := filepath.Localize(path)
	if err != nil {
		return "", fmt.Errorf("%q cannot be the name of a file on this system: %w", path, err)
	}
	return name, nil
}

// An output is a file that is being laid down.
type output struct {
	file *manifest.File
	name string
	left atomic.Int64 // bytes that have not arrived
}

// add plans one file. What needs no archive is done at once.
func (l *layer) add(ctx context.Context, f *manifest.File) error {
	name, err := l.name(f)
	if err != nil {
		return err
	}
	out := &output{file: f, name: name}
	whole := len(f.Extents) == 1 && !f.Extents[0].IsZeros()
	if !whole {
		if err := l.create(out); err != nil {
			return err
		}
	}
	left := f.Size
	out.left.Store(left)
	at := int64(0)
	for e, err := range l.snap.Extents(ctx, f) {
		if err != nil {
			return err
		}
		if e.IsZeros() {
			out.left.Add(-e.Len)
			left -= e.Len
			l.opts.Meter.Add(e.Len)
		} else {
			l.batch.add(e, out, at)
		}
		at += e.Len
		if l.batch.jobs == batchSize {
			if err := l.run(ctx); err != nil {
				return err
			}
		}
	}
	if left == 0 {
		l.complete(out)
	}
	return nil
}

// name returns where a file is to be laid down, in a directory that is there.
func (l *layer) name(f *manifest.File) (string, error) {
	if l.verifying {
		l.numbered++
		return strconv.Itoa(l.numbered), nil
	}
	if parent := manifest.Parent(f.Path); parent == manifest.SourceOf(f.Path) || l.opts.Only != nil {
		if err := l.mkdir(parent); err != nil {
			return "", err
		}
	}
	return local(f.Path)
}

// create makes a file of its full size, in which all is zeros so far.
func (l *layer) create(out *output) error {
	w, err := l.root.OpenFile(out.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
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
	order     []manifest.Hash // of first use
	jobs      int
}

// A job puts one extent into a file.
type job struct {
	archive.Range
	out *output
	at  int64
}

func newBatch() *batch { return &batch{byArchive: map[manifest.Hash][]job{}} }

func (b *batch) add(e manifest.Extent, out *output, at int64) {
	if b.byArchive[e.Archive] == nil {
		b.order = append(b.order, e.Archive)
	}
	b.byArchive[e.Archive] = append(b.byArchive[e.Archive], job{archive.Range{Off: e.Off, Len: e.Len}, out, at})
	b.jobs++
}

// run fetches the batch.
func (l *layer) run(ctx context.Context) error {
	b := l.batch
	l.batch = newBatch()
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
	return l.snap.Read(ctx, h, ranges, func(i int, data []byte) error {
		j := jobs[i]
		f := j.out.file
		if int64(len(data)) == f.Size {
			return l.small(j.out, data)
		}
		if err := w.writeAt(j.out.name, data, j.at); err != nil {
			return err
		}
		l.opts.Meter.Add(int64(len(data)))
		if j.out.left.Add(-int64(len(data))) == 0 {
			if err := w.close(); err != nil {
				return err
			}
			l.complete(j.out)
		}
		return nil
	})
}

// small lays down a file that arrived as a whole.
func (l *layer) small(out *output, data []byte) error {
	if sum := manifest.HashOf(data); sum != out.file.SHA256 {
		return digestError(out.file, sum)
	}
	if l.verifying && out.file.SQLite == nil {
		l.opts.Meter.Add(int64(len(data)))
		l.opts.Meter.File()
		return nil
	}
	w, err := l.root.OpenFile(out.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	l.opts.Meter.Add(int64(len(data)))
	if out.file.SQLite != nil {
		l.checking.Go(func() error { return l.check(out) })
		return nil
	}
	return l.done(out.file, out.name)
}

// complete reads a file back that has all its bytes, and finishes it, in the background.
func (l *layer) complete(out *output) {
	l.checking.Go(func() error {
		if err := l.verify(out); err != nil {
			return err
		}
		if out.file.SQLite != nil {
			return l.check(out)
		}
		return l.done(out.file, out.name)
	})
}

// verify compares what lies in a file with its SHA-256.
func (l *layer) verify(out *output) error {
	f, err := l.root.Open(out.name)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := sha256.New()
	buf := make([]byte, 256<<10)
	for l.checkCtx.Err() == nil {
		n, err := f.Read(buf)
		digest.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			if sum := manifest.Hash(digest.Sum(nil)); sum != out.file.SHA256 {
				return digestError(out.file, sum)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(l.checkCtx)
}

func digestError(f *manifest.File, got manifest.Hash) error {
	return fmt.Errorf("%q: %w: want %s, got %s", f.Path, layout.ErrDigest, f.SHA256, got)
}

// check runs the integrity check of a database, as long as nothing but its owner can reach it.
func (l *layer) check(out *output) error {
	integrity, detail, err := sqlitedb.Check(l.checkCtx, filepath.Join(l.dir, out.name), sqlitedb.Full)
	if err != nil {
		return err
	}
	d := Database{Path: out.file.Path, Integrity: string(integrity), Detail: detail, Captured: out.file.SQLite.Integrity}
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

// done gives a file its metadata.
func (l *layer) done(f *manifest.File, name string) error {
	if l.verifying {
		l.opts.Meter.File()
		return l.root.Remove(name)
	}
	lost, err := l.meta.apply(f, name)
	l.notKept(f, lost)
	l.opts.Meter.File()
	return err
}

// maxNotKept is how many losses of metadata are listed.
const maxNotKept = 100

func (l *layer) notKept(f *manifest.File, lost []string) {
	if len(lost) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, what := range lost {
		l.res.NotKeptCount++
		if len(l.res.NotKept) < maxNotKept {
			l.res.NotKept = append(l.res.NotKept, fmt.Sprintf("%s: %s", f.Path, what))
		}
	}
}

// A writer writes extents to files, and keeps the last one open for the next.
type writer struct {
	root *os.Root
	name string
	f    *os.File
}

func (w *writer) writeAt(name string, data []byte, off int64) error {
	if w.f == nil || w.name != name {
		if err := w.close(); err != nil {
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

func (w *writer) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}
