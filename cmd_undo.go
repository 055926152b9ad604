package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/swap"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
)

const undoHelp = `Puts back what the last restore in place replaced, as it was, and finishes a
restore that was cut in the middle by going back. What was written since is kept
as a safety snapshot. On a machine that was empty, it removes what the restore
laid down.

   lifeboat undo --confirm-service-stopped

It is possible until the old state is removed: --keep-old of the restore, seven
days unless it said otherwise.

Exit code 8: something would be lost, or is in use, or there is nothing to undo;
nothing was changed.`

func undoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "confirm-service-stopped", Usage: "what uses the files has been stopped"},
		&cli.BoolFlag{Name: "no-pre-snapshot", Usage: "take no safety snapshot of what was written since"},
		waitFlag(),
	}
}

// undone is the document of undo, and of restore --resume.
type undone struct {
	Stamp              string          `json:"stamp"` // of the snapshot that had been restored
	Swap               string          `json:"swap"`
	State              swap.State      `json:"state"`
	Targets            []string        `json:"targets"`
	PreRestoreSnapshot *manifest.Stamp `json:"pre_restore_snapshot"`
	Strays             []string        `json:"strays,omitempty"` // what had appeared there in the middle, where it is kept now
}

// undo puts back what the last restore replaced.
func undo(s *session, c *cli.Context) error {
	ctx := c.Context
	w, err := s.openLocal(ctx)
	if err != nil {
		return err
	}
	defer w.release()
	sw, err := s.lastSwap(w.local, (*swap.Swap).Undoable)
	if err != nil {
		return err
	}
	if sw == nil {
		return refuse("lifeboat list shows safety snapshots, which can be restored like any other", "there is nothing to undo: no restore in place is kept")
	}
	if !c.Bool("confirm-service-stopped") {
		return &failure{codeRefused, "service_not_stopped", &restore.OccupiedError{Targets: restore.SwapTargets(sw)}, "nothing was changed; stop the service, and then give --confirm-service-stopped"}
	}
	doc := undone{Stamp: sw.Record().Info.Stamp, Swap: sw.ID(), Targets: restore.SwapTargets(sw)}
	if err := restore.Idle(restore.SwapTargets(sw)); err != nil {
		return err
	}
	if !c.Bool("no-pre-snapshot") && sw.Record().State == swap.Done {
		cfg, err := s.config(nil)
		if err != nil {
			return err
		}
		saved, err := restore.SaveCurrent(ctx, sw, s.saver(w, cfg))
		if err != nil {
			return err
		}
		if saved != nil {
			doc.PreRestoreSnapshot = &saved.Stamp
		}
	}
	if err := sw.Undo(); err != nil {
		return err
	}
	doc.State, doc.Strays = sw.Record().State, straysOf(sw)
	s.say("undone: what was there before %s was restored is back", doc.Stamp)
	s.printSwapped(doc)
	return s.document(doc)
}

func (s *session) printSwapped(doc undone) {
	for _, path := range doc.Targets {
		s.say("  %s", oneLine(path))
	}
	for _, path := range doc.Strays {
		s.warn("something had appeared in the middle; it was moved aside, to %s", oneLine(path))
	}
	if doc.PreRestoreSnapshot != nil {
		s.say("  saved        what was written since is safety snapshot %s", *doc.PreRestoreSnapshot)
	}
}

// resume completes a restore, or an undo, that was cut in the middle.
func (s *session) resume(ctx context.Context) error {
	w, err := s.openLocal(ctx)
	if err != nil {
		if isNoStore(err) && s.c.Bool("if-needed") {
			return s.nothingToResume()
		}
		return err
	}
	defer w.release()
	sw, err := swap.Unfinished(filepath.Join(w.local.Path(), swapsName))
	if err != nil {
		return err
	}
	if sw == nil {
		if s.c.Bool("if-needed") {
			return s.nothingToResume()
		}
		return refuse("lifeboat restore SNAPSHOT begins one; --if-needed makes this no failure", "there is no restore to resume")
	}
	if err := restore.Idle(restore.SwapTargets(sw)); err != nil {
		return err
	}
	if err := sw.Resume(); err != nil {
		return err
	}
	if err := restore.CheckSwapped(ctx, sw); err != nil {
		return err
	}
	r := sw.Record()
	doc := undone{Stamp: r.Info.Stamp, Swap: sw.ID(), State: r.State, Targets: restore.SwapTargets(sw), Strays: straysOf(sw)}
	if r.Safety != "" {
		stamp := manifest.Stamp(r.Safety)
		doc.PreRestoreSnapshot = &stamp
	}
	if r.State == swap.Undone {
		s.say("completed the undo of the restore of %s: what was there before is back", r.Info.Stamp)
	} else {
		s.say("completed the restore of %s; lifeboat undo puts back what was there, until %s", r.Info.Stamp, r.Ended.Add(r.Info.KeepOld).Local().Format("2006-01-02 15:04"))
	}
	s.printSwapped(doc)
	return s.document(doc)
}

func (s *session) nothingToResume() error {
	return s.document(map[string]any{"state": "nothing to resume"})
}

// lastSwap returns the newest restore that fits, or nil.
func (s *session) lastSwap(local *localstore.Store, fits func(*swap.Swap) bool) (*swap.Swap, error) {
	swaps, err := swap.List(filepath.Join(local.Path(), swapsName))
	if err != nil {
		return nil, err
	}
	for i := len(swaps) - 1; i >= 0; i-- {
		if fits(swaps[i]) {
			return swaps[i], nil
		}
	}
	return nil, nil
}

// openLocal takes the lock of the local store, which must be there.
func (s *session) openLocal(ctx context.Context) (*writable, error) {
	cfg, err := s.config(nil)
	if err != nil {
		return nil, err
	}
	if err := s.needsLocal(ctx, cfg); err != nil {
		return nil, err
	}
	return s.open(ctx, cfg, false)
}

// defaultKeepOld is for how long the old state is kept unless --keep-old says otherwise.
const defaultKeepOld = 7 * 24 * time.Hour

// straysOf returns where what appeared in the middle of an exchange is kept.
func straysOf(sw *swap.Swap) (list []string) {
	for _, stray := range sw.Record().Strays {
		list = append(list, stray.Kept)
	}
	return list
}
