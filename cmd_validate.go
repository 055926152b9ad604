package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/progress"
	"lifeboat/validate"
)

const validateHelp = `Checks a snapshot (latest, if none is named) at every place that has it: the manifest against its name, the tables, and that every
archive that they need is there and has its size. With --read-data every archive is read and hashed, every file decoded and hashed,
and every database goes through SQLite's integrity check. Exit code 4 if anything is wrong; all of it is listed.

` + snapshotHelp

func validateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "read-data", Usage: "read and check every byte"},
		&cli.BoolFlag{Name: "all", Usage: "check every snapshot"},
		&cli.StringFlag{Name: "scratch", Usage: "`DIR` for databases while they are checked (default: the system's temporary directory)"},
	}
}

// validateCommand checks snapshots at every place that has them.
func validateCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	refs := c.Args().Slice()
	switch {
	case c.Bool("all") && len(refs) > 0:
		return usagef("", "--all names every snapshot already")
	case c.Bool("all"):
		ids, err := s.allStamps(ctx)
		if err != nil {
			return err
		}
		refs = ids
	case len(refs) == 0:
		refs = []string{"latest"}
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer func() { stop() }()
	reports := []*validate.Report{}
	wrong := false
	for _, ref := range refs {
		found, err := s.validateOne(ctx, ref, meter)
		if err != nil {
			return err
		}
		reports = append(reports, found...)
	}
	stop()
	stop = func() {}
	for _, r := range reports {
		s.printReport(r)
		wrong = wrong || !r.OK
	}
	if err := s.document(map[string]any{"valid": !wrong, "reports": reports}); err != nil {
		return err
	}
	if wrong {
		return &partialError{codeIntegrity, true, errors.New("not everything is whole")}
	}
	return nil
}

func (s *session) allStamps(ctx context.Context) ([]string, error) {
	places, err := s.places(ctx)
	if err != nil {
		return nil, err
	}
	catalog, partial, err := s.catalog(ctx, places)
	if err != nil {
		return nil, err
	}
	if partial != nil {
		return nil, partial
	}
	var refs []string
	for _, id := range catalog.IDs {
		refs = append(refs, id.String())
	}
	if len(refs) == 0 {
		return nil, &noSnapshot{"any", names(places), nil}
	}
	return refs, nil
}

func (s *session) validateOne(ctx context.Context, ref string, meter *progress.Meter) ([]*validate.Report, error) {
	id, has, err := s.locate(ctx, ref)
	if err != nil {
		return nil, err
	}
	var reports []*validate.Report
	for _, p := range has {
		r, err := validate.Check(ctx, id, p.Store, validate.Options{
			ReadData: s.c.Bool("read-data"), Scratch: s.c.String("scratch"), Workers: workers(), Meter: meter,
		})
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func (s *session) printReport(r *validate.Report) {
	if r.OK {
		what := "manifest, tables and the size of every archive"
		if r.ReadData {
			what = "every byte of every archive and file"
		}
		s.say("ok  %s at %s: %s, in %s; %s checked", r.Stamp, r.Store, count(r.Files, "file"), count(r.Archives, "archive"), what)
		for _, d := range r.Databases {
			s.say("    %s: integrity check %s", oneLine(d.Path), d.Integrity)
		}
		return
	}
	s.print("BAD %s at %s: %s", r.Stamp, r.Store, count(int64(len(r.Findings)), "finding"))
	for _, f := range r.Findings {
		s.print("    %s: %s: %s", f.Code, oneLine(f.Object), printable(f.Detail))
		for i, path := range f.Files {
			if i == 10 && !s.verbose {
				break
			}
			s.print("        touches %s", oneLine(path))
		}
		if n := f.Count - int64(min(len(f.Files), 10)); n > 0 && !s.verbose {
			s.print("        and %s more", count(n, "file"))
		}
	}
}
