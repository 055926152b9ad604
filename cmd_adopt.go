package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/adopt"
	"lifeboat/internal/config"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

const adoptHelp = `Takes over what the Python tool before lifeboat has left in DIR/snapshots, or in
DIR itself: each directory there becomes a snapshot in the local store, of kind
adopted, with its own stamp, pinned. Nothing in DIR is changed.

   lifeboat adopt /srv/app/backups --app app
   lifeboat push --remote s3://bucket/app

Each is checked first: its metadata, that its files are there and have the sizes
that were recorded, SQLite's integrity check, that the registry is JSON. Paths
in the metadata are looked for in the snapshot's own directory, wherever it is.
What was adopted before is left. Where a stamp is taken, the next second serves.

The sources are called database, registry and chroma, as in docs/examples; call
them as your lifeboat.yaml does.

Exit code 4: a snapshot is damaged and was refused; 3: one was passed over, for
it has no time, or no metadata that can be read (see --without-metadata). The
others are adopted all the same.`

func adoptFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "database", Usage: "call the database `NAME`", Value: adopt.DefaultNames.Database},
		&cli.StringFlag{Name: "registry", Usage: "call the registry `NAME`", Value: adopt.DefaultNames.Registry},
		&cli.StringFlag{Name: "chroma", Usage: "call the vector store `NAME`", Value: adopt.DefaultNames.Chroma},
		&cli.BoolFlag{Name: "without-metadata", Usage: "adopt also what has none that can be read, when its files are there and sound"},
		compressionFlag(),
		memoryFlag(),
		waitFlag(),
	}
}

// States of an old snapshot after adopt.
const (
	stateAdopted = "adopted"
	statePresent = "present" // it was adopted before
	statePassed  = "passed_over"
	stateRefused = "refused"
)

// An adoption is what came of one old snapshot.
type adoption struct {
	Directory   string            `json:"directory"` // its name
	State       string            `json:"state"`
	Stamp       manifest.Stamp    `json:"stamp,omitempty"`
	ID          string            `json:"id,omitempty"`
	OwnStamp    manifest.Stamp    `json:"own_stamp,omitempty"` // when that was taken
	Sources     []manifest.Source `json:"sources,omitempty"`
	Files       int64             `json:"files,omitempty"`
	Bytes       int64             `json:"bytes,omitempty"`
	StoredBytes int64             `json:"stored_bytes,omitempty"`
	Findings    []adopt.Finding   `json:"findings"`
	LeftOut     []string          `json:"left_out,omitempty"`
}

// adoptCommand takes over the snapshots of the Python tool.
func adoptCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() != 1 {
		return usagef(helpOf([]string{"adopt"}), "adopt takes one directory")
	}
	names := adopt.Names{Database: c.String("database"), Registry: c.String("registry"), Chroma: c.String("chroma")}
	if err := names.Check(); err != nil {
		return usagef("", "%s", strings.TrimPrefix(err.Error(), manifest.ErrInvalid.Error()+": "))
	}
	from, dirs, err := oldSnapshots(s.env.Abs(c.Args().First()))
	if err != nil {
		return err
	}
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if err := s.needsApp(cfg); err != nil {
		return err
	}
	level, err := s.compression(cfg)
	if err != nil {
		return err
	}
	w, err := s.open(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer w.release()
	s.tellUnfinished(w.local)
	scratch, err := s.temporary()
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	meter.Begin("adopt", 0)
	opts := snapshot.Options{App: w.app, Tool: version, Host: thisHost(), Scratch: scratch, Meter: meter, Workers: s.limits.workers, Compression: level,
		Avoid: append(avoid(w.local.Path(), cfg.Remotes), scratch)}
	list := []adoption{}
	for _, dir := range dirs {
		a, err := s.adopt(ctx, dir, names, w, opts)
		if err != nil {
			return err
		}
		list = append(list, a)
	}
	stop()
	return s.finishAdopt(from, w.local.Path(), list)
}

// oldSnapshots finds the directories to adopt.
func oldSnapshots(dir string) (from string, dirs []string, err error) {
	from, dirs, err = adopt.List(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", nil, err
	case errors.Is(err, adopt.ErrOneSnapshot):
		return "", nil, usagef("name the directory that it is in: "+filepath.Dir(dir), "%v", err)
	case err != nil:
		return "", nil, &failure{codeFailed, "no_source", fmt.Errorf("look for snapshots to adopt: %w", err), "name the directory that has a directory snapshots in it"}
	case len(dirs) == 0:
		return "", nil, &failure{codeFailed, "no_source", fmt.Errorf("there are no snapshots to adopt in %s", from), "name the directory that has a directory snapshots in it"}
	}
	return from, dirs, nil
}

// needsApp reports that nothing says whose snapshots they are. The directory's name does not: it is called backups, most likely.
func (s *session) needsApp(cfg *config.Config) error {
	_, _, err := s.localDir(cfg)
	if isNoStore(err) && s.c.String("app") == "" && !isFile(cfg.Local.Dir) {
		return usagef("give --app NAME, the application whose snapshots these are", "nothing says which application is meant, and there is no local store yet")
	}
	return err
}

// adopt takes over one old snapshot, unless something is wrong with it.
func (s *session) adopt(ctx context.Context, dir string, names adopt.Names, w *writable, opts snapshot.Options) (adoption, error) {
	found, err := adopt.Inspect(ctx, dir, names, opts.Scratch)
	if err != nil {
		return adoption{}, err
	}
	a := adoption{Directory: found.Name, LeftOut: found.LeftOut}
	switch {
	case found.Damaged():
		a.State = stateRefused
	case !found.Acceptable(s.c.Bool("without-metadata")):
		a.State = statePassed
	default:
		outcome, err := adopt.Take(ctx, found, w.local, opts)
		if err != nil {
			return a, err
		}
		if a.State = stateRefused; outcome != nil {
			a.report(outcome, found.Stamp)
		}
	}
	if a.Findings = found.Findings; a.Findings == nil {
		a.Findings = []adopt.Finding{}
	}
	return a, nil
}

func (a *adoption) report(o *adopt.Outcome, own manifest.Stamp) {
	a.State = stateAdopted
	a.Stamp, a.ID, a.Sources, a.Files, a.Bytes = o.ID.Stamp, o.ID.String(), o.Head.Sources, o.Head.Files.Count, o.Head.Files.Bytes
	if a.Stamp != own {
		a.OwnStamp = own
	}
	if o.Present {
		a.State = statePresent
		return
	}
	a.StoredBytes = o.Head.Stats.StoredBytes
}

// finishAdopt reports, and turns what was not adopted into an exit code.
func (s *session) finishAdopt(from, to string, list []adoption) error {
	times := map[string]int{}
	for _, a := range list {
		times[a.State]++
		s.printAdoption(a)
	}
	if n := times[stateAdopted]; n > 0 {
		s.say("adopted %s into %s; lifeboat push sends what a remote lacks", count(int64(n), "snapshot"), to)
	}
	if err := s.document(struct {
		Directory string     `json:"directory"`
		Store     string     `json:"store"`
		Snapshots []adoption `json:"snapshots"`
		Adopted   int        `json:"adopted"`
		Present   int        `json:"present"`
		Passed    int        `json:"passed_over"`
		Refused   int        `json:"refused"`
	}{filepath.Clean(from), to, list, times[stateAdopted], times[statePresent], times[statePassed], times[stateRefused]}); err != nil {
		return err
	}
	switch {
	case times[stateRefused] > 0:
		return reported(codeIntegrity)
	case times[statePassed] > 0:
		return reported(codeIncomplete)
	}
	return nil
}

func (s *session) printAdoption(a adoption) {
	name := oneLine(a.Directory)
	switch a.State {
	case stateAdopted:
		s.say("adopted  %s as %s: %s in %s", name, a.Stamp, size(a.Bytes), entries(a.Files))
	case statePresent:
		s.say("present  %s is %s, adopted before", name, a.Stamp)
	case statePassed:
		s.print("PASSED   %s was not adopted", name)
	case stateRefused:
		s.print("REFUSED  %s is damaged", name)
	}
	if a.OwnStamp != "" {
		s.say("         %s was taken by another snapshot", a.OwnStamp)
	}
	for _, f := range a.Findings {
		where := ""
		if f.Path != "" {
			where = oneLine(f.Path) + ": "
		}
		line := s.print
		if a.State == stateAdopted || a.State == statePresent {
			line = s.say
		}
		line("         %s: %s%s", f.Code, where, indented(f.Detail, "         "))
	}
	if a.State == statePassed && withoutMetadata(a.Findings) {
		s.print("         its files are there and sound; --without-metadata adopts it")
	}
	for _, path := range a.LeftOut {
		s.say("         %s is no part of it and was left out", oneLine(path))
	}
}

// withoutMetadata reports whether nothing is wrong but the metadata.
func withoutMetadata(findings []adopt.Finding) bool {
	f := adopt.Found{Findings: findings}
	return f.Acceptable(true)
}
