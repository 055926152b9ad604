package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/sqlitedb"
)

// waitTogether is how long a lock is waited for while several databases are pinned at one instant. One that is locked for longer is pinned
// later, with all the patience that there is.
const waitTogether = time.Second

// A waiting database was pinned before the walk came to it.
type waiting struct {
	candidate
	p *sqlitedb.Pinned // nil if it was found to be what the base has, and let go

	known    *known    // that, if p is nil
	from, to time.Time // when that was so
}

// pinTogether pins the databases that are in use at one instant, if that can be had. Those that are sources are handed to their captures, the
// others wait in t.pins until the walk claims them. What could not be pinned is left as it was.
//
// A read transaction that waits costs its application nothing but that the log cannot be reset meanwhile, so it waits no longer than a part of what
// max_pin and max_wal_growth allow: see pins.check.
func (t *take) pinTogether(ctx context.Context) error {
	list, more := t.candidates(ctx)
	if len(list) == 0 {
		return ctx.Err()
	}
	paths := make([]string, len(list))
	for i, x := range list {
		paths[i] = x.path
	}
	var got *sqlitedb.Together
	opts := sqlitedb.TogetherOptions{
		Options: sqlitedb.Options{Scratch: t.scratch, Wait: min(cmp.Or(t.opts.LockWait, waitTogether), waitTogether), MaxBlock: t.opts.MaxBlock, Beside: besideFrom, LiveOnly: true},
		Tries:   t.opts.Tries, Barrier: t.opts.Barrier && len(list) > 1,
		Between: func(i int) { t.watchPin(got.Pins[i], paths[i]) },
	}
	got, err := sqlitedb.PinTogether(ctx, paths, opts)
	if err != nil {
		return context.Cause(ctx)
	}
	t.barrier = got.Locked
	if t.opts.Barrier {
		t.apart = t.whyApart(list, more, got)
	}
	members := make([]*waiting, 0, len(list))
	for i, p := range got.Pins {
		if p != nil {
			t.watchPin(p, paths[i])
			members = append(members, &waiting{candidate: list[i], p: p})
		}
	}
	if members, err = t.letGoTogether(ctx, members); err != nil {
		return err
	}
	for _, m := range members {
		if m.rel == "." {
			m.c.pinned = m.p
		} else {
			t.wait(m)
		}
	}
	return nil
}

// whyApart returns a function that says why databases are not of one instant although writers were to be kept waiting for that, if it turns out that they
// are not.
func (t *take) whyApart(list []candidate, more int, got *sqlitedb.Together) func() {
	first := list[0]
	err := got.NoBarrier
	if barrier, ok := errors.AsType[*sqlitedb.BarrierError](err); ok {
		for i, p := range got.Pins {
			if p != nil && p.Path() == barrier.Path {
				first, err = list[i], fmt.Errorf("it could not be locked for a moment: %w", barrier.Err)
			}
		}
	}
	if err == nil && more > 0 {
		err = fmt.Errorf("%d are pinned together at most, and %d more may be in use", maxTogether, more)
	}
	if err == nil {
		return nil
	}
	return func() {
		t.problems.add(problemApart, first.c.Source.Name, first.c.path(first.rel), fmt.Errorf("not everything is of one instant, though barrier is set: %w", err))
	}
}

// letGoTogether lets the writers go of databases to which nobody can commit while they are pinned, of all at once: each is copied, unless the base has it.
// Those of directories for which there is no room are unpinned, and the walk will pin them again; sources are left as they are. It returns the others.
func (t *take) letGoTogether(ctx context.Context, members []*waiting) ([]*waiting, error) {
	budget := copyBudget(t.scratch)
	var copied []*waiting
	drop := map[*waiting]bool{}
	for _, m := range members {
		switch {
		case !m.p.BlocksCommits():
		case m.rel == "." && m.c.restsAt(m.p):
			drop[m] = true
		case m.rel != "." && t.asInBase(m):
		case m.p.Size() <= budget:
			budget -= m.p.Size()
			copied = append(copied, m)
		case m.rel != ".":
			t.unpin(m.p)
			drop[m] = true
		}
	}
	// All at once, for those of which the copy has not begun keep their writers waiting.
	failed := make([]error, len(copied))
	var all sync.WaitGroup
	for i, m := range copied {
		all.Go(func() {
			if failed[i] = m.p.Detach(ctx); failed[i] == nil {
				t.watchPin(m.p, m.path)
			}
		})
	}
	all.Wait()
	for i, m := range copied {
		if failed[i] != nil {
			t.unpin(m.p)
			drop[m] = true // also a source: what is wrong will show when it is pinned by itself
		}
	}
	left := slices.DeleteFunc(members, func(m *waiting) bool { return drop[m] })
	if ctx.Err() != nil {
		for _, m := range left {
			if m.p != nil {
				t.unpin(m.p)
			}
		}
		return nil, context.Cause(ctx)
	}
	return left, nil
}

// copyBudget returns how many bytes of databases may wait in the scratch directory: a part of what is free there, which is often where the spool
// is too.
func copyBudget(scratch string) int64 {
	free, err := diskspace.Free(scratch)
	if err != nil {
		return 1 << 30
	}
	return max(0, free-reserve) / 4
}

// asInBase ends the pin of a database under which nobody can commit, if it is as the base has it. Then nothing of it needs to be read.
func (t *take) asInBase(m *waiting) bool {
	if t.opts.ReadAll {
		return false
	}
	k, err := t.opts.Base.database(m.c.Source.Name, m.c.path(m.rel))
	if err != nil || !k.is(m.p) {
		return false
	}
	m.known = k
	m.from, m.to = m.p.Span()
	t.unpin(m.p)
	m.p = nil
	return true
}

// wait has a database wait for the walk.
func (t *take) wait(m *waiting) {
	t.pins.mu.Lock()
	defer t.pins.mu.Unlock()
	t.pins.waiting[m.place()] = m
}

// claim returns a database that waits, if it is this file that was pinned, or nil. Its pin is the caller's from then on.
func (t *take) claim(path string, fi fs.FileInfo) *waiting {
	t.pins.mu.Lock()
	m := t.pins.waiting[path]
	delete(t.pins.waiting, path)
	t.pins.mu.Unlock()
	switch {
	case m == nil:
	case m.p == nil:
		if st, ok := statOf(fi); ok && st.dev == m.known.proof.file.Dev && st.ino == m.known.proof.file.Ino {
			return m
		}
	case m.p.Is(fi):
		return m
	default:
		t.unpin(m.p)
	}
	return nil
}

// releaseWaiting ends the pins that the walk of a source did not claim, or all if that is nil.
func (t *take) releaseWaiting(of *capture) {
	var list []*sqlitedb.Pinned
	t.pins.mu.Lock()
	for path, m := range t.pins.waiting {
		if of == nil || m.c == of {
			if delete(t.pins.waiting, path); m.p != nil {
				list = append(list, m.p)
			}
		}
	}
	t.pins.mu.Unlock()
	for _, p := range list {
		t.unpin(p)
	}
}

// span returns from when to when what is pinned is known to have been the newest state of a database. It must be called before unpin.
func (t *take) span(ctx context.Context, p *sqlitedb.Pinned) (from, to time.Time) {
	p.Extend(ctx)
	from, to = p.Span()
	looks, _ := p.Before()
	if p.Read() == sqlitedb.ReadUnlocked && looks.Main.Changed != 0 { // a file at rest, to which nobody committed since
		if changed := time.Unix(0, looks.Main.Changed).Add(tick); changed.Before(from) {
			from = changed
		}
	}
	return from, to
}
