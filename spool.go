package main

import (
	"context"
	"errors"
	"math"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/mounts"
	"lifeboat/internal/progress"
	"lifeboat/internal/zst"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

func spoolFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "spool-max", Usage: "let up to `SIZE`, such as 10GiB, wait in the local store to be sent", EnvVars: []string{"LIFEBOAT_SPOOL_MAX"}},
		&cli.StringFlag{Name: "max-pin", Usage: "give up when a database was read for `TIME` at a stretch (default: 1h)", EnvVars: []string{"LIFEBOAT_MAX_PIN"}},
		&cli.StringFlag{Name: "max-block", Usage: "let commits to a database in a rollback mode wait for up to `TIME` at a stretch (default: 2s)", EnvVars: []string{"LIFEBOAT_MAX_BLOCK"}},
		&cli.StringFlag{Name: "max-wal-growth", Usage: "give up when its write-ahead log grew by `SIZE` meanwhile (default: 1GiB)", EnvVars: []string{"LIFEBOAT_MAX_WAL_GROWTH"}},
	}
}

// spoolSettings puts the flags in the place of what the configuration says.
func (s *session) spoolSettings(l *config.Local) error {
	err := override(s, "spool-max", config.ParseSpool, &l.SpoolMax)
	if err == nil {
		err = override(s, "max-pin", config.ParseMaxPin, &l.MaxPin)
	}
	if err == nil {
		err = override(s, "max-block", config.ParseMaxBlock, &l.MaxBlock)
	}
	if err == nil {
		err = override(s, "max-wal-growth", config.ParseMaxWALGrowth, &l.MaxWALGrowth)
	}
	return err
}

// spool returns the local store as a target with the room that it has, and refuses a capture that cannot fit.
func (s *session) spool(ctx context.Context, w *writable, cfg *config.Config, c *layout.Catalog, previous *manifest.ID, sources []snapshot.Source, level zst.Level, meter *progress.Meter) (*localstore.Spool, error) {
	elsewhere := func(id manifest.ID) (every, some bool) {
		n := 0
		for _, store := range c.Where(id) {
			for _, r := range w.remotes {
				if r.Store == store {
					n++
				}
			}
		}
		return n > 0 && n == len(cfg.Remotes), n > 0
	}
	last := s.lastHead(ctx, c, previous)
	opts := localstore.SpoolOptions{Outlets: len(w.remotes), Waits: s.waits(meter)}
	if len(w.failed)+len(w.late) > 0 {
		opts.NoOutlet = errNoRemote
	}
	shedder := &localstore.Shedder{Store: w.local, Elsewhere: elsewhere, Dropped: func(id manifest.ID) {
		s.note("space is short: dropped the local copy of %s, which a remote has", id.Stamp)
	}}
	opts.Shed = shedder.Shed
	if last != nil && last.Stats.NewBytes > 0 && level != zst.Off { // at which nothing becomes smaller, whatever the last snapshot did
		opts.Ratio = min(1, float64(last.Stats.StoredBytes)/float64(last.Stats.NewBytes))
	}
	room, err := s.roomFor(ctx, w, cfg, elsewhere, &opts)
	if err != nil {
		return nil, err
	}
	opts.Largest = archiveLimit(room)
	spool := w.local.Spool(opts)
	return spool, s.foresee(ctx, spool, last, sources, len(w.remotes) > 0)
}

var errNoRemote = errors.New("no remote has answered")

// lastHead returns the head of the last snapshot, from which sizes are estimated, or nil.
func (s *session) lastHead(ctx context.Context, c *layout.Catalog, last *manifest.ID) *manifest.Head {
	if last == nil {
		return nil
	}
	head, err := c.Head(ctx, *last)
	if err != nil || head.Stats.Bytes <= 0 {
		return nil
	}
	return head
}

// roomFor sets how much room the spool has: spool_max, less what waits in it from earlier backups; or four fifths of what is free, less
// room for the logs that grow while databases are pinned.
func (s *session) roomFor(ctx context.Context, w *writable, cfg *config.Config, elsewhere func(manifest.ID) (every, some bool), opts *localstore.SpoolOptions) (int64, error) {
	free, err := diskspace.Free(w.local.Path())
	if err != nil {
		s.detail("how much is free at %s is not known: %v", w.local.Path(), err)
		free = 1 << 62
	}
	if cfg.Local.SpoolMax == 0 {
		opts.KeepFree = free/5 + min(int64(cfg.Local.MaxWALGrowth), free/5)
		return free - opts.KeepFree, nil
	}
	waiting, err := w.local.Size(ctx, func(id manifest.ID) bool {
		every, _ := elsewhere(id)
		return !every && len(cfg.Remotes) > 0
	})
	if err != nil {
		s.detail("what waits in the spool is not known: %v", err)
	}
	opts.Max, opts.Before = int64(cfg.Local.SpoolMax), waiting
	return min(int64(cfg.Local.SpoolMax), free), nil
}

// archiveLimit returns where archives end, so that some fit into the spool at a time. It goes by powers of two, so that a retry
// makes the same archives though a little more or less is free.
func archiveLimit(room int64) int64 {
	limit := int64(32 << 20)
	for limit > 1<<20 && limit > room/4 {
		limit /= 2
	}
	return limit
}

// mostRatio is how many times smaller than its sources a snapshot may be, as far as anybody is refused for it.
const mostRatio = 50

// foresee compares what a snapshot is likely to need with the room that there is. That it is likely not to fit is no reason to refuse it:
// what does not fit leaves the spool as it is sent. Only where nothing can leave it, a snapshot that cannot fit is refused.
func (s *session) foresee(ctx context.Context, spool *localstore.Spool, last *manifest.Head, sources []snapshot.Source, leaves bool) error {
	var need int64
	room := spool.Room()
	switch {
	case last != nil:
		need = last.Stats.StoredBytes
	case heldBy(sources) <= room:
		return nil // and nobody has to walk them
	default:
		need = measure(ctx, sources)
	}
	s.detail("about %s will be stored, as the last snapshot or the size of the sources tells; the spool has room for %s", size(need), size(room))
	if need <= room {
		return nil
	}
	if !leaves {
		return spool.Fit(ctx, measure(ctx, sources)/mostRatio)
	}
	s.note("about %s will be stored, and the spool has room for %s: what does not fit leaves it as it is sent, so the capture may wait for the network", size(need), size(room))
	return nil
}

// heldBy returns how many bytes the sources have at most, without a walk: what their file systems hold. Where that is not known, or others are mounted
// below them, it is more than anything.
func heldBy(sources []snapshot.Source) int64 {
	table, err := mounts.Points()
	if err != nil {
		return math.MaxInt64
	}
	var paths []string
	for _, src := range sources {
		if _, err := os.Stat(src.Path); err != nil {
			continue
		}
		if len(table.Below(src.Path)) > 0 {
			return math.MaxInt64
		}
		paths = append(paths, src.Path)
	}
	used, err := diskspace.Used(paths...)
	if err != nil {
		return math.MaxInt64
	}
	return used
}

// waits tells the meter, and who wants to know, that the capture waits for the network.
func (s *session) waits(meter *progress.Meter) func(bool) {
	var once sync.Once
	var began time.Time
	return func(waiting bool) {
		if waiting {
			began = s.now()
			meter.Wait("the network")
			once.Do(func() {
				s.note("the spool is full: the capture waits until something was sent")
			})
			return
		}
		meter.Wait("")
		s.detail("the capture waited %s for room in the spool", seconds(s.now().Sub(began).Seconds()))
	}
}
