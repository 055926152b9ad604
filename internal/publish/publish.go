// Package publish makes a snapshot exist in a store to which others write, and from which others remove, at the same time. There is no lock:
// everybody keeps the rules of docs/format.md, section 6, and no listed snapshot ever lacks an archive. This is the writer's part;
// package prune has the other.
package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Options are choices that have a good default.
type Options struct {
	Near    []layout.Store // where manifests are looked for before the store is asked for them
	Waiting func(Waiting)  // told when a prune is waited for, and then once a minute; may be nil
	Clock   Clock          // nil means System

	// Looked is a look at the store since which the caller has stored nothing there, or nil. If it was at a time when no prune was running, and is
	// young enough, the first listing is left out. It is by the same clock.
	Looked *Present
}

// Waiting is for a prune that runs in a store, or that was killed there.
type Waiting struct {
	Store string
	Since time.Duration // how long ago the prune marked that it begins
	Left  time.Duration // it is over after this time at the latest
}

const (
	// over is the age of the mark of a prune after which none of its requests can take effect any more: it makes none when Window has
	// passed, and the last one takes effect within Window.
	over = 2 * Window

	// granule is how far two times of a store may be wrong against each other: they are cut to a second, and the clock may be seen late.
	granule = 2 * time.Second

	maxRounds = 8 // listings on which nothing could be published
)

// Commit makes a snapshot exist in a store. It stores the manifest when a listing showed that every archive which it needs is there and
// may be leaned on; others it gives to again, which stores them, whether they are there or not. While a prune is running
// it waits. When Commit returns nil, everything was there after the manifest was; when it fails, the snapshot may be listed, and
// whoever can bring back its archives must keep them and call Commit again.
//
// For a store without much in it, it costs two listings, one of which the caller may have made already.
func Commit(ctx context.Context, snap *layout.Snapshot, to layout.Store, opts Options, again func(context.Context, []Need) error) error {
	if opts.Clock == nil {
		opts.Clock = System{}
	}
	c := &commit{snap: snap, to: to, opts: opts, again: again}
	for range maxRounds {
		done, err := c.round(ctx)
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("publish %s in %s: %d times, archives were gone or too much time had passed since the store was listed; "+
		"does something else remove objects there?", snap.ID.Stamp, to, maxRounds)
}

type commit struct {
	snap  *layout.Snapshot
	to    layout.Store
	opts  Options
	again func(context.Context, []Need) error
	names Names
}

// round lists the store, and publishes if what it lists allows it.
func (c *commit) round(ctx context.Context) (done bool, err error) {
	present, err := c.atRest(ctx)
	if err != nil {
		return false, err
	}
	unsafe, err := c.without(ctx, present.Has)
	if err != nil {
		return false, err
	}
	if len(unsafe) > 0 {
		return false, c.again(ctx, unsafe)
	}
	_, err = Within(ctx, c.opts.Clock, present.began, func(ctx context.Context) error { return c.to.Commit(ctx, c.snap.ID, c.snap.Stored) })
	if errors.Is(err, ErrLate) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return c.whole(ctx)
}

// whole lists the store once more, now that the snapshot is there.
func (c *commit) whole(ctx context.Context) (bool, error) {
	there := map[manifest.Hash]int64{}
	for a, err := range c.to.ListArchives(ctx) {
		if err != nil {
			return false, err
		}
		there[a.SHA256] = a.Size
	}
	gone, err := c.without(ctx, func(_ context.Context, h manifest.Hash, size int64) (bool, error) {
		n, ok := there[h]
		return ok && n == size, nil
	})
	if err != nil || len(gone) == 0 {
		return err == nil, err
	}
	return false, c.again(ctx, gone)
}

// without returns the archives that the snapshot needs and of which has reports false.
func (c *commit) without(ctx context.Context, has func(context.Context, manifest.Hash, int64) (bool, error)) (list []Need, err error) {
	seen := map[manifest.Hash]bool{}
	for need, err := range Needs(ctx, c.snap) {
		if err != nil {
			return nil, err
		}
		ok, err := has(ctx, need.SHA256, need.Size)
		if err != nil {
			return nil, err
		}
		if !ok && !seen[need.SHA256] {
			seen[need.SHA256] = true
			list = append(list, need)
		}
	}
	return list, nil
}

// atRest lists the store at a time when no prune is running, unless the caller has done so, and returns what it lists. A listing is in
// order of keys, so marks come last in it: a prune that it does not show began when the archives were listed already. One that ended while
// the listing went on may have removed what the listing shows, so then there is another.
func (c *commit) atRest(ctx context.Context) (*Present, error) {
	looked := c.opts.Looked
	c.opts.Looked = nil // once
	for {
		if looked != nil && looked.atRest() {
			return looked, nil
		}
		if looked != nil {
			if err := c.wait(ctx); err != nil {
				return nil, err
			}
		}
		var err error
		if looked, err = look(ctx, c.opts.Clock, c.to, c.opts.Near, &c.names); err != nil {
			return nil, err
		}
	}
}

// atRest reports that no prune that left one of these marks has done anything since a moment.
func atRest(marks []layout.Mark, since time.Time) bool {
	for _, m := range marks {
		if running(m, since) > 0 || m.Ended && since.Sub(m.ModTime) < granule {
			return false
		}
	}
	return true
}

// running returns for how long the prune that left a mark may still have an effect.
func running(m layout.Mark, now time.Time) time.Duration {
	if m.Ended {
		return 0
	}
	return max(0, over+granule-now.Sub(m.ModTime))
}

// wait waits until no prune is running, as far as can be seen, and a little longer.
func (c *commit) wait(ctx context.Context) error {
	var told Reading
	for pause := granule; ; pause = min(2*pause, time.Minute) {
		if err := c.opts.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		marks, err := c.to.Marks(ctx)
		if err != nil {
			return err
		}
		now, err := c.to.Now(ctx)
		if err != nil {
			return err
		}
		w := Waiting{Store: c.to.String()}
		for _, m := range marks {
			if left := running(m, now); left > w.Left {
				w.Left, w.Since = left, max(0, now.Sub(m.ModTime))
			}
		}
		if w.Left == 0 {
			return nil
		}
		if at := c.opts.Clock.Now(); c.opts.Waiting != nil && (told == Reading{} || at.Since(told) >= time.Minute) {
			told = at
			c.opts.Waiting(w)
		}
	}
}
