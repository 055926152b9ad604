package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/recovery"
	"lifeboat/validate"
)

const validateHelp = `Checks a snapshot, the latest if none is named, at every place that has it: the
manifest against its name, the tables, and that every archive is there and has
its size. With --read-data every archive and every file is read and hashed, and
every database goes through SQLite's integrity check.

   lifeboat validate --read-data --remote s3://bucket/app
   lifeboat validate --all --read-data-subset 1/7

--read-data-subset reads a part of the archives, each once: 1/7 the first of
seven groups, which are the same every time, so that seven runs read all; 5% or
500MiB as many as that, chosen anew each time. Files and databases are checked
when everything is read, and only then.

The marker of each store, its recovery programs and the evidence of drills are
looked at too.
Everything that is wrong is listed, with the files that it touches. With
--repair, what another place has whole is stored again where it is missing or
damaged, in the local store too, and checked once more.

   lifeboat validate --all --read-data --repair

Exit code 4: something is wrong, and was not repaired; 10, 14: a remote is gone
or was not reached.

` + snapshotHelp

func validateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "read-data", Usage: "read and check every byte"},
		&cli.StringFlag{Name: "read-data-subset", Usage: "read and check the archives of `PART`: 1/7, 5% or 500MiB"},
		&cli.BoolFlag{Name: "all", Usage: "check every snapshot"},
		&cli.BoolFlag{Name: "repair", Usage: "store again what another place has whole"},
		&cli.StringFlag{Name: "scratch", Usage: "`DIR` for databases while they are checked (default: the system's temporary directory)"},
		downloadFlag(), concurrencyFlag("one for each processor"), memoryFlag(), waitFlag(),
	}
}

// validateCommand checks snapshots at every place that has them.
func validateCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.Bool("all") && c.Args().Present() {
		return usagef("", "--all names every snapshot already")
	}
	how, err := s.validation()
	if err != nil {
		return err
	}
	places, catalog, partial, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	ids, missing, err := s.toValidate(ctx, catalog, places, partial != nil)
	if err != nil {
		return err
	}
	how.verified = map[layout.Store]*validate.Verified{}
	reports, err := s.validateAll(ctx, catalog, ids, how)
	if err != nil {
		return err
	}
	var repairs []*repair
	if c.Bool("repair") {
		if repairs, err = s.repairFound(ctx, catalog, places, reports, how); err != nil {
			return err
		}
	}
	stores, err := s.validateStores(ctx, catalog, places, ids)
	if err != nil {
		return err
	}
	wrong := false
	for _, r := range reports {
		s.printReport(r)
		wrong = wrong || !r.OK
	}
	if wrong && !c.Bool("repair") && len(catalog.Answered) > 1 {
		s.note("the same command with --repair stores again what another place has whole")
	}
	for _, r := range stores {
		if !r.OK {
			s.print("BAD  the store %s itself: %s", r.Store, count(int64(len(r.Findings)), "finding"))
			s.printFindings(r.Findings)
		}
		wrong = wrong || !r.OK
	}
	for _, r := range missing {
		s.print("BAD  %s: there is no such snapshot in %s", oneLine(r.ID), strings.Join(urls(places), " and "))
	}
	reports = append(reports, missing...)
	if err := s.document(struct {
		Valid   bool                    `json:"valid"`
		Reports []*validate.Report      `json:"reports"`
		Stores  []*validate.StoreReport `json:"stores"`
		Repairs []*repair               `json:"repairs,omitempty"`
	}{!wrong && len(missing) == 0, reports, stores, repairs}); err != nil {
		return err
	}
	switch {
	case wrong:
		return reported(codeIntegrity)
	case len(missing) > 0:
		return reported(codeNoSnapshot)
	case partial != nil:
		return reported(classify(ctx, partial).code)
	}
	return nil
}

// A validation is how much is read.
type validation struct {
	data   bool
	subset *validate.Subset // nil for all

	parts    map[layout.Store]map[manifest.Hash]bool // of each store, the archives that are read; nil for all
	scratch  string
	verified map[layout.Store]*validate.Verified
}

func (s *session) validation() (v *validation, err error) {
	v = &validation{}
	v.data = s.c.Bool("read-data")
	text := s.c.String("read-data-subset")
	if text == "" {
		return v, nil
	}
	if v.data {
		return v, usagef("", "--read-data reads everything; give --read-data-subset alone to read a part")
	}
	subset, err := validate.ParseSubset(text)
	if err != nil {
		return v, usage(fmt.Errorf("--read-data-subset %w", err))
	}
	v.data, v.subset = true, &subset
	return v, nil
}

// toValidate returns the snapshots that are meant, and reports of those that are asked for by name and are not there, unless they may be where
// nobody answered. With latest come those that it passed over because they cannot be read: that is what validate is to find.
func (s *session) toValidate(ctx context.Context, catalog *layout.Catalog, places []*place, partial bool) (ids []manifest.ID, missing []*validate.Report, err error) {
	if s.c.Bool("all") {
		return catalog.IDs, nil, nil
	}
	refs := s.c.Args().Slice()
	if len(refs) == 0 {
		refs = []string{"latest"}
	}
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
		case unreadable:
		case ref != "latest" && !strings.HasPrefix(ref, "latest@") && !partial && classify(ctx, err).kind == "no_snapshot":
			stamp, _ := manifest.ParseStamp(ref)
			missing = append(missing, validate.Missing(ref, stamp))
		default:
			return nil, nil, err
		}
	}
	return ids, missing, nil
}

// validateAll checks snapshots at every place that lists them. An archive that several share is verified once at each place.
func (s *session) validateAll(ctx context.Context, catalog *layout.Catalog, ids []manifest.ID, how *validation) (reports []*validate.Report, err error) {
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	if how.parts, err = choose(ctx, catalog, ids, how); err != nil {
		return nil, err
	}
	reports = []*validate.Report{}
	if how.data && how.subset == nil {
		if how.scratch, err = s.scratchIn(s.c.String("scratch")); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		for _, store := range catalog.Where(id) {
			r, err := s.validateOne(ctx, id, store, how, meter)
			if err != nil {
				return nil, err
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}

// validateOne checks a snapshot at one place.
func (s *session) validateOne(ctx context.Context, id manifest.ID, store layout.Store, how *validation, meter *progress.Meter) (*validate.Report, error) {
	if how.verified[store] == nil {
		how.verified[store] = new(validate.Verified)
	}
	return validate.Check(ctx, id, store, validate.Options{
		ReadData: how.data, Part: how.parts[store], Verified: how.verified[store], Scratch: how.scratch, Workers: cmp.Or(s.limits.Concurrency, s.limits.workers), Meter: meter,
	})
}

// choose picks, at each place, the archives of a subset, out of those of all snapshots that are checked. It returns nil when all are meant. What cannot be
// read of a snapshot is for its check to find.
func choose(ctx context.Context, catalog *layout.Catalog, ids []manifest.ID, how *validation) (map[layout.Store]map[manifest.Hash]bool, error) {
	if how.subset == nil {
		return nil, nil
	}
	sizes := map[layout.Store]map[manifest.Hash]int64{}
	for _, id := range ids {
		for _, store := range catalog.Where(id) {
			if sizes[store] == nil {
				sizes[store] = map[manifest.Hash]int64{}
			}
			snap, err := layout.OpenSnapshot(ctx, id, 1, store)
			if err == nil {
				validate.Archives(ctx, snap, func(a *manifest.Archive) { sizes[store][a.SHA256] = a.Size })
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
	parts := map[layout.Store]map[manifest.Hash]bool{}
	for store, s := range sizes {
		parts[store] = how.subset.Choose(s, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	}
	return parts, nil
}

// validateStores checks what belongs to the stores themselves.
func (s *session) validateStores(ctx context.Context, catalog *layout.Catalog, places []*place, ids []manifest.ID) ([]*validate.StoreReport, error) {
	reports := []*validate.StoreReport{}
	app := ""
	for _, id := range ids {
		if h, err := catalog.Head(ctx, id); err == nil {
			app = h.App
		}
	}
	var local *localstore.Store
	has := withSnapshots(catalog)
	for _, p := range places {
		if !slices.Contains(catalog.Answered, p.Store) {
			continue
		}
		if _, err := p.Marker(ctx); !has[p.Store] && errors.Is(err, fs.ErrNotExist) {
			continue // it is no store, which has been said
		}
		opts := validate.StoreOptions{App: app, Kit: kit(), Released: func(name string, sum manifest.Hash) bool { return recovery.Released(name, sum) }}
		if p.name == "local" {
			var err error
			if local, err = localstore.Open(ctx, p.dir); err != nil {
				return nil, err
			}
		} else if local != nil {
			var err error
			if opts.ID, err = local.Known(p.url); err != nil {
				return nil, err
			}
			if opts.Evidence, err = local.LastDrill(p.url); err != nil {
				return nil, err
			}
		}
		r, err := validate.CheckStore(ctx, p.Store, opts)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func (s *session) printReport(r *validate.Report) {
	if !r.OK {
		s.print("BAD  %s at %s: %s", r.Stamp, r.Store, count(int64(len(r.Findings)), "finding"))
		s.printFindings(r.Findings)
		s.printSources(r)
		if !r.ReadData && r.Read != nil {
			s.print("     %s", partRead(r.Read))
		}
		return
	}
	what := "manifest, tables and sizes are right (--read-data reads every byte)"
	switch {
	case r.ReadData:
		what = "every byte is right"
	case r.Read != nil:
		what = "manifest, tables and sizes are right; " + partRead(r.Read)
	}
	s.say("ok   %s at %s: %s in %s; %s", r.Stamp, r.Store, entries(r.Files), count(r.Archives, "archive"), what)
	s.printSources(r)
	for _, d := range r.Databases {
		s.say("     %s: integrity check %s", oneLine(d.Path), d.Integrity)
	}
}

// printSources says of each source whether it can be restored from there.
func (s *session) printSources(r *validate.Report) {
	for _, src := range r.Sources {
		switch {
		case src.OK == nil:
			s.say("     source %s (%s): nothing wrong, as far as it was looked at", src.Name, src.Type)
		case *src.OK:
			s.say("     source %s (%s): ok", src.Name, src.Type)
		default:
			s.print("     source %s (%s): BAD", src.Name, src.Type)
		}
	}
}

// partRead says how much of the archives of a snapshot was read.
func partRead(r *validate.Read) string {
	if r.Archives == r.OfArchives {
		return fmt.Sprintf("%s, %s, were read, and no files", count(r.Archives, "archive"), size(r.Bytes))
	}
	return fmt.Sprintf("%s of %s were read, %s of %s, and the rest was not", humanize.Comma(r.Archives), count(r.OfArchives, "archive"), size(r.Bytes), size(r.OfBytes))
}

func (s *session) printFindings(findings []validate.Finding) {
	for _, f := range findings {
		where := oneLine(f.Object) // not there when it is about a source
		if f.Place != "" {
			where += ": " + oneLine(f.Place)
		}
		if where != "" {
			where += ": "
		}
		s.print("     %s: %s%s", f.Code, where, indented(f.Detail, "         "))
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
