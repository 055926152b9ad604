package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"lifeboat/localstore"
	"lifeboat/restore"
)

// planRestore shows what a restore in place would do, and does nothing.
func (s *session) planRestore(ctx context.Context, ref string) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	snap, _, err := s.findFresh(ctx, ref, s.find)
	if err != nil {
		return err
	}
	var local *localstore.Store
	dir, _, err := s.localDir(cfg)
	if err == nil {
		local, err = localstore.Open(ctx, dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	targets, err := s.targetsOf(ctx, cfg, local, snap)
	if err != nil {
		return err
	}
	opts := restore.InPlaceOptions{
		Options: restore.Options{Only: s.c.StringSlice("only"), Except: s.c.StringSlice("except")},
		Targets: targets, DeleteExtra: s.c.Bool("delete-extra"),
	}
	if dir != "" && !s.c.Bool("no-pre-snapshot") {
		opts.SaveIn = filepath.Join(dir, safetyName)
	}
	p, err := restore.PreviewInPlace(ctx, snap, opts)
	if err != nil {
		return err
	}
	s.printPreview(p)
	return s.document(p)
}

// signs stand before the paths of a plan.
var signs = map[restore.Action]string{restore.Add: "+", restore.Change: "~", restore.Discard: "-", restore.Stay: "="}

// maxPlanned is how many changes are shown without -v.
const maxPlanned = 50

func (s *session) printPreview(p *restore.Preview) {
	s.print("a restore of %s in place would change this:", p.Stamp)
	for i, c := range p.Changes {
		if i == maxPlanned && !s.verbose {
			s.print("  and %d more (-v lists them)", len(p.Changes)-i)
			break
		}
		text := ""
		switch c.Action {
		case restore.Change:
			text = fmt.Sprintf("  %s now, %s then", size(c.Now), size(c.Then))
		case restore.Stay:
			text = "  not in the snapshot, stays"
		case restore.Discard:
			text = "  not in the snapshot, goes"
		}
		s.print("  %s %s%s", signs[c.Action], oneLine(filepath.Clean(c.Path)), text)
	}
	s.print("  %d to add, %d to change, %d as they are, %d not in the snapshot that stay, %d that go",
		p.Counts[restore.Add], p.Counts[restore.Change], p.Counts[restore.Keep], p.Counts[restore.Stay], p.Counts[restore.Discard])
	for _, d := range p.Databases {
		s.print("  %s", oneLine(d.Path))
		if d.Note != "" {
			s.print("    what is there cannot be read: %s", oneLine(d.Note))
		}
		for _, t := range d.Tables {
			s.print("    %-24s %s now, %s then", oneLine(t.Name), rowsOf(t.Now), rowsOf(t.Then))
		}
	}
	for _, sp := range p.Space {
		safety := ""
		if sp.Safety > 0 {
			safety = fmt.Sprintf(", of it at most %s for the safety snapshot", size(sp.Safety))
		}
		s.print("  space        %s needed at %s%s, %s free", size(sp.Need), oneLine(sp.Path), safety, size(sp.Free))
		if sp.Need > sp.Free {
			s.warn("it may not fit at %s: free some space there, restore less at a time with --only, take no safety snapshot with --no-pre-snapshot, or put the local store elsewhere with --store", oneLine(sp.Path))
		}
	}
	if p.Seconds != nil {
		s.print("  to fetch     %s, about %s at the rate just measured", size(p.Fetch), seconds(*p.Seconds))
	}
	if len(p.Occupied) > 0 {
		s.print("  needs        --confirm-service-stopped, since there is something to replace")
	}
	if p.InUse != "" {
		s.warn("%s", printable(p.InUse))
	}
	if p.Denied != "" {
		s.warn("%s", printable(p.Denied))
	}
}

// rowsOf says how many rows a table has.
func rowsOf(n int64) string {
	if n < 0 {
		return "no such table"
	}
	return count(n, "row")
}
