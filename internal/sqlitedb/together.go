package sqlitedb

import (
	"context"
	"errors"
	"slices"
	"time"
)

// mostTries is how often PinTogether tries before it settles for less, unless TogetherOptions say otherwise. Against a writer that never
// rests, three tries are the usual.
const mostTries = 50

// TogetherOptions say how PinTogether goes about it.
type TogetherOptions struct {
	Options
	// Tries is how often a moment is looked for in which nothing was committed; 0 means 50, and less than 0 not once.
	Tries int
	// Barrier has the writers wait for a moment if there was none: see PinTogether.
	Barrier bool
	// Between, if it is not nil, is what Options.Between is to the database with this index.
	Between func(i int)
	// Pinned, if it is not nil, is called before each try, when all databases are pinned, and so is it under the barrier.
	Pinned func()
}

// Together are databases that were pinned together.
type Together struct {
	Pins   []*Pinned // in the order of their paths; nil for one that could not be pinned
	Errs   []error   // why not; else nil
	Proven bool      // there was a moment at which every one of these states was the newest of its database
	// Locked is for how long nobody could commit to those in WAL mode, if the barrier was used.
	Locked time.Duration
	// NoBarrier is why it did not help, if it was used: no permission to lock a database (BarrierError), or somebody else had one locked for too long.
	NoBarrier error

	hot   []int     // those that were committed to lately
	since time.Time // when the first was pinned to which nobody can commit meanwhile
}

// PinTogether pins several databases, in this order, and proves, if it can, that they are pinned at one instant. Each pin must be closed, or all of them
// with Close. Pins that keep writers from committing should come last, and be detached; they are still those of one instant unless one of them was
// moved: see Pinned.Moved.
//
// First it locks nobody out. It pins all, and asks then whether nothing was committed to any of them since; between the last pin and the first
// question lies the instant. Where something was, the pin is renewed, and all are asked again. Databases that are committed to without a pause may
// defeat that.
//
// Then, with Barrier, it opens those in WAL mode for writing, begins in each a transaction that writes nothing (BEGIN IMMEDIATE), which keeps others
// from beginning one, renews the pins, asks, and rolls back. Nothing is written to any file: the lock is one of those in the -shm, and as long as the pin is there,
// the connection that goes is not the last one, which would checkpoint. In a rollback mode the pin itself does that. That nothing was committed is
// asked all the same: what is proved does not depend on the locks. Nobody is made to wait for long: while it has the lock of one database, it waits for
// that of another for a tenth of a second, and lets all go if that was not enough.
//
// Only when ctx ends is there an error, and nothing is left pinned.
func PinTogether(ctx context.Context, paths []string, opt TogetherOptions) (*Together, error) {
	opt.watch = true
	t := &Together{Pins: make([]*Pinned, len(paths)), Errs: make([]error, len(paths))}
	if err := t.run(ctx, paths, opt); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Together) run(ctx context.Context, paths []string, opt TogetherOptions) (err error) {
	for i := range paths {
		if err := t.pin(ctx, paths, i, opt); err != nil {
			return err
		}
	}
	tries := opt.Tries
	if tries == 0 {
		tries = mostTries
	}
	for range tries {
		if t.Proven, err = t.settle(ctx, paths, opt); t.Proven || err != nil {
			return err
		}
	}
	if opt.Barrier {
		t.NoBarrier = t.barrier(ctx, paths, opt)
	}
	return ctx.Err()
}

// Close closes all pins.
func (t *Together) Close() {
	for i, p := range t.Pins {
		if p != nil {
			p.Close()
			t.Pins[i] = nil
		}
	}
}

// pin pins one of them, or notes why not.
func (t *Together) pin(ctx context.Context, paths []string, i int, opt TogetherOptions) error {
	one := opt.Options
	if opt.Between != nil {
		one.Between = func() { opt.Between(i) }
	}
	if one.Wait <= 0 {
		one.Wait = defaultWait
	}
	wait := one.Wait
	if !t.since.IsZero() { // others wait for us, so all that we wait for together is bounded
		one.Wait = max(time.Millisecond, wait-time.Since(t.since))
	}
	t.Pins[i], t.Errs[i] = Pin(ctx, paths[i], one)
	if p := t.Pins[i]; p != nil {
		p.opt.Wait = wait
		if t.since.IsZero() && p.BlocksCommits() {
			t.since = time.Now()
		}
	}
	return ctx.Err()
}

// settle reports whether the pins are those of one instant, and renews those that are not the newest any more.
func (t *Together) settle(ctx context.Context, paths []string, opt TogetherOptions) (bool, error) {
	if opt.Pinned != nil {
		opt.Pinned()
	}
	// Those that were renewed just now come first, for with these it is a matter of time.
	var moved []int
	asked := make([]bool, len(paths))
	ask := func(i int) {
		p := t.Pins[i]
		if p == nil || asked[i] {
			return
		}
		asked[i] = true
		switch current, err := p.current(ctx); {
		case err != nil:
			p.Close()
			t.Pins[i], t.Errs[i] = nil, err
		case !current:
			moved = append(moved, i)
		}
	}
	for _, i := range t.hot {
		ask(i)
	}
	for i := range paths {
		ask(i)
	}
	for _, i := range moved {
		if t.Pins[i].renew(ctx) == nil {
			continue
		}
		t.Pins[i].Close()
		if err := t.pin(ctx, paths, i, opt); err != nil {
			return false, err
		}
	}
	for _, i := range moved {
		if !slices.Contains(t.hot, i) {
			t.hot = append(t.hot, i)
		}
	}
	return len(moved) == 0, ctx.Err()
}

// A probe is a second connection, which sees what is committed after the pin.
type probe struct {
	conn   *conn
	before int64
}

// openProbe must come before the pin, or else what is committed in between would go unnoticed.
func openProbe(ctx context.Context, path string, opt Options) (*probe, error) {
	c, err := open(ctx, path, "mode=ro"+opt.busy())
	if err != nil {
		return nil, err
	}
	p := &probe{conn: c}
	if p.before, err = p.version(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return p, nil
}

// version changes when another connection commits: https://www.sqlite.org/pragma.html#pragma_data_version.
func (p *probe) version(ctx context.Context) (n int64, err error) {
	err = p.conn.QueryRowContext(ctx, "PRAGMA main.data_version").Scan(&n)
	return n, err
}

// current reports whether nothing was committed since the pin. If so, Span reaches until then.
func (p *Pinned) current(ctx context.Context) (bool, error) {
	now := time.Now()
	err := p.verify()
	switch {
	case p.staged != "":
		err = p.origin.check()
	case p.conn == nil:
		err = guard{p.source.path: p.source.before}.check()
	case p.probe != nil:
		version, err := p.probe.version(ctx)
		if err != nil || version != p.probe.before {
			return false, err
		}
	case p.guard == nil:
		return false, nil // nobody knows
	}
	if errors.Is(err, ErrChanged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.until, p.paired = now, p.second != nil
	return true, nil
}

// renew moves the pin of a live database to the present. It fails for any other, which must be pinned anew, and for one in a rollback mode, which may
// be in another one as soon as its transaction ends.
func (p *Pinned) renew(ctx context.Context) (err error) {
	if p.probe == nil || p.BlocksCommits() {
		return errAgain
	}
	if p.paired = false; p.second != nil && p.second.exec(ctx, "ROLLBACK") != nil {
		p.leave()
	}
	if err := p.conn.exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	wal, err := stampOf(p.source.path + "-wal")
	if err != nil {
		return err
	}
	if p.looks, err = looksAt(p.source.path); err != nil {
		return err
	}
	p.wal, p.heldFrom = wal.size, time.Now()
	if p.probe.before, err = p.probe.version(ctx); err != nil {
		return err
	}
	if err := p.read(ctx, p.conn); err != nil {
		return err
	}
	if p.wantsSecond() {
		p.follow(ctx)
	}
	return nil
}
