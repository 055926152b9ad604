package restore

import (
	"context"
	"os"
	"slices"
	"strings"

	"lifeboat/archive"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
)

// VerifyOptions of Verify; the zero value is the recommended behaviour.
type VerifyOptions struct {
	Scratch     string // directory for files that do not fit into memory while they are checked; default the system's
	Concurrency int
	Checkers    int // as in Options
	Meter       *progress.Meter

	// Whole, when it is there, verifies each archive as a whole, not only what files need of it, in the same reading.
	Whole *Whole
}

// Whole is how archives are verified as wholes.
type Whole struct {
	Place layout.Store // they are read from this one place
	// Begin reports, before an archive is read, how it is to be read. An archive may be read several times; calls come from
	// several goroutines.
	Begin func(archive manifest.Hash) Reading
	// Done is told what came of it, nil when nothing is wrong. When it returns nil, what does not need the archive is verified all the
	// same. The error may be about the network, or about scratch space.
	Done func(archive manifest.Hash, err error) error
	// Wrong is told of a file whose maps cannot be read, or whose content does not have its digest. When it returns nil, the other files
	// are verified.
	Wrong func(err error) error
}

// Reading is how an archive is read.
type Reading int

const (
	ReadWhole  Reading = iota // all of it, and verified
	ReadRanges                // what is needed, because it was verified before
	ReadNone                  // not at all, because it is known to be damaged
)

// Verify does all that Run does to prove a snapshot, and keeps nothing: every file is read from the places of s and hashed, every
// database goes through an integrity check in scratch space. Scratch space is needed for the files that are on their way at one time, at worst
// for all of them that are over 1 MiB. It is not known before how much that is; only that the largest one must fit.
//
// The databases of the result are those that could be read.
func Verify(ctx context.Context, s *layout.Snapshot, opts VerifyOptions) (*Result, error) {
	dir, err := os.MkdirTemp(opts.Scratch, "lifeboat-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	sel := &selection{}
	plan, err := makePlan(ctx, s, sel)
	if err != nil {
		return nil, err
	}
	if err := diskspace.Check(dir, plan.largest); err != nil {
		return nil, err
	}
	opts.Meter.Begin("validate", plan.bytes)
	res := &Result{Stamp: s.ID.Stamp, Files: plan.files, Bytes: plan.bytes, Databases: []Database{}, IntegrityOK: true}
	l := newLayer(s, root, dir, Options{Concurrency: opts.Concurrency, Checkers: opts.Checkers, Meter: opts.Meter}, plan, res)
	l.verifying, l.whole = true, opts.Whole
	if err := l.contents(ctx); err != nil {
		return nil, err
	}
	res.sort()
	return res, nil
}

// sort puts databases in the order of their paths; they were checked side by side.
func (r *Result) sort() {
	slices.SortFunc(r.Databases, func(a, b Database) int { return strings.Compare(a.Path, b.Path) })
}

// readWhole reads from one archive and verifies it.
func (l *layer) readWhole(ctx context.Context, h manifest.Hash, ranges []archive.Range, fn func(int, []byte) error) error {
	a, err := l.snap.Archive(ctx, h)
	if err != nil {
		return err
	}
	switch l.whole.Begin(h) {
	case ReadNone:
		return nil
	case ReadWhole:
		err = l.snap.Verify(ctx, l.whole.Place, a, ranges, fn)
	default:
		err = l.snap.Read(ctx, h, ranges, fn)
	}
	return l.whole.Done(h, err)
}

// wrong is called where a file cannot be verified, or does not have its digest.
func (l *layer) wrong(err error) error {
	if l.whole == nil {
		return err
	}
	l.opts.Meter.File()
	return l.whole.Wrong(err)
}
