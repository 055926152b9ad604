package adopt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
)

// An Outcome is a snapshot of lifeboat's that has all of an old one.
type Outcome struct {
	ID      manifest.ID
	Head    *manifest.Head
	Present bool // it was there already, and nothing was written
}

// Take makes an old snapshot one of the store, pinned, with its own stamp, or with the next that is free when another snapshot has that. What
// was adopted before, as it is now, is left as it is. f gets a finding, and there is no outcome, when what is wrong shows only now. opts are
// those of snapshot.Take; what Take knows better is filled in. The caller holds the lock of the store.
func Take(ctx context.Context, f *Found, store *localstore.Store, opts snapshot.Options) (*Outcome, error) {
	stamp, before, err := freeStamp(ctx, store, f.Stamp)
	if err != nil {
		return nil, err
	}
	t := &target{Spool: store.Spool(localstore.SpoolOptions{}), store: store, before: before}
	defer t.Abandon(ctx)
	opts.Kind, opts.Stamp, opts.Omitted, opts.Target = manifest.Adopted, stamp, f.Omitted, t
	res, err := snapshot.Take(ctx, f.Sources, opts)
	var unfit *unfitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case t.same != nil:
		return &Outcome{t.same.ID, t.same.Head, true}, nil
	case errors.As(err, &unfit):
		f.Findings = append(f.Findings, unfit.findings...)
		return nil, nil
	case t.failure() != nil || diskspace.Full(err) || diskspace.ReadOnly(err):
		return nil, fmt.Errorf("adopt %s: %w", f.Name, err)
	case err != nil:
		f.add(CaptureFailed, "", err.Error())
		return nil, nil
	}
	return &Outcome{ID: res.ID, Head: res.Head}, nil
}

// freeStamp returns the first stamp from want on that no snapshot has, and those that have the stamps before it.
func freeStamp(ctx context.Context, store *localstore.Store, want manifest.Stamp) (free manifest.Stamp, before []manifest.ID, err error) {
	entries, err := store.Snapshots(ctx)
	if err != nil {
		return "", nil, err
	}
	_, owed, err := store.Owed(ctx)
	if err != nil {
		return "", nil, err
	}
	taken := map[manifest.Stamp][]manifest.ID{}
	for _, e := range slices.Concat(entries, owed) {
		taken[e.ID.Stamp] = append(taken[e.ID.Stamp], e.ID)
	}
	for free = want; len(taken[free]) > 0; free = manifest.StampOf(free.Time().Add(time.Second)) {
		before = append(before, taken[free]...)
	}
	return free, before, nil
}

// A target is the local store as the target of one adoption. It commits only what is sound and is not there yet.
type target struct {
	*localstore.Spool
	store  *localstore.Store
	before []manifest.ID // snapshots that may be the same
	same   *layout.Snapshot

	mu     sync.Mutex
	failed error // of the store: that is no fault of the old snapshot
}

// fail notes that the store failed, and returns err. That the capture was ended for another reason is no failure.
func (t *target) fail(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil && err != nil && !errors.Is(err, context.Canceled) {
		t.failed = err
	}
	return err
}

func (t *target) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// Create implements snapshot.Target.
func (t *target) Create(ctx context.Context, source string) (archive.Object, error) {
	o, err := t.Spool.Create(ctx, source)
	if err != nil {
		return nil, t.fail(err)
	}
	return object{o, t}, nil
}

// An object is an archive on its way into the store.
type object struct {
	archive.Object
	t *target
}

func (o object) Write(p []byte) (int, error) {
	n, err := o.Object.Write(p)
	return n, o.t.fail(err)
}

func (o object) Commit(a *manifest.Archive) error { return o.t.fail(o.Object.Commit(a)) }

// errPresent ends the capture of what was adopted before.
var errPresent = errors.New("it was adopted before")

// An unfitError says that what was captured is not what an adopted snapshot may be.
type unfitError struct{ findings []Finding }

func (e *unfitError) Error() string { return e.findings[0].Detail }

// Commit implements snapshot.Target.
func (t *target) Commit(ctx context.Context, id manifest.ID, stored []byte) error {
	err := t.commit(ctx, id, stored)
	if errors.Is(err, errPresent) || errors.As(err, new(*unfitError)) {
		return err
	}
	return t.fail(err)
}

func (t *target) commit(ctx context.Context, id manifest.ID, stored []byte) error {
	own := layout.Store{Store: remote.NewMemory(nil)} // the manifest is nowhere else yet
	if err := own.Commit(ctx, id, stored); err != nil {
		return err
	}
	snap, err := layout.OpenSnapshot(ctx, id, 1, own, t.store.Store)
	if err != nil {
		return err
	}
	if findings := unfit(snap.Head); len(findings) > 0 {
		return &unfitError{findings}
	}
	for _, other := range t.before {
		old, err := layout.OpenSnapshot(ctx, other, 1, t.store.Store)
		if err == nil && old.Head.Kind != manifest.Adopted {
			continue
		}
		same := false
		if err == nil {
			same, err = alike(ctx, old, snap)
		}
		switch {
		case damaged(err): // what cannot be read is not known to be the same
		case err != nil:
			return err
		case same:
			t.same = old
			if err := t.store.Pin(ctx, other); err != nil { // somebody may have removed the pin
				return err
			}
			return errPresent
		}
	}
	if err := t.store.Pin(ctx, id); err != nil {
		return err
	}
	return t.Spool.Commit(ctx, id, stored)
}

// damaged reports whether an error is about the bytes of a snapshot, and not about reading them.
func damaged(err error) bool {
	if errors.As(err, new(*archive.DamageError)) || errors.As(err, new(*manifest.FormatError)) {
		return true
	}
	return slices.ContainsFunc([]error{fs.ErrNotExist, manifest.ErrInvalid, layout.ErrDamaged, layout.ErrDigest}, func(kind error) bool { return errors.Is(err, kind) })
}

// unfit returns why a snapshot may not be adopted.
func unfit(h *manifest.Head) (findings []Finding) {
	for _, p := range h.Problems {
		switch {
		case p.Kind == layout.ProblemCorrupt:
			findings = append(findings, Finding{CaptureFailed, "", fmt.Sprintf("%s is corrupt: %s", p.Path, p.Detail)})
		case h.State != manifest.Complete:
			findings = append(findings, Finding{CaptureFailed, "", fmt.Sprintf("%s: %s: %s", p.Path, p.Kind, p.Detail)})
		}
	}
	return findings
}

// alike reports whether two snapshots have the same sources with the same files of the same content. Where they lay and when they were written
// does not matter: the backup directory may have been moved.
func alike(ctx context.Context, a, b *layout.Snapshot) (bool, error) {
	name := func(s manifest.Source) [2]string { return [2]string{s.Name, string(s.Type)} }
	if !slices.EqualFunc(a.Head.Sources, b.Head.Sources, func(a, b manifest.Source) bool { return name(a) == name(b) }) || a.Head.Files.Count != b.Head.Files.Count {
		return false, nil
	}
	next, stop := iter.Pull2(b.Files(ctx))
	defer stop()
	for f, err := range a.Files(ctx) {
		if err != nil {
			return false, err
		}
		g, err, ok := next()
		if err != nil {
			return false, err
		}
		if !ok || f.Path != g.Path || f.Type != g.Type || f.Size != g.Size || f.SHA256 != g.SHA256 || f.Link != g.Link {
			return false, nil
		}
	}
	return true, nil
}
