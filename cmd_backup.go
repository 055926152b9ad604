package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

const backupHelp = `Captures the PATHs, or else the sources of lifeboat.yaml, while they are in use,
and pushes the snapshot to every remote. SQLite databases are recognised by
their content, wherever they lie, and captured as one transaction each.

   lifeboat backup /srv/app --remote s3://bucket/app
   lifeboat backup db=/srv/app/app.sqlite files=/srv/files --remote /mnt/disk
   lifeboat backup              as lifeboat.yaml says (lifeboat config example)

A PATH is a directory, a database or a file, and is called by its last element;
NAME=PATH gives it another name.

Patterns are those of .gitignore: *.log is left out at any depth, /cache/ is the
directory cache of the source, cache/** what is in it, and !keep.log takes back
in what an earlier pattern left out. docs/operations.md has the rules.

The snapshot is made in the local store, from where archives are sent while
later ones are packed. What a remote missed, the next backup sends, or push.

Several databases are captured at one instant, which is found without locking
anybody out. With --barrier, writers to those in WAL mode wait for it, for less
than a millisecond, if it is not found otherwise.

Commands that hold an application still meanwhile, and those for when it did not
go well, are hooks of lifeboat.yaml.

With --prune, and if all of that went well, snapshots go that no rule keeps (see
lifeboat prune --help). That this fails is a warning.

What a store has lost of earlier snapshots is named, with the files that it
touches, and put back from the local store or another remote. Where no place has
it, this snapshot stores again what the sources still have of it.

Exit code 3: something is not in the snapshot; 4: a database is corrupt; 10, 14:
a remote does not have it, since it is gone or was not reached.`

const createHelp = `Like backup, but sends nothing. See lifeboat backup --help; lifeboat push sends
what the remotes lack.

   lifeboat create /srv/app
   lifeboat create /srv/app --exclude 'cache/**' --store /var/tmp/before-upgrade

Exit code 3: something is not in the snapshot; 4: a database is corrupt.`

func createFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "only", Usage: "capture only the source `NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "except", Usage: "leave out the source `NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "exclude", Usage: "leave out what matches `PATTERN`, as in a .gitignore; may be repeated"},
		&cli.StringSliceFlag{Name: "exclude-file", Usage: "read patterns from `FILE`, one a line; may be repeated"},
		&cli.BoolFlag{Name: "exclude-caches", Usage: "leave out what is in directories that have a CACHEDIR.TAG"},
		&cli.BoolFlag{Name: "one-file-system", Usage: "leave out what is mounted below a PATH"},
		&cli.BoolFlag{Name: "barrier", Usage: "let writers wait for a moment, if that is what it takes for databases to be of one instant"},
		&cli.BoolFlag{Name: "full", Usage: "store everything again, and lean on no snapshot before"},
		&cli.BoolFlag{Name: "rehash", Usage: "read also what is proved to be unchanged"},
		compressionFlag(),
		memoryFlag(),
		waitFlag(),
	}, spoolFlags()...)
}

func waitFlag() cli.Flag {
	return &cli.DurationFlag{Name: "wait", Usage: "wait up to `TIME`, such as 10m, for another lifeboat on the same local store"}
}

// remoteFlags are those of commands that write to remotes.
func remoteFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "init", Usage: "a remote that is empty now, or another than it was, is meant: begin a new store there"},
		&cli.BoolFlag{Name: "takeover", Usage: "write to a remote that another machine has written to", EnvVars: []string{"LIFEBOAT_TAKEOVER"}},
	}
}

// backup takes a snapshot and pushes it.
func backup(s *session, c *cli.Context) error {
	return s.pinged(c.Context, func() error { return s.take(c.Context, true) })
}

// create takes a snapshot into the local store alone.
func create(s *session, c *cli.Context) error { return s.take(c.Context, false) }

// take is backup and create.
func (s *session) take(ctx context.Context, pushing bool) (err error) {
	cfg, err := s.config(s.c.Args().Slice())
	if err != nil {
		return err
	}
	hooks := s.hooks(cfg)
	defer func() { hooks.alarm(ctx, err) }()
	if err := s.spoolSettings(&cfg.Local); err != nil {
		return err
	}
	level, err := s.compression(cfg)
	if err != nil {
		return err
	}
	rules, err := s.rulesAfterBackup(cfg)
	if err != nil {
		return err
	}
	sources, omitted, err := s.sources(cfg)
	if err != nil {
		return err
	}
	w, err := s.open(ctx, cfg, pushing)
	if err != nil {
		return err
	}
	defer w.release()
	if err := s.settleRestores(ctx, w.local); err != nil {
		return err
	}
	listed, stamp, previous, err := s.nextStamp(ctx, w)
	if err != nil {
		return err
	}
	others := s.lookForOthers(ctx, w, listed)
	if w.safety != nil { // whose stamps are not used a second time
		if stamp, err = freshStamp(ctx, stamp.Time(), w.safety); err != nil {
			return err
		}
	}
	began := s.now()
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	scratch, err := s.temporary()
	if err != nil {
		return err
	}
	spool, err := s.spool(ctx, w, cfg, listed, previous, sources, level, meter)
	if err != nil {
		return err
	}
	defer spool.Abandon(ctx)
	l, err := s.lean(ctx, w, listed, spool, sources, omitted)
	if err != nil {
		return err
	}
	defer l.close()
	sending := startSending(ctx, w, spool, transfer.Options{Concurrency: s.limits.Concurrency, Always: s.c.Bool("full")})
	defer sending.abandon()
	res, err := s.capture(ctx, sources, meter, l.options(ctx, sources, hooks.around(ctx, w.app, stamp, snapshot.Options{
		App: w.app, Stamp: stamp, Tool: version, Host: thisHost(), Previous: previous, Omitted: omitted,
		Target: spool, Avoid: append(avoid(w.local.Path(), cfg.Remotes), scratch), Scratch: scratch, Stored: sending.add,
		MaxPin: time.Duration(cfg.Local.MaxPin), MaxBlock: time.Duration(cfg.Local.MaxBlock), MaxWALGrowth: int64(cfg.Local.MaxWALGrowth), ArchiveLimit: spool.ArchiveLimit(),
		Barrier: cfg.Barrier || s.c.Bool("barrier"), Compression: level,
	}), w.local, spool, s.c.Bool("rehash") || s.c.Bool("full"), began))
	if err != nil {
		return err
	}
	s.keepBase(w, l, res)
	if err := w.local.RememberTaken(localstore.Taken{ID: res.ID, Previous: previous}); err != nil {
		s.warn("that somebody else writes to the same store may not be noticed: %v", err)
	}
	if err := w.local.RememberRoots(rootsOf(sources)); err != nil {
		s.warn("a restore in place will not know where the sources lie: %v", err)
	}
	report := newBackupReport(res, w.local)
	report.others, report.Others, report.OtherCount = others, others.list, others.count
	if spool.Bypassed() {
		report.notLocal(fmt.Sprintf("the spool has room for %s", size(spool.Room())))
	} else if spool.Away() {
		report.notLocal("what it has in common with earlier snapshots is only at the remotes")
		report.pull = true
	}
	report.alone = pushing && len(cfg.Remotes) == 0
	meter.Begin("send", 0)
	if err := s.deliver(ctx, w, sending, report, meter); err != nil {
		return err
	}
	if err := s.healAfter(ctx, w, l.base, report, meter); err != nil {
		return err
	}
	if report.NotLocal == "" {
		if _, err := readNeeds(ctx, s.keeper(), res.ID, s.limits.workers, w.local.Store); err != nil {
			s.detail("what %s needs is not kept for a listing: %s", res.ID.Stamp, explain(err))
		}
	}
	report.Seconds = s.now().Sub(began).Seconds()
	stop()
	s.tellRepaired(w)
	if pushing && len(report.failed) == 0 {
		s.retain(ctx, cfg.Local.Keep, w)
	}
	if s.c.Bool("prune") && len(report.failed) == 0 && report.State == manifest.Complete && !report.corrupt() {
		s.pruneAfterBackup(ctx, cfg, rules, w, report)
	}
	if pushing {
		s.addRecovery(ctx, report, w.remotes, targetOf(res.ID, res.Head))
	}
	return s.finishBackup(ctx, report)
}

// capture takes the snapshot.
func (s *session) capture(ctx context.Context, sources []snapshot.Source, meter *progress.Meter, opts snapshot.Options) (*snapshot.Result, error) {
	meter.Begin("capture", 0)
	if s.showsProgress() {
		var before *manifest.Head
		if opts.Base != nil {
			before = opts.Base.Head
		}
		defer estimate(ctx, sources, before, meter)()
	}
	opts.Meter, opts.Workers = meter, s.limits.workers
	return snapshot.Take(ctx, sources, opts)
}

// maxFuture is how far a stamp may be ahead of the clock and still count.
const maxFuture = 15 * time.Minute

// leastYear is the first that a clock can be right in: lifeboat was not there before. Machines without a clock begin in 1970 or 2000.
const leastYear = 2025

// nextStamp lists what there is, and returns the stamp of a new snapshot, later than every one before it, and the snapshot before.
func (s *session) nextStamp(ctx context.Context, w *writable) (*layout.Catalog, manifest.Stamp, *manifest.ID, error) {
	c, err := layout.ListBeyond(remote.WithPatience(ctx, atStart), glances(w.remotes...), append([]layout.Store{w.local.Store}, stores(w.remotes)...)...)
	if c == nil || ctx.Err() != nil { // of a remote that fails here, the delivery will tell
		return nil, "", nil, err
	}
	now := s.now().UTC().Truncate(time.Second)
	if now.Year() < leastYear || len(c.IDs) > 0 && c.IDs[len(c.IDs)-1].Stamp.Time().After(now.Add(maxFuture)) {
		now = s.clock(ctx, stores(w.remotes)).UTC().Truncate(time.Second)
	}
	if now.Year() < leastYear {
		return nil, "", nil, refuse("set the clock (NTP), and run the same command again",
			"this machine's clock says %s, so that the snapshot would count as the oldest of all", now.Format(time.DateTime))
	}
	ids := s.withLastTaken(w, c.IDs)
	if n := countFuture(ids, now); n > 0 {
		s.warn("%s from the future, up to %s, and not counted; was this machine's clock wrong then, or is it now?", are(n), ids[len(ids)-1].Stamp)
		ids = ids[:len(ids)-n]
	}
	if len(ids) == 0 {
		return c, manifest.StampOf(now), nil, nil
	}
	last := ids[len(ids)-1]
	if !now.After(last.Stamp.Time()) {
		now = last.Stamp.Time().Add(time.Second)
	}
	return c, manifest.StampOf(now), &last, nil
}

// countFuture returns how many stamps are too far ahead of a clock to count.
func countFuture(ids []manifest.ID, now time.Time) (n int) {
	for n < len(ids) && ids[len(ids)-1-n].Stamp.Time().After(now.Add(maxFuture)) {
		n++
	}
	return n
}

func are(n int) string {
	if n == 1 {
		return "1 snapshot is"
	}
	return fmt.Sprintf("%d snapshots are", n)
}

// withLastTaken adds the snapshot that was taken last from here, which may be where nobody answers now. A missing one is normal after a prune.
func (s *session) withLastTaken(w *writable, ids []manifest.ID) []manifest.ID {
	last, err := w.local.LastTaken()
	if err != nil || last == nil {
		return ids
	}
	ids = append(slices.Clone(ids), last.ID)
	slices.SortFunc(ids, manifest.ID.Compare)
	return slices.Compact(ids)
}

func thisHost() manifest.Host {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return manifest.Host{Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH}
}
