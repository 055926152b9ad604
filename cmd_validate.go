package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/validate"
)

const validateHelp = `Checks a snapshot, the latest if none is named, at every place that has it: the
manifest against its name, the tables, and that every archive is there and has
its size. With --read-data every archive and every file is read and hashed, and
every database goes through SQLite's integrity check.

   lifeboat validate --read-data --remote s3://bucket/app
   lifeboat validate --all

Everything that is wrong is listed, with the files that it touches. Exit code 4:
something is; 10, 14: a remote is gone or was not reached.

` + snapshotHelp

func validateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "read-data", Usage: "read and check every byte"},
		&cli.BoolFlag{Name: "all", Usage: "check every snapshot"},
		&cli.StringFlag{Name: "scratch", Usage: "`DIR` for databases while they are checked (default: the system's temporary directory)"},
		downloadFlag(), concurrencyFlag("one for each processor"), memoryFlag(),
	}
}

// validateCommand checks snapshots at every place that has them.
func validateCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.Bool("all") && c.Args().Present() {
		return usagef("", "--all names every snapshot already")
	}
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	catalog, partial, err := s.catalog(ctx, places)
	if err != nil {
		return err
	}
	ids, err := s.toValidate(ctx, catalog, places)
	if err != nil {
		return err
	}
	reports, err := s.validateAll(ctx, catalog, ids)
	if err != nil {
		return err
	}
	wrong := false
	for _, r := range reports {
		s.printReport(r)
		wrong = wrong || !r.OK
	}
	if err := s.document(struct {
		Valid   bool               `json:"valid"`
		Reports []*validate.Report `json:"reports"`
	}{!wrong, reports}); err != nil {
		return err
	}
	switch {
	case wrong:
		return reported(codeIntegrity)
	case partial != nil:
		return reported(classify(ctx, partial).code)
	}
	return nil
}

// toValidate returns the snapshots that are meant. With latest come those that it passed over because they cannot be read: that is what
// validate is to find.
func (s *session) toValidate(ctx context.Context, catalog *layout.Catalog, places []*place) ([]manifest.ID, error) {
	if s.c.Bool("all") {
		return catalog.IDs, nil
	}
	refs := s.c.Args().Slice()
	if len(refs) == 0 {
		refs = []string{"latest"}
	}
	var ids []manifest.ID
	for _, ref := range refs {
		id, _, skipped, err := s.resolve(ctx, catalog, places, ref)
		unreadable := false
		for _, p := range slices.Backward(skipped) {
			if _, err := catalog.Head(ctx, p.ID); err != nil {
				ids, unreadable = append(ids, p.ID), true
			}
		}
		switch {
		case err == nil:
			ids = append(ids, id)
		case !unreadable:
			return nil, err
		}
	}
	return ids, nil
}

func (s *session) validateAll(ctx context.Context, catalog *layout.Catalog, ids []manifest.ID) ([]*validate.Report, error) {
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	reports := []*validate.Report{}
	scratch := ""
	if s.c.Bool("read-data") {
		var err error
		if scratch, err = s.scratchIn(s.c.String("scratch")); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		for _, store := range catalog.Where(id) {
			r, err := validate.Check(ctx, id, store, validate.Options{
				ReadData: s.c.Bool("read-data"), Scratch: scratch, Workers: cmp.Or(s.limits.Concurrency, s.limits.workers), Meter: meter,
			})
			if err != nil {
				return nil, err
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func (s *session) printReport(r *validate.Report) {
	if r.OK {
		what := "manifest, tables and sizes are right (--read-data reads every byte)"
		if r.ReadData {
			what = "every byte is right"
		}
		s.say("ok   %s at %s: %s in %s; %s", r.Stamp, r.Store, entries(r.Files), count(r.Archives, "archive"), what)
		for _, d := range r.Databases {
			s.say("     %s: integrity check %s", oneLine(d.Path), d.Integrity)
		}
		return
	}
	s.print("BAD  %s at %s: %s", r.Stamp, r.Store, count(int64(len(r.Findings)), "finding"))
	for _, f := range r.Findings {
		s.print("     %s: %s: %s", f.Code, oneLine(f.Object), strings.ReplaceAll(printable(strings.TrimSpace(f.Detail)), "\n", "\n         "))
		shown := len(f.Files)
		if !s.verbose {
			shown = min(shown, 10)
		}
		for _, path := range f.Files[:shown] {
			s.print("         touches %s", oneLine(path))
		}
		if more := f.Count - int64(shown); more > 0 {
			s.print("         and %s more", count(more, "file"))
		}
	}
}
