// Package transfer copies snapshots from one store to another. Pushing, pulling and copying are this one
// operation: the archives that are missing, then the manifest.
//
// Archives have the names of their content, so what an earlier, broken transfer has brought over counts,
// and nothing is ever half there. The manifest comes last: a store that lists a snapshot has all of it.
package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// DefaultConcurrency is how many archives are on their way at once.
const DefaultConcurrency = 3

// Options are choices that have a good default.
type Options struct {
	Concurrency int               // archives at once; 0 means DefaultConcurrency
	Plan        func(bytes int64) // told how many stored bytes will be copied; again, if more turn out to be needed
	Progress    func(bytes int64) // told of each archive that was copied; calls come from several goroutines

	Always bool // a Stream sends also what is there already, so that it is whole there, and young

	// A Stream tells of each archive that is in the other store, whether it was copied or was there, and once of its failure, after
	// which it sends nothing more. Calls come from several goroutines.
	Sent   func(h manifest.Hash)
	Failed func(err error)

	// Listed is what the other store has, for who has listed it just now; what is copied is added. nil means that Copy lists it. A Stream only reads
	// it, and without it asks for each archive.
	Listed map[manifest.Hash]layout.ArchiveInfo
	// Looked is the look at the other store that Listed is of, or nil; see publish.Options.
	Looked *publish.Present
	// From is told of each archive that was copied, and of the place that had it whole. Calls come from several goroutines.
	From func(h manifest.Hash, place layout.Store)

	// Alone says that nobody else writes to the other store or removes from it meanwhile: the caller holds its lock.
	Alone bool
	// Waiting is told when a prune of the other store is waited for; see publish.Options. Clock is nil but in tests.
	Waiting func(publish.Waiting)
	Clock   publish.Clock

	// Scratch returns the directory for archives on their way from one network to another place, when there is one; nil means
	// the system's. Calls come from several goroutines.
	Scratch func() (string, error)
}

// A Result says what a transfer did.
type Result struct {
	Archives int64 // copied
	Bytes    int64 // copied, with the manifest
	Present  int64 // archives that were there already
}

// Copy makes a snapshot exist in to. Archives are read from the places, in their order, each verified against
// its name before it is kept. When it fails, to is as it was, but for archives that the next attempt finds.
func Copy(ctx context.Context, s *layout.Snapshot, places []layout.Store, to layout.Store, opts Options) (Result, error) {
	var res Result
	missing, err := lacking(ctx, s, to, opts, &res)
	if err != nil {
		return res, err
	}
	if err := copyAll(ctx, missing, places, to, opts, &res); err != nil {
		return res, err
	}
	if len(missing) > 0 {
		opts.Looked = nil
	}
	if opts.Listed != nil {
		for _, a := range missing {
			opts.Listed[a.SHA256] = layout.ArchiveInfo{SHA256: a.SHA256, Size: a.Size}
		}
	}
	if err := commit(ctx, s, places, to, opts, &res); err != nil {
		return res, err
	}
	res.Bytes += int64(len(s.Stored))
	return res, nil
}

// commit makes the snapshot exist. Archives that somebody removes meanwhile, or may be about to remove, are copied again.
func commit(ctx context.Context, s *layout.Snapshot, places []layout.Store, to layout.Store, opts Options, res *Result) error {
	if opts.Alone {
		return to.Commit(ctx, s.ID, s.Stored)
	}
	var near []layout.Store
	for _, p := range places {
		if _, ok := directory(p); ok {
			near = append(near, p)
		}
	}
	return publish.Commit(ctx, s, to, publish.Options{Near: near, Waiting: opts.Waiting, Clock: opts.Clock, Looked: opts.Looked}, func(ctx context.Context, list []publish.Need) error {
		return copyAll(ctx, list, places, to, opts, res)
	})
}

// copyAll copies archives, several at once.
func copyAll(ctx context.Context, missing []publish.Need, places []layout.Store, to layout.Store, opts Options, res *Result) error {
	var total int64
	for _, a := range missing {
		total += a.Size
	}
	if opts.Plan != nil {
		opts.Plan(total)
	}
	limit := opts.Concurrency
	if limit <= 0 {
		limit = DefaultConcurrency
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	var bytes, count atomic.Int64
	for _, a := range missing {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := copyArchive(gctx, places, to, a, opts); err != nil {
				return err
			}
			bytes.Add(a.Size)
			count.Add(1)
			if opts.Progress != nil {
				opts.Progress(a.Size)
			}
			return nil
		})
	}
	err := g.Wait()
	res.Archives += count.Load()
	res.Bytes += bytes.Load()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// lacking returns the archives that a snapshot needs and the other store does not have.
func lacking(ctx context.Context, s *layout.Snapshot, to layout.Store, opts Options, res *Result) (missing []publish.Need, err error) {
	if opts.Listed == nil {
		return missingArchives(ctx, s, to, res)
	}
	for a, err := range publish.Needs(ctx, s) {
		if err != nil {
			return nil, err
		}
		if have, ok := opts.Listed[a.SHA256]; ok && have.Size == a.Size {
			res.Present++
		} else {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

// missingArchives compares what a snapshot needs with what a store lists. Both come in order of their hashes, so neither
// is held in memory; what is missing is.
func missingArchives(ctx context.Context, s *layout.Snapshot, to layout.Store, res *Result) ([]publish.Need, error) {
	have, stop := iter.Pull2(to.ListArchives(ctx))
	defer stop()
	roots := map[manifest.Hash]int64{}
	for _, r := range s.Head.Roots {
		roots[r.SHA256] = r.Size
	}
	var missing []publish.Need
	var at layout.ArchiveInfo
	more := true
	step := func() error {
		var err error
		at, err, more = have()
		if n, ok := roots[at.SHA256]; more && ok && n == at.Size {
			delete(roots, at.SHA256)
			res.Present++
		}
		return err
	}
	if err := step(); err != nil {
		return nil, err
	}
	for a, err := range s.Archives(ctx) {
		if err != nil {
			return nil, err
		}
		for more && at.SHA256.String() < a.SHA256.String() {
			if err := step(); err != nil {
				return nil, err
			}
		}
		if more && at.SHA256 == a.SHA256 && at.Size == a.Size {
			res.Present++
			continue
		}
		missing = append(missing, publish.Need{SHA256: a.SHA256, Size: a.Size})
	}
	for more {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for h, n := range roots {
		missing = append(missing, publish.Need{SHA256: h, Size: n})
	}
	return missing, nil
}

// copyArchive copies one archive from the first place that has it whole.
func copyArchive(ctx context.Context, places []layout.Store, to layout.Store, a publish.Need, opts Options) error {
	var errs []error
	unreadable := true
	for i, from := range places {
		err := copyFrom(ctx, layout.Before(ctx, i, len(places)), from, to, a, opts)
		if err == nil {
			if opts.From != nil {
				opts.From(a.SHA256, from)
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var source *sourceError
		if !errors.As(err, &source) {
			return err
		}
		var damage *archive.DamageError
		unreadable = unreadable && (errors.Is(err, fs.ErrNotExist) || errors.As(err, &damage))
		errs = append(errs, err)
	}
	if !unreadable {
		return errors.Join(errs...) // it may be whole where it could not be reached
	}
	return fmt.Errorf("archive %s: %w: %w", a.SHA256, ErrUnreadable, errors.Join(errs...))
}

// ErrUnreadable marks the failure of a transfer because an archive is missing or damaged in every place that it could be read from.
var ErrUnreadable = errors.New("no place has it whole")

// A sourceError is a failure of the place that is read: another place may do better.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// copyFrom copies one archive. reading is ctx with the patience that the place that is read deserves.
func copyFrom(ctx, reading context.Context, from, to layout.Store, a publish.Need, opts Options) error {
	damaged := func(why error) error {
		return &sourceError{&archive.DamageError{Store: from.String(), Object: layout.ArchiveKey(a.SHA256), Place: "whole", Err: why}}
	}
	dir, ok := directory(from)
	if !ok {
		return throughFile(ctx, reading, from, to, a, opts, damaged)
	}
	f, err := dir.OpenFile(layout.ArchiveKey(a.SHA256))
	if err != nil {
		return &sourceError{err}
	}
	defer f.Close()
	err = put(ctx, to, f, a)
	if errors.Is(err, remote.ErrMismatch) {
		return damaged(err)
	}
	return err
}

type opener interface {
	OpenFile(key string) (*os.File, error)
}

// directory returns what opens the objects of a store as files, if it is one of files.
func directory(s layout.Store) (opener, bool) {
	dir, ok := s.Store.(opener)
	return dir, ok
}

// put stores an archive under its name. The store compares what it gets with the name.
func put(ctx context.Context, to layout.Store, f io.ReaderAt, a publish.Need) error {
	err := to.Put(ctx, layout.ArchiveKey(a.SHA256), remote.Body{ReaderAt: f, Size: a.Size, SHA256: a.SHA256}, remote.PutOptions{})
	if err != nil {
		return fmt.Errorf("store archive %s: %w", a.SHA256, err)
	}
	return nil
}

// throughFile brings an archive from a network to a temporary file, verifies it, and stores it from there: a request
// that has to be repeated needs its body again.
func throughFile(ctx, reading context.Context, from, to layout.Store, a publish.Need, opts Options, damaged func(error) error) error {
	dir := ""
	if opts.Scratch != nil {
		var err error
		if dir, err = opts.Scratch(); err != nil {
			return err
		}
	}
	tmp, err := os.CreateTemp(dir, "lifeboat-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	body, err := from.OpenArchive(reading, a.SHA256, 0, -1)
	if err != nil {
		return &sourceError{err}
	}
	defer body.Close()
	digest := sha256.New()
	read := &failedRead{r: io.LimitReader(body, a.Size+1)}
	n, err := io.Copy(io.MultiWriter(tmp, digest), read)
	switch {
	case read.err != nil:
		return &sourceError{fmt.Errorf("read %s: %s: %w", from, layout.ArchiveKey(a.SHA256), read.err)}
	case err != nil:
		return fmt.Errorf("keep archive %s while it is copied: %w", a.SHA256, err)
	}
	if got := manifest.Hash(digest.Sum(nil)); n != a.Size || got != a.SHA256 {
		return damaged(fmt.Errorf("%d bytes with SHA-256 %s, where there should be %d", n, got, a.Size))
	}
	return put(ctx, to, tmp, a)
}

// failedRead remembers whether it was the reading that failed.
type failedRead struct {
	r   io.Reader
	err error
}

func (f *failedRead) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
