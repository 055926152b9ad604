package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/transfer"
)

// A pushed is one snapshot that a push or pull has copied.
type pushed struct {
	Stamp    manifest.Stamp `json:"stamp"`
	To       string         `json:"to"`
	Archives int64          `json:"archives"`
	Bytes    int64          `json:"bytes"`
	Present  int64          `json:"archives_present"`
}

// push copies snapshots of the local store to the remotes: those that are named, or all that are missing there.
func push(s *session, c *cli.Context) error {
	ctx := c.Context
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if len(cfg.Remotes) == 0 {
		return usagef("give --remote URL, or name remotes in the configuration", "there is no remote to push to")
	}
	local, app, release, err := s.openLocal(ctx, cfg, "push")
	if err != nil {
		return err
	}
	defer release()
	ids, err := s.toPush(ctx, local, c.Args().Slice())
	if err != nil {
		return err
	}
	remotes, failed, err := s.writableRemotes(ctx, cfg, local, app)
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	meter.Begin("send", 0)
	stop := s.watch(meter)
	done := []pushed{}
	for _, r := range remotes {
		copied, err := s.pushTo(ctx, placesFor(r, local, remotes), r, ids, meter)
		done = append(done, copied...)
		if err != nil {
			if ctx.Err() != nil {
				stop()
				return err
			}
			failed = append(failed, err)
			s.warn("%s", printable(err.Error()))
		}
	}
	stop()
	for _, p := range done {
		s.say("pushed %s to %s: %s in %s", p.Stamp, p.To, size(p.Bytes), count(p.Archives, "archive"))
	}
	if len(done) == 0 && len(failed) == 0 {
		s.say("nothing to push: every remote has what the local store has")
	}
	if err := s.document(map[string]any{"pushed": done}); err != nil {
		return err
	}
	if len(failed) > 0 {
		return &partialError{codeRemote, false, errors.Join(failed...)}
	}
	return nil
}

// toPush returns the snapshots that are named, or all of the local store, newest first.
func (s *session) toPush(ctx context.Context, local *localstore.Store, args []string) ([]manifest.ID, error) {
	c, err := layout.List(ctx, local.Store)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		ids := slices.Clone(c.IDs)
		slices.Reverse(ids)
		return ids, nil
	}
	var ids []manifest.ID
	for _, arg := range args {
		ref, err := manifest.ParseRef(arg, time.Local)
		if err != nil {
			return nil, usage(err)
		}
		id, skipped, err := c.Resolve(ctx, ref, s.now())
		if errors.Is(err, fs.ErrNotExist) {
			err = &noSnapshot{arg, local.Path(), skipped}
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// pushTo copies snapshots that a remote lacks. One of which archives are nowhere to be had is named and left out, and the others go; any
// other failure ends it.
func (s *session) pushTo(ctx context.Context, from []*place, r *place, ids []manifest.ID, meter *progress.Meter) ([]pushed, error) {
	there, err := listed(ctx, r.Store)
	if err != nil {
		return nil, fmt.Errorf("push to %s: %w", r.name, err)
	}
	var done []pushed
	var lost []error
	for _, id := range ids {
		if there[id] {
			continue
		}
		res, err := s.copySnapshot(ctx, id, from, r.Store, meter)
		switch {
		case err == nil:
			done = append(done, pushed{id.Stamp, r.url, res.Archives, res.Bytes, res.Present})
		case errors.Is(err, transfer.ErrUnreadable) && ctx.Err() == nil:
			lost = append(lost, fmt.Errorf("push %s to %s: %w", id.Stamp, r.name, err))
		default:
			return done, errors.Join(append(lost, fmt.Errorf("push %s to %s: %w", id.Stamp, r.name, err))...)
		}
	}
	return done, errors.Join(lost...)
}

// pull copies a snapshot from a remote to the local store, verified.
func pull(s *session, c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("lifeboat pull latest --remote URL", "pull needs one SNAPSHOT")
	}
	ctx := c.Context
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if len(cfg.Remotes) == 0 {
		return usagef("give --remote URL, or name remotes in the configuration", "there is no remote to pull from")
	}
	snap, has, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	local, app, release, err := s.openLocal(ctx, cfg, "pull")
	if err != nil {
		return err
	}
	defer release()
	if snap.Head.App != app {
		return &localstore.ForeignError{Store: local.Path(), App: app, Own: snap.Head.App}
	}
	meter := &progress.Meter{}
	meter.Begin("fetch", 0)
	stop := s.watch(meter)
	res, err := s.copySnapshot(ctx, snap.ID, has, local.Store, meter)
	stop()
	if err != nil {
		return fmt.Errorf("pull %s: %w", snap.ID.Stamp, err)
	}
	s.say("pulled %s to %s: %s in %s", snap.ID.Stamp, local.Path(), size(res.Bytes), count(res.Archives, "archive"))
	return s.document(map[string]any{"pulled": pushed{snap.ID.Stamp, local.Path(), res.Archives, res.Bytes, res.Present}})
}
