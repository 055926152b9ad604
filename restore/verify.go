package restore

import (
	"context"
	"os"
	"slices"
	"strings"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
)

// VerifyOptions of Verify; the zero value is the recommended behaviour.
type VerifyOptions struct {
	Scratch     string // directory for files that do not fit into memory while they are checked; default the system's
	Concurrency int
	Meter       *progress.Meter
}

// Verify does all that Run does to prove a snapshot, and keeps nothing: every file is read from the places of s and hashed, every
// database goes through an integrity check in scratch space. Scratch space is needed for the files that are on their way at one time, at worst
// for all of them that are over 1 MiB. It is not known before how much that is; only that the largest one must fit.
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
	l := newLayer(s, root, dir, Options{Concurrency: opts.Concurrency, Meter: opts.Meter}, plan, res)
	l.verifying = true
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
