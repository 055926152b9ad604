package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/sqlitedb"
)

// How long a database is pinned at most, unless Options say otherwise. While it is, its log cannot be reset.
const (
	DefaultMaxPin       = time.Hour
	DefaultMaxWALGrowth = 1 << 30 // bytes
)

// A PinLimitError reports that a database was pinned too long, or that its log grew too much meanwhile. It is no longer
// pinned, so the log can be reset.
type PinLimitError struct {
	Path     string
	Held     time.Duration
	Grown    int64         // bytes
	MaxPin   time.Duration // 0 if it is not this that was passed
	MaxGrown int64         // bytes; likewise
}

func (e *PinLimitError) Error() string {
	if e.MaxPin > 0 {
		return fmt.Sprintf("database %s: its read transaction was ended after %s, since max_pin is %s", e.Path, e.Held.Round(time.Millisecond), e.MaxPin)
	}
	return fmt.Sprintf("database %s: its read transaction was ended, since the write-ahead log had grown by %s and max_wal_growth is %s",
		e.Path, humanize.IBytes(uint64(e.Grown)), humanize.IBytes(uint64(e.MaxGrown)))
}

// pins are the databases that are pinned now and that somebody feels.
type pins struct {
	mu      sync.Mutex
	held    map[*sqlitedb.Pinned]pin
	waiting map[string]*waiting // for the walk, by path
}

type pin struct {
	path  string
	since time.Time
	grown func() (int64, error)
}

// besideFrom is from how many bytes on a database is checked while it is read, and not after that.
const besideFrom = 8 << 20

// pinOne pins a database and has the pin watched.
func (t *take) pinOne(ctx context.Context, path string) (*sqlitedb.Pinned, error) {
	var p *sqlitedb.Pinned
	opts := sqlitedb.Options{Scratch: t.scratch, Wait: t.opts.LockWait, MaxBlock: t.opts.MaxBlock, Beside: besideFrom, Between: func() { t.watchPin(p, path) }}
	var err error
	if p, err = sqlitedb.Pin(ctx, path, opts); err == nil {
		t.watchPin(p, path)
	}
	return p, err
}

// watchPin has a pin watched from now on, if it is one that somebody feels.
func (t *take) watchPin(p *sqlitedb.Pinned, path string) {
	t.pins.mu.Lock()
	defer t.pins.mu.Unlock()
	delete(t.pins.held, p)
	if p.Live() {
		t.pins.held[p] = pin{path, t.opts.Now(), p.WatchWAL()}
	}
}

// unpin ends a pin. It may be called again.
func (t *take) unpin(p *sqlitedb.Pinned) {
	t.pins.mu.Lock()
	delete(t.pins.held, p)
	t.pins.mu.Unlock()
	p.Close()
}

// pinEvery is how often the pins are looked at.
const pinEvery = 250 * time.Millisecond

// watchPins looks at the pins until stop is called, whatever those who hold them are waiting for. When one passes a limit, the context
// ends with a *PinLimitError, and with it the capture.
func (t *take) watchPins(ctx context.Context) (_ context.Context, stop func()) {
	t.pins.held, t.pins.waiting = map[*sqlitedb.Pinned]pin{}, map[string]*waiting{}
	if t.opts.MaxPin <= 0 {
		t.opts.MaxPin = DefaultMaxPin
	}
	if t.opts.MaxWALGrowth <= 0 {
		t.opts.MaxWALGrowth = DefaultMaxWALGrowth
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pinEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := t.pins.check(t.opts); err != nil {
				cancel(err)
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// ofLimits is what part of the limits a database may use up that waits for the walk. Then its transaction ends, and it is pinned anew when the walk
// comes to it, with all of the time that reading it may take.
const ofLimits = 4

// check returns a *PinLimitError if a pin has passed a limit. A log that cannot be looked at is not counted.
func (p *pins) check(opts Options) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path, m := range p.waiting {
		held, ok := p.held[m.p]
		if !ok {
			continue
		}
		grown, _ := held.grown()
		if opts.Now().Sub(held.since) > opts.MaxPin/ofLimits || grown > opts.MaxWALGrowth/ofLimits {
			delete(p.waiting, path)
			delete(p.held, m.p)
			m.p.Close()
		}
	}
	for _, held := range p.held {
		age := opts.Now().Sub(held.since)
		if age > opts.MaxPin {
			return &PinLimitError{Path: held.path, Held: age, MaxPin: opts.MaxPin}
		}
		if grown, err := held.grown(); err == nil && grown > opts.MaxWALGrowth {
			return &PinLimitError{Path: held.path, Held: age, Grown: grown, MaxGrown: opts.MaxWALGrowth}
		}
	}
	return nil
}

// A room is what was set aside in the spool for a database under whose pin nobody can commit, since there is no room for a copy of it. The zero
// room is none.
type room struct {
	giveBack func() (cut bool)
	why      error // there is no copy
}

func (r *room) release() (cut bool) {
	if r.giveBack == nil {
		return false
	}
	cut = r.giveBack()
	r.giveBack = nil
	return cut
}

// A roomError says that there is none.
type roomError struct{ error }

func (e *roomError) Unwrap() error { return e.error }

// noRoom reports whether a database could not be pinned for want of space of our own, in the spool or for a copy. That is
// no fault of the source, so it is no problem of the snapshot but the failure of the capture.
func noRoom(err error) bool { return errors.As(err, new(*roomError)) || diskspace.Full(err) }

// letGo has a database copied that nobody can commit to while it is pinned, so that they can: see sqlitedb.Pinned.Detach. Where there is no room for
// a copy, it is pinned until it was packed, and gets room in the spool before, so that it need not wait for any meanwhile. quiet is called before
// that, and with true if there must be no open archive either. p is closed when that fails.
func (t *take) letGo(ctx context.Context, source, path string, p *sqlitedb.Pinned, quiet func(cut bool) error) (_ *sqlitedb.Pinned, got room, err error) {
	defer func() {
		if err != nil {
			t.unpin(p)
			got.release()
			got = room{}
		}
	}()
	if !p.BlocksCommits() {
		return p, got, nil
	}
	why := roomForCopy(t.scratch, p.Size())
	if why == nil {
		if why = p.Detach(ctx); why == nil {
			t.watchPin(p, path)
			return p, got, nil
		}
		if !diskspace.Full(why) {
			return p, got, why
		}
	}
	t.unpin(p)
	if t.spool != nil {
		if got, err = t.roomFor(ctx, source, path, quiet); err != nil {
			return p, got, err
		}
	}
	got.why = why
	again, err := t.pinOne(ctx, path)
	if err != nil {
		return p, got, err
	}
	return again, got, nil
}

// reserve is what a copy leaves free for all else that is put into the scratch directory, in bytes; or half of what there is, if that is less.
const reserve = 64 << 20

// roomForCopy returns a *diskspace.NotEnoughError if a copy of so many bytes should not be made. Where the system does not tell, it is tried.
func roomForCopy(dir string, bytes int64) error {
	free, err := diskspace.Free(dir)
	if err != nil {
		return nil
	}
	if need := bytes + min(reserve, free/2); need > free {
		return &diskspace.NotEnoughError{Path: dir, Need: need, Free: free}
	}
	return nil
}

func (t *take) roomFor(ctx context.Context, source, path string, quiet func(cut bool) error) (room, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return room{}, err
	}
	if err := quiet(false); err != nil {
		return room{}, err
	}
	release, err := t.spool.Reserve(ctx, source, fi.Size(), func() error { return quiet(true) })
	if err != nil {
		return room{}, &roomError{fmt.Errorf("database %s: %w", path, err)}
	}
	return room{giveBack: release}, nil
}

// pin pins a database that the walk met.
func (r *reader) pin(rel string) (*sqlitedb.Pinned, error) { return r.c.t.pinOne(r.ctx, r.abs(rel)) }

// reach waits until the packer has taken all that was handed to it, and so does not wait for room.
func (r *reader) reach(cut bool) error { return r.arrive(item{cut: cut}) }

// arrive hands an item to the packer and waits until it was taken, with all before it.
func (r *reader) arrive(it item) error {
	reached := make(chan struct{})
	it.reached = reached
	if err := r.send(it); err != nil {
		return err
	}
	select {
	case <-reached:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}
