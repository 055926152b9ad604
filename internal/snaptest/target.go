package snaptest

import (
	"context"
	"sync"

	"lifeboat/archive"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// A Gate is a target that stops at the first bytes it is given, calls Meanwhile, and goes on when that returns. What waits
// between a source and its target is bounded, so a source larger than that is being read while Meanwhile runs.
type Gate struct {
	snapshot.Target
	Meanwhile func()
	once      sync.Once
}

// Behind is more than what can wait between a source and its target, in bytes that are not zeros, on up to MostProcessors:
// the encoders hold two frames for each of them.
const (
	Behind         = 32 << 20
	MostProcessors = 4
)

// Create implements snapshot.Target.
func (g *Gate) Create(ctx context.Context, source string) (archive.Object, error) {
	o, err := g.Target.Create(ctx, source)
	return &gated{o, g}, err
}

type gated struct {
	archive.Object
	gate *Gate
}

func (o *gated) Write(p []byte) (int, error) {
	o.gate.once.Do(o.gate.Meanwhile)
	return o.Object.Write(p)
}

// A FaultyTarget fails when Faults say so.
type FaultyTarget struct {
	snapshot.Target
	Faults *Faults
}

// Create implements snapshot.Target.
func (f FaultyTarget) Create(ctx context.Context, source string) (archive.Object, error) {
	var o archive.Object
	err := f.Faults.do(func() (err error) {
		o, err = f.Target.Create(ctx, source)
		return err
	})
	if err != nil {
		if o != nil {
			o.Discard()
		}
		return nil, err
	}
	return faultyObject{o, f.Faults}, nil
}

// Commit implements snapshot.Target.
func (f FaultyTarget) Commit(ctx context.Context, id manifest.ID, stored []byte) error {
	return f.Faults.do(func() error { return f.Target.Commit(ctx, id, stored) })
}

type faultyObject struct {
	archive.Object
	faults *Faults
}

func (o faultyObject) Write(p []byte) (n int, err error) {
	err = o.faults.do(func() error {
		n, err = o.Object.Write(p)
		return err
	})
	return n, err
}

func (o faultyObject) Commit(a *manifest.Archive) error {
	return o.faults.do(func() error { return o.Object.Commit(a) })
}
