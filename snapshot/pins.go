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
	mu   sync.Mutex
	held map[*sqlitedb.Pinned]pin
}

type pin struct {
	path  string
	since time.Time
	grown func() (int64, error)
}

// pinOne pins a database and has the pin watched.
func (t *take) pinOne(ctx context.Context, path string) (*sqlitedb.Pinned, error) {
	p, err := sqlitedb.Pin(ctx, path, sqlitedb.Options{Scratch: t.scratch, Wait: t.opts.LockWait})
	if err != nil || !p.Live() {
		return p, err
	}
	t.pins.mu.Lock()
	defer t.pins.mu.Unlock()
	t.pins.held[p] = pin{path, t.opts.Now(), p.WatchWAL()}
	return p, nil
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
	t.pins.held = map[*sqlitedb.Pinned]pin{}
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

// check returns a *PinLimitError if a pin has passed a limit. A log that cannot be looked at is not counted.
func (p *pins) check(opts Options) error {
	p.mu.Lock()
	defer p.mu.Unlock()
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

// A room is what was set aside in the spool for a database under whose pin nobody can commit. The zero room is none.
type room struct{ giveBack func() (cut bool) }

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

// pinWithRoom pins a database. One that nobody can commit to meanwhile gets room in the spool first, so that it need not wait for
// any once it is pinned: quiet is called before, and with true if there must be no open archive either.
func (t *take) pinWithRoom(ctx context.Context, source, path string, quiet func(cut bool) error) (p *sqlitedb.Pinned, got room, err error) {
	defer func() {
		if err != nil {
			got.release()
			got = room{}
		}
	}()
	needs := t.spool != nil && inRollbackMode(path)
	for {
		if needs {
			if got, err = t.roomFor(ctx, source, path, quiet); err != nil {
				return nil, got, err
			}
		}
		p, err = t.pinOne(ctx, path)
		if err != nil || needs || t.spool == nil || !p.BlocksCommits() {
			return p, got, err
		}
		t.unpin(p) // its mode was changed just now
		needs = true
	}
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
	return room{release}, nil
}

// pin pins a database that the walk met.
func (r *reader) pin(rel string) (*sqlitedb.Pinned, room, error) {
	return r.c.t.pinWithRoom(r.ctx, r.c.Source.Name, r.abs(rel), r.reach)
}

// reach waits until the packer has taken all that was handed to it, and so does not wait for room.
func (r *reader) reach(cut bool) error {
	reached := make(chan struct{})
	if err := r.send(item{cut: cut, reached: reached}); err != nil {
		return err
	}
	select {
	case <-reached:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func inRollbackMode(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var header [20]byte
	n, _ := f.Read(header[:])
	return sqlitedb.InRollbackMode(header[:n])
}
