package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

const backupHelp = `Captures the PATHs, or else the sources of the configuration, while they are in use, and pushes the snapshot to
every remote. SQLite databases are recognised by their content wherever they lie and captured as one transaction each.

   lifeboat backup /srv/app --remote s3://bucket/app
   lifeboat backup db=/srv/app/app.sqlite files=/srv/app/files
   lifeboat backup                      (with a lifeboat.yaml; see lifeboat config example)

Exit code 3: something could not be captured; 4: a database is corrupt; 14: a remote was not reached, and the next backup or
lifeboat push catches up.`

func createFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "only", Usage: "capture only the source `NAME`"},
		&cli.StringSliceFlag{Name: "except", Usage: "leave out the source `NAME`"},
		&cli.StringSliceFlag{Name: "exclude", Usage: "leave out files that match `PATTERN`, such as *.log or cache/**"},
	}, waitFlags()...)
}

func waitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "wait", Usage: "wait up to `DURATION` for another lifeboat on the same local store"},
		&cli.BoolFlag{Name: "init", Usage: "use a remote that is not the one it was, or empty, as a new one"},
		&cli.BoolFlag{Name: "takeover", Usage: "write to a remote that another machine has written to", EnvVars: []string{"LIFEBOAT_TAKEOVER"}},
	}
}

// backup takes a snapshot and pushes it. Archives are sent while later ones are packed.
func backup(s *session, c *cli.Context) error { return s.take(c.Context, true) }

// create takes a snapshot into the local store alone.
func create(s *session, c *cli.Context) error { return s.take(c.Context, false) }

// take is backup and create.
func (s *session) take(ctx context.Context, pushing bool) error {
	cfg, err := s.config(s.c.Args().Slice())
	if err != nil {
		return err
	}
	sources, omitted, err := s.sources(cfg)
	if err != nil {
		return err
	}
	local, app, release, err := s.openLocal(ctx, cfg, s.c.Command.Name)
	if err != nil {
		return err
	}
	defer release()
	var remotes []*place
	var failed []error
	if pushing {
		if remotes, failed, err = s.writableRemotes(ctx, cfg, local, app); err != nil {
			return err
		}
	}
	stamp, previous, err := s.nextStamp(ctx, local, remotes)
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer func() { stop() }()
	meter.Begin("capture", estimate(sources))
	sending, stopSending := context.WithCancel(ctx)
	streams := make([]*transfer.Stream, len(remotes))
	for i, r := range remotes {
		streams[i] = transfer.NewStream(sending, local.Store, r.Store, transfer.Options{})
		defer streams[i].Close()
	}
	defer stopSending() // before the streams are closed, so that a capture that failed does not go on sending
	res, err := snapshot.Take(ctx, sources, snapshot.Options{
		App: app, Stamp: stamp, Tool: version, Host: thisHost(), Previous: previous, Omitted: omitted,
		Target: local, Avoid: avoid(local, remotes), Meter: meter,
		Stored: func(a *manifest.Archive) error {
			for _, stream := range streams {
				stream.Add(a)
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	meter.Begin("send", 0)
	report := newBackupReport(res, local)
	for i, r := range remotes {
		if err := s.send(ctx, local, r, remotes, streams[i], res.ID, report, meter); err != nil {
			if ctx.Err() != nil {
				return err
			}
			failed = append(failed, err)
			s.warn("%s", printable(err.Error()))
		}
	}
	stop()
	stop = func() {}
	s.retain(ctx, cfg, local, remotes, len(failed) == 0 && pushing)
	return s.finishBackup(report, failed)
}

// send completes one remote: what the stream has not sent, the manifest, and snapshots that the remote missed earlier.
func (s *session) send(ctx context.Context, local *localstore.Store, r *place, remotes []*place, stream *transfer.Stream, id manifest.ID, report *backupReport, meter *progress.Meter) error {
	if err := stream.Close(); err != nil {
		return fmt.Errorf("push to %s: %w", r.name, err)
	}
	own, err := local.Snapshots(ctx)
	if err != nil {
		return err
	}
	var ids []manifest.ID
	for i := len(own) - 1; i >= 0; i-- {
		ids = append(ids, own[i].ID)
	}
	done, err := s.pushTo(ctx, placesFor(r, local, remotes), r, ids, meter)
	for _, p := range done {
		if p.Stamp == id.Stamp {
			report.Places = append(report.Places, placeReport{r.name, r.url})
		} else {
			s.note("%s also got %s, which it had missed", r.name, p.Stamp)
		}
	}
	return err
}

// placesFor returns where archives for a remote are taken from: the local store, and what that lacks from the other remotes.
func placesFor(r *place, local *localstore.Store, remotes []*place) []*place {
	from := []*place{{local.Store, "local", local.Path()}}
	for _, other := range remotes {
		if other != r {
			from = append(from, other)
		}
	}
	return from
}

func listed(ctx context.Context, store layout.Store) (map[manifest.ID]bool, error) {
	entries, err := store.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	there := map[manifest.ID]bool{}
	for _, e := range entries {
		there[e.ID] = true
	}
	return there, nil
}

// copySnapshot makes a snapshot of from exist in to.
func (s *session) copySnapshot(ctx context.Context, id manifest.ID, from []*place, to layout.Store, meter *progress.Meter) (transfer.Result, error) {
	snap, err := layout.OpenSnapshot(ctx, id, workers(), stores(from)...)
	if err != nil {
		return transfer.Result{}, err
	}
	return transfer.Copy(ctx, snap, stores(from), to, transfer.Options{Plan: meter.Expect, Progress: meter.Add})
}

// retain drops local copies that every remote has, but for those that are to be kept. That it fails is no failure of the backup.
func (s *session) retain(ctx context.Context, cfg *config.Config, local *localstore.Store, remotes []*place, reached bool) {
	if !reached || len(remotes) == 0 {
		return
	}
	var have []map[manifest.ID]bool
	for _, r := range remotes {
		there, err := listed(ctx, r.Store)
		if err != nil {
			s.warn("local copies are left as they are: %v", err)
			return
		}
		have = append(have, there)
	}
	freed, err := local.Retain(ctx, cfg.Local.Keep, func(id manifest.ID) bool {
		for _, there := range have {
			if !there[id] {
				return false
			}
		}
		return true
	})
	if err != nil {
		s.warn("%s", printable(err.Error()))
	}
	s.detail("dropped %s of local copies that every remote has", size(freed))
}

// sources returns the sources that are selected, and those that are left out.
func (s *session) sources(cfg *config.Config) (sources []snapshot.Source, omitted []manifest.Omission, err error) {
	if len(cfg.Sources) == 0 {
		return nil, nil, usagef("give a PATH, or write a lifeboat.yaml (lifeboat config example)", "there is nothing to back up")
	}
	only, except := s.c.StringSlice("only"), s.c.StringSlice("except")
	for _, p := range s.c.StringSlice("exclude") {
		if err := snapshot.CheckExclude(p); err != nil {
			return nil, nil, usage(err)
		}
	}
	known := map[string]bool{}
	for _, src := range cfg.Sources {
		known[src.Name] = true
		switch {
		case contains(except, src.Name):
			omitted = append(omitted, manifest.Omission{Source: src.Name, Why: "--except"})
		case len(only) > 0 && !contains(only, src.Name):
			omitted = append(omitted, manifest.Omission{Source: src.Name, Why: "not in --only"})
		default:
			sources = append(sources, snapshot.Source{Name: src.Name, Path: src.Path, Optional: src.Optional,
				Exclude: append(append([]string{}, src.Exclude...), s.c.StringSlice("exclude")...)})
		}
	}
	for _, name := range append(append([]string{}, only...), except...) {
		if !known[name] {
			return nil, nil, usagef("", "there is no source %q", name)
		}
	}
	if len(sources) == 0 {
		return nil, nil, usagef("", "--only and --except leave nothing to back up")
	}
	return sources, omitted, nil
}

func contains(list []string, name string) bool {
	for _, l := range list {
		if l == name {
			return true
		}
	}
	return false
}

// maxFuture is how far a stamp may be ahead of the clock and still count.
const maxFuture = 15 * time.Minute

// nextStamp returns the stamp of a new snapshot, later than every one before it, and the snapshot before.
func (s *session) nextStamp(ctx context.Context, local *localstore.Store, remotes []*place) (manifest.Stamp, *manifest.ID, error) {
	places := []layout.Store{local.Store}
	for _, r := range remotes {
		places = append(places, r.Store)
	}
	c, err := layout.List(ctx, places...)
	if err != nil {
		return "", nil, err
	}
	now := s.now().UTC().Truncate(time.Second)
	for i := len(c.IDs) - 1; i >= 0; i-- {
		last := c.IDs[i]
		if last.Stamp.Time().After(now.Add(maxFuture)) {
			s.warn("snapshot %s is from the future and is not counted", last.Stamp)
			continue
		}
		if !now.After(last.Stamp.Time()) {
			now = last.Stamp.Time().Add(time.Second)
		}
		return manifest.StampOf(now), &last, nil
	}
	return manifest.StampOf(now), nil, nil
}

func thisHost() manifest.Host {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return manifest.Host{Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH}
}

// avoid returns the directories that must not be in their own backup.
func avoid(local *localstore.Store, remotes []*place) []string {
	dirs := []string{local.Path()}
	for _, r := range remotes {
		if loc, err := remote.ParseURL(r.url); err == nil && loc.Dir != "" {
			dirs = append(dirs, loc.Dir)
		}
	}
	return dirs
}

// finishBackup reports, and turns what is missing into an exit code.
func (s *session) finishBackup(r *backupReport, failed []error) error {
	for _, err := range failed {
		r.NotReached = append(r.NotReached, err.Error())
	}
	r.print(s)
	if err := s.document(r); err != nil {
		return err
	}
	code := codeOK
	switch {
	case r.corrupt():
		code = codeIntegrity
	case r.State != manifest.Complete:
		code = codeIncomplete
	case len(failed) > 0:
		code = codeRemote
	}
	if code == codeOK {
		return nil
	}
	return &partialError{code, true, errors.New(strings.Join(r.NotReached, "; "))}
}
