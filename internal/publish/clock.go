package publish

import (
	"context"
	"errors"
	"time"

	"lifeboat/remote"
)

const (
	// Grace is for how long what no snapshot needs any longer stays in a store, and with it the manifest of a removed snapshot. It is
	// G in docs/format.md, section 6.
	Grace = 48 * time.Hour

	// Window is for how long somebody may act on what a listing showed, and how long after it was decided a request may take effect: a
	// server refuses one that was signed more than 15 minutes ago. It is T in docs/format.md, section 6.
	Window = 15 * time.Minute
)

// A Clock is a machine's.
type Clock interface {
	Now() Reading
	Sleep(ctx context.Context, d time.Duration) error
}

// A Reading is what the two clocks of a machine say at one moment. The wall clock goes on while the machine is suspended, and can be
// set; the other one stops, and cannot.
type Reading struct {
	Wall      time.Time
	Monotonic time.Duration // since some moment
}

// Since returns how much time has passed since an earlier reading of the same machine: at least as much as any of its clocks says.
func (r Reading) Since(earlier Reading) time.Duration {
	return max(r.Wall.Sub(earlier.Wall), r.Monotonic-earlier.Monotonic)
}

// System is the clock of this machine.
type System struct{}

var started = time.Now()

// Now implements Clock.
func (System) Now() Reading {
	now := time.Now()
	return Reading{Wall: now.Round(0), Monotonic: now.Sub(started)}
}

// Sleep implements Clock.
func (System) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ErrLate says that something was not begun since too much time has passed since the listing that it was decided on.
var ErrLate = errors.New("too much time has passed since the store was listed")

// Within calls request with a context in which no attempt of it is made when more than Window has passed since a reading; it is ErrLate then.
// So a request that is repeated while a server is away, or by a machine that was suspended, is not made days after it was decided.
//
// open reports that some attempt may not have been answered, and so may take effect even now, whatever came of the others.
func Within(ctx context.Context, c Clock, since Reading, request func(context.Context) error) (open bool, err error) {
	attempts := 0
	check := func() error {
		if c.Now().Since(since) > Window {
			return ErrLate
		}
		attempts++
		return nil
	}
	if err := check(); err != nil {
		return false, err
	}
	attempts = 0 // a store that makes one attempt only does not check
	err = request(remote.WithCheck(remote.WithPatience(ctx, Window), check))
	late := errors.Is(err, ErrLate)
	return attempts > 1 || late && attempts > 0 || err != nil && !late && !remote.IsRefusal(err), err
}
