package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/drill"
	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

const drillHelp = `Proves that a snapshot comes back, and how long that takes: restores it from one
remote into scratch space, runs SQLite's integrity and foreign-key checks,
compares digests, schemas and rows with what was recorded at capture, checks
what you say must hold, cleans up, and leaves a record in the store as evidence.

   lifeboat drill
   lifeboat drill --pick longest-unproven --assert checks.yaml
   lifeboat drill latest --remote s3://bucket/app --bandwidth 100Mbit
   lifeboat drill --no-scratch --max-age 26h

Without SNAPSHOT it is the latest; --pick takes random, oldest, or the one whose
last proof is longest ago (longest-unproven). The remote is the one that was
proved longest ago, or --from NAME. --no-scratch reads and hashes every file,
and lays nothing down: what needs a disk is listed as not checked.

Assertions stand in lifeboat.yaml (drill: {assert: [...]}) or in a file of their
own (--assert): sql, json, file and exec; see docs/drill.md.

Exit code 5: it does not come back as it should, with each thing that failed; 7:
the snapshot is older than --max-age; 13: no such snapshot; 15: no space for it.

` + snapshotHelp

func drillFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "pick", Usage: "drill a snapshot by `HOW`: latest, random, oldest or longest-unproven"},
		&cli.StringFlag{Name: "from", Usage: "drill the remote `NAME`, or local"},
		&cli.StringSliceFlag{Name: "assert", Usage: "what `FILE` says must hold too; may be repeated"},
		&cli.BoolFlag{Name: "no-scratch", Usage: "read and check every byte, and lay nothing down"},
		&cli.StringFlag{Name: "scratch", Usage: "`DIR` to restore into (default: the system's temporary directory)"},
		bandwidthFlag(), maxAgeFlag(),
		&cli.StringFlag{Name: "evidence", Usage: "write the record into `FILE` too"},
		pingFlag(), downloadFlag(), concurrencyFlag("4"), memoryFlag(), waitFlag(),
	}
}

func bandwidthFlag() cli.Flag {
	return &cli.StringFlag{Name: "bandwidth", Usage: "tell the time to restore over a line of `SPEED`, such as 100Mbit"}
}

// drillCommand drills a snapshot.
func drillCommand(s *session, c *cli.Context) error {
	return s.pinged(c.Context, func() error {
		how, err := s.drilling()
		if err != nil {
			return err
		}
		return s.drill(c.Context, how)
	})
}

// A drilling is what the command line says of a drill.
type drilling struct {
	ref, pick string
	assert    []config.Assertion
	bandwidth config.Rate
	maxAge    time.Duration
}

// drilling reads the command line.
func (s *session) drilling() (how drilling, err error) {
	c := s.c
	how.pick = c.String("pick")
	switch {
	case c.NArg() > 1:
		return how, usagef("lifeboat drill latest", "drill takes one SNAPSHOT")
	case c.NArg() == 1 && how.pick != "":
		return how, usagef("", "--pick chooses a snapshot, and %s names one: give one of the two", printable(c.Args().First()))
	case c.Bool("no-scratch") && c.String("scratch") != "":
		return how, usagef("", "--no-scratch needs no --scratch")
	}
	if how.ref = c.Args().First(); how.ref == "" && !c.Args().Present() {
		how.ref = "latest"
	}
	switch how.pick {
	case "", "latest", "random", "oldest", longestUnproven:
	default:
		return how, usagef("", "--pick %s: want latest, random, oldest or %s", printable(how.pick), longestUnproven)
	}
	if how.maxAge, err = s.maxAge(); err != nil {
		return how, err
	}
	if err := override(s, "bandwidth", config.ParseBandwidth, &how.bandwidth); err != nil {
		return how, err
	}
	cfg, err := s.config(nil)
	if err != nil {
		return how, err
	}
	how.assert = cfg.Drill.Assert
	for _, file := range given(c.StringSlice("assert")) {
		list, err := readAssertions(s.env.Abs(file))
		if err != nil {
			return how, err
		}
		how.assert = append(how.assert, list...)
	}
	return how, nil
}

// readAssertions reads a file of assertions, which the operator has named.
func readAssertions(path string) ([]config.Assertion, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &failure{codeUsage, "usage", fmt.Errorf("--assert: %w", err), "docs/drill.md says what stands in such a file"}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, config.MaxFile+1))
	if err != nil {
		return nil, &failure{codeUsage, "usage", fmt.Errorf("--assert: %w", err), "docs/drill.md says what stands in such a file"}
	}
	list, err := config.ParseAssertions(path, data)
	if err != nil {
		return nil, &failure{codeUsage, "configuration", err, "docs/drill.md says what stands in such a file"}
	}
	return list, nil
}

// A drillReport is how a drill ends.
type drillReport struct {
	OK       bool           `json:"ok"`
	Stamp    manifest.Stamp `json:"stamp"`
	ID       string         `json:"id"`
	Place    placeName      `json:"place"`
	Age      int64          `json:"age_seconds"`
	Record   *drill.Record  `json:"record"`
	Recovery recoveryTime   `json:"recovery"`
	Evidence evidence       `json:"evidence"`
}

// An evidence says where the record of a drill is.
type evidence struct {
	Name   string `json:"name"`
	Stored bool   `json:"stored"` // in the store that was drilled
	Error  string `json:"error,omitempty"`
	File   string `json:"file,omitempty"`
}

func (s *session) drill(ctx context.Context, how drilling) error {
	places, catalog, partial, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	choice, err := s.chooseDrill(ctx, how, places, catalog, partial)
	if err != nil {
		return err
	}
	if err := s.stale(ctx, choice.id, how.maxAge, choice.place); err != nil {
		return err
	}
	opts := drill.Options{Assert: how.assert, Environ: os.Environ(), Concurrency: s.limits.Concurrency, Workers: s.limits.workers, Tool: version, Host: thisHost(), Now: s.now, Meter: &progress.Meter{}}
	if s.c.Bool("no-scratch") {
		opts.Mode = drill.Streamed
		s.sweepScratch("") // as every drill does
	} else if opts.Scratch, err = s.scratchIn(s.drillScratch()); err != nil {
		return noRoomToDrill(err)
	}
	s.detail("drilling %s at %s", choice.id.Stamp, choice.place.url)
	stop := s.watch(opts.Meter)
	defer stop()
	record, err := drill.Run(ctx, choice.id, choice.place.Store, opts)
	stop()
	if err == nil {
		s.close() // what was restored goes now: the rest may take a while
	}
	if errors.Is(err, drill.ErrRemoved) {
		return &failure{codeNoSnapshot, "no_snapshot", err, "lifeboat drill takes another one"}
	}
	if err != nil {
		return noRoomToDrill(err)
	}
	report := &drillReport{OK: record.Result == drill.OK, Stamp: choice.id.Stamp, ID: choice.id.String(), Place: placeName{choice.place.name, choice.place.url}, Age: s.ageOf(choice.id.Stamp), Record: record}
	if err := s.keepEvidence(ctx, report, choice.place); err != nil {
		return err
	}
	target := drill.Target{ID: choice.id, Bytes: record.Bytes}
	if head, err := catalog.Head(ctx, choice.id); err == nil {
		target = targetOf(choice.id, head)
	}
	report.Recovery = recoveryOf(choice.place.name, drill.EstimateOf(target, record, int64(how.bandwidth)))
	s.printDrill(report, how)
	if err := s.document(report); err != nil {
		return err
	}
	switch {
	case !report.OK:
		return reported(codeDrill)
	case partial != nil:
		return reported(classify(ctx, partial).code)
	}
	return nil
}

// drillScratch returns where to make room, "" for the usual place.
func (s *session) drillScratch() string {
	if dir := s.c.String("scratch"); dir != "" {
		return s.env.Abs(dir)
	}
	return ""
}

// noRoomToDrill says, of an error that scratch space is too small, what can be done.
func noRoomToDrill(err error) error {
	if diskspace.Full(err) {
		var full *diskspace.NotEnoughError
		if errors.As(err, &full) && strings.HasPrefix(filepath.Base(full.Path), scratchPrefix) {
			full.Path = filepath.Dir(full.Path) // the directory is gone by the time that somebody reads this
		}
		return &failure{codeNoSpace, "no_space", err, "name a larger place with --scratch DIR; lifeboat drill --no-scratch checks every byte and needs no room"}
	}
	return err
}

// keepEvidence stores the record, and writes it into a file if one is named. That it cannot be stored is a warning: what was proved is proved.
func (s *session) keepEvidence(ctx context.Context, r *drillReport, p *place) error {
	release, lockErr := func() {}, error(nil)
	if p.name == "local" {
		release, lockErr = s.holdLocal(ctx)
	}
	var name layout.Drill
	var data []byte
	err := lockErr
	if lockErr == nil {
		defer release()
		name, data, err = r.Record.Keep(ctx, p.Store, s.now())
	} else {
		r.Record.Stamp = manifest.StampOf(s.now())
		name, data, _ = r.Record.Encode()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.Evidence = evidence{Name: name.Key(), Stored: err == nil}
	file := s.c.String("evidence")
	if file != "" {
		r.Evidence.File = s.env.Abs(file)
		if err := durable.WriteFile(r.Evidence.File, data, 0o644); err != nil {
			return fmt.Errorf("write the evidence: %w", err)
		}
	}
	if err == nil {
		s.rememberDrill(ctx, p, name)
		return nil
	}
	r.Evidence.Error = err.Error()
	if file != "" {
		s.warn("the evidence could not be stored at %s, and is only in %s: %s", p.url, filepath.ToSlash(r.Evidence.File), explain(err))
		return nil
	}
	s.warn("the evidence could not be stored at %s, so nothing will tell of this drill; --evidence FILE keeps it elsewhere: %s", p.url, explain(err))
	return nil
}

// rememberDrill notes in the local store, if there is one and nobody has it, which evidence is the newest: without that, nobody would miss it.
func (s *session) rememberDrill(ctx context.Context, p *place, name layout.Drill) {
	cfg, err := s.config(nil)
	if err != nil || p.name == "local" {
		return
	}
	dir, _, err := s.localDir(cfg)
	if err != nil {
		return // there is none
	}
	local, err := localstore.Open(ctx, dir)
	if err != nil {
		return
	}
	held, err := localstore.Lock(ctx, dir, "lifeboat drill", 0)
	if err == nil {
		err = local.RememberDrill(p.url, name.Name())
		held.Release()
	}
	if err != nil {
		s.detail("this drill is not remembered here: %v", err)
	}
}

func (s *session) printDrill(r *drillReport, how drilling) {
	rec := r.Record
	result := "it comes back"
	if !r.OK {
		result = "FAILED"
	}
	if r.OK && rec.Mode == drill.Streamed {
		result = "every byte is there and right"
	}
	say := s.say
	if !r.OK {
		say = s.print
	}
	say("drill of %s, %s old, at %s: %s", r.Stamp, age(r.Age), r.Place.Name, result)
	row := func(what, format string, args ...any) { s.say("  %-11s %s", what, fmt.Sprintf(format, args...)) }
	what := "restored"
	if rec.Mode == drill.Streamed {
		what = "read"
	}
	row(what, "%s in %s", size(rec.Bytes), count(rec.Files, "file"))
	row("as recorded", "%s", checked(rec.Checks))
	if n := len(how.assert); n > 0 {
		row("assertions", "%d of %d hold", rec.Checks.Assertions, n)
	}
	row("took", "%s", phases(rec))
	if r.OK {
		line := ""
		if how.bandwidth > 0 {
			line = fmt.Sprintf(", over a line of %s", printable(s.c.String("bandwidth")))
		}
		row("to recover", "%s%s: %s", r.Recovery.long(), line, strings.Replace(r.Recovery.source(), "the drill of "+string(rec.Stamp), "this drill", 1))
	}
	for i, f := range rec.NotChecked {
		if i == 5 && !s.verbose {
			row("", "and %d more (-v lists them, --json too)", len(rec.NotChecked)-i)
			break
		}
		row("not checked", "%s", describeFinding(f))
	}
	for _, f := range rec.Failures {
		s.print("  FAILED      %s", describeFinding(f))
	}
	if more := rec.FailureCount - int64(len(rec.Failures)); more > 0 {
		s.print("  FAILED      and %d more", more)
	}
	if r.Evidence.Stored {
		row("evidence", "%s", r.Evidence.Name)
	}
}

func checked(c drill.Checks) string {
	list := []string{count(c.Files, "digest")}
	if c.Databases > 0 {
		list = append(list, count(c.Databases, "database"), count(c.Tables, "table"), count(c.Rows, "row"))
	}
	return strings.Join(list, ", ")
}

// phases says where the time of a drill went.
func phases(rec *drill.Record) string {
	total, list := int64(0), []string{}
	for _, p := range rec.Phases {
		total += p.MS
		text := p.Name + " " + seconds(float64(p.MS)/1000)
		if p.Name == "fetch" || p.Name == "stream" {
			text += " for " + size(p.Bytes)
		}
		list = append(list, text)
	}
	return seconds(float64(total)/1000) + ": " + strings.Join(list, ", ")
}

func describeFinding(f drill.Finding) string {
	text := strings.ReplaceAll(oneLine(f.Kind), "_", " ")
	if f.Where != "" {
		text += ": " + oneLine(f.Where)
	}
	return text + ": " + indented(f.Detail, "              ")
}
