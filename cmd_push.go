package main

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/transfer"
)

const pushHelp = `Sends the SNAPSHOTs of the local store to every remote that lacks them, or all
of them if none is named. What a cut push has sent is not sent again, and what
was removed from a remote (lifeboat prune) only if it is named. What a store has
lost of the snapshots that it lists is named too, and put back from the others.

   lifeboat push --remote s3://bucket/app
   lifeboat push latest --remote /mnt/disk

Exit code 4: an archive is damaged here and nowhere else to be had, and what
needs it was left out, or stays damaged; 10, 14: a remote is gone or was not
reached, and the others have everything.`

// A pushed is one snapshot that a push or pull has copied.
type pushed struct {
	Stamp    manifest.Stamp `json:"stamp"`
	To       string         `json:"to"`
	Archives int64          `json:"archives"`
	Bytes    int64          `json:"bytes"`
	Present  int64          `json:"archives_present"` // and so not copied
}

func newPushed(id manifest.ID, to string, res transfer.Result) pushed {
	return pushed{id.Stamp, to, res.Archives, res.Bytes, res.Present}
}

// push copies snapshots of the local store to the remotes: those that are named, or all that are missing there.
func push(s *session, c *cli.Context) error {
	ctx := c.Context
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if len(cfg.Remotes) == 0 {
		return usagef("give --remote URL, or name remotes in lifeboat.yaml", "nothing says where to push to")
	}
	if err := s.needsLocal(ctx, cfg); err != nil {
		return err
	}
	w, err := s.open(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer w.release()
	s.tellUnfinished(w.local)
	w.named = c.NArg() > 0
	ids, err := s.toPush(ctx, w, c.Args().Slice())
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	meter.Begin("send", 0)
	stop := s.watch(meter)
	defer stop()
	done := []pushed{}
	var outcomes []outcome
	send := func(remotes []*place) {
		for _, o := range sideBySide(remotes, func(_ int, r *place) ([]pushed, error) { return s.pushTo(ctx, w, r, ids, meter) }) {
			outcomes = append(outcomes, o)
			done = append(done, o.done...)
			if o.err != nil {
				w.failed = append(w.failed, o.err)
			}
		}
	}
	send(w.remotes)
	send(s.tryLate(ctx, w))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.healLocal(ctx, w, s.sendOptions(meter)); err != nil {
		return err
	}
	s.keepNeeds(w)
	stop()
	if !w.named {
		s.afterSending(ctx, w, outcomes, ids)
	}
	if len(w.failed) == 0 {
		s.retain(ctx, math.MaxInt, w) // whoever pushes to one remote means no harm to local copies
	}
	return s.finishPush(ctx, w, done)
}

func (s *session) finishPush(ctx context.Context, w *writable, done []pushed) error {
	failed := w.failed
	for _, p := range done {
		s.say("pushed %s to %s: %s in %s", p.Stamp, p.To, size(p.Bytes), count(p.Archives, "archive"))
	}
	hurt := s.tellRepaired(w)
	if len(failed) == 0 && len(done) == 0 && len(w.healing.found) == 0 {
		s.say("nothing to push: every remote has what the local store has")
	}
	for _, err := range failed {
		s.warn("%s", explain(err))
	}
	if err := s.document(struct {
		Pushed []pushed  `json:"pushed"`
		Failed []string  `json:"failed,omitempty"`
		Damage []*damage `json:"damage,omitempty"`
	}{done, messages(failed), w.healing.found}); err != nil {
		return err
	}
	switch {
	case hurt:
		return reported(codeIntegrity)
	case len(failed) == 0:
		return nil
	}
	return reported(classify(ctx, errors.Join(failed...)).code)
}

// toPush returns the snapshots that are named, or all of the local store.
func (s *session) toPush(ctx context.Context, w *writable, args []string) (ids []manifest.ID, err error) {
	if len(args) == 0 {
		return s.newestFirst(ctx, w)
	}
	places := []layout.Store{w.local.Store}
	if w.safety != nil {
		places = append(places, w.safety.Store)
	}
	c, err := layout.List(ctx, places...)
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		ref, err := manifest.ParseRef(arg, time.Local)
		if err != nil {
			return nil, usage(err)
		}
		id, skipped, err := c.Resolve(ctx, ref, s.now())
		if errors.Is(err, fs.ErrNotExist) {
			err = noSnapshot(arg, w.local.Path(), skipped)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
