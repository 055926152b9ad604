package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/progress"
	"lifeboat/localstore"
)

const pullHelp = `Brings a snapshot to the local store, each archive verified before it is kept,
so that it can be restored without the remote.

   lifeboat pull latest --remote s3://bucket/app
   lifeboat pull latest@2006-01-02 --remote s3://bucket/app --store /mnt/big

Exit code 4: it is damaged there; 13: there is none that fits; 14: the remote
was not reached.

` + snapshotHelp

// pull copies a snapshot from a remote to the local store, verified.
func pull(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() != 1 {
		return usagef("lifeboat pull latest --remote URL", "pull needs one SNAPSHOT")
	}
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if len(cfg.Remotes) == 0 {
		return usagef("give --remote URL, or name remotes in lifeboat.yaml", "nothing says where to pull from")
	}
	snap, has, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	w, err := s.open(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer w.release()
	if snap.Head.App != w.app {
		return &localstore.ForeignError{Store: w.local.Path(), App: w.app, Own: snap.Head.App}
	}
	meter := &progress.Meter{}
	meter.Begin("fetch", 0)
	stop := s.watch(meter)
	defer stop()
	opts := s.sendOptions(meter)
	opts.Alone = true
	res, err := s.copySnapshot(ctx, snap.ID, has, w.local.Store, opts)
	if err != nil {
		return fmt.Errorf("pull %s: %w", snap.ID.Stamp, err)
	}
	stop()
	if res.Archives == 0 && has[0].name == "local" {
		s.say("%s is in %s already", snap.ID.Stamp, w.local.Path())
	} else {
		s.say("pulled %s to %s: %s in %s", snap.ID.Stamp, w.local.Path(), size(res.Bytes), count(res.Archives, "archive"))
	}
	return s.document(map[string]any{"pulled": newPushed(snap.ID, w.local.Path(), res)})
}
