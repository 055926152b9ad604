package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/restore"
)

const restoreHelp = `Lays a snapshot down in DIR, which must be empty or absent: each source in
DIR/SOURCE. Or, with --in-place, where the sources were: over what is there.
Everything is verified first in a directory beside it, every SHA-256, and every
database by SQLite's integrity check, and then moved into place as a whole.

   lifeboat restore latest --remote s3://bucket/app --target /srv/app-restored
   lifeboat restore 20060102 --only app/app.sqlite --target /tmp/look
   lifeboat restore latest --in-place --plan
   lifeboat restore latest --in-place --confirm-service-stopped

In place, a source goes where lifeboat.yaml says, else where the last backup
from this machine found it; --map and --to-recorded-paths say otherwise. --plan
shows what would change. What is there is saved first, as a safety snapshot, and
then put aside for --keep-old: lifeboat undo puts it back. Killed in the middle,
lifeboat restore --resume completes it, and lifeboat undo goes back.
Files that are not in the snapshot stay, but for those in a vector store.

Run by root, files get their owners back, by name where there is one of that
name here, else by number (auto); by names or numbers alone with exit code 3 if
that cannot be met. Others own what they restore. What is not kept is listed.

Of a snapshot that is damaged everywhere, --salvage --target DIR brings back
what is whole and lists what is not, with exit code 3. A file of which a part is
lost is named NAME.damaged, and has zeros where that was.

Exit code 4: data is damaged, or a database was corrupt when it was captured; 7:
the snapshot is older than --max-age; 8: DIR is not empty, something is in use,
or the service was not said to be stopped: nothing was changed; 13: no such
snapshot; 15: no space.

` + snapshotHelp

func restoreFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "`DIR` to restore into, empty or absent"},
		&cli.BoolFlag{Name: "salvage", Usage: "bring back what is whole of a damaged snapshot, and list what is not"},
		&cli.BoolFlag{Name: "replace", Usage: "what is in the target is replaced, as in place"},
		&cli.BoolFlag{Name: "in-place", Usage: "restore over what is there"},
		&cli.BoolFlag{Name: "confirm-service-stopped", Usage: "what uses the files has been stopped; means --in-place without --target"},
		&cli.BoolFlag{Name: "plan", Usage: "show what would change in place, and change nothing"},
		&cli.StringSliceFlag{Name: "map", Usage: "in place, a source goes to `NAME=PATH`; may be repeated"},
		&cli.BoolFlag{Name: "to-recorded-paths", Usage: "in place, sources that this machine does not know go where the snapshot says"},
		&cli.BoolFlag{Name: "no-pre-snapshot", Usage: "take no safety snapshot of what is replaced"},
		&cli.BoolFlag{Name: "delete-extra", Usage: "files that are not in the snapshot do not stay"},
		&cli.StringFlag{Name: "keep-old", Usage: "what is replaced can be put back for `TIME`, such as 12h or 30d; 0s: not at all (default: 7d)"},
		&cli.BoolFlag{Name: "resume", Usage: "complete a restore or an undo that was cut in the middle"},
		&cli.BoolFlag{Name: "if-needed", Usage: "with --resume: that there is nothing to resume is no failure"},
		maxAgeFlag(),
		&cli.StringSliceFlag{Name: "only", Usage: "restore only the source, path or `PATTERN`; may be repeated"},
		&cli.StringSliceFlag{Name: "except", Usage: "leave out the source, path or `PATTERN`; may be repeated"},
		&cli.StringFlag{Name: "owner", Value: string(restore.OwnerAuto), Usage: "files become those of the recorded owners by `HOW`: auto, names, numbers; or current: yours"},
		&cli.BoolFlag{Name: "privileged-metadata", Usage: "keep setuid and setgid bits, and security.* and trusted.* attributes"},
		downloadFlag(), concurrencyFlag("4"), memoryFlag(), waitFlag(),
	}
}

// restoreCommand lays a snapshot down.
func restoreCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if err := s.restoreUsage(); err != nil {
		return err
	}
	if c.Bool("resume") {
		return s.resume(ctx)
	}
	owner, ref := restore.Owner(c.String("owner")), c.Args().First()
	into := c.String("target") != "" && !c.Bool("replace")
	switch {
	case c.Bool("plan"):
		return s.planRestore(ctx, ref)
	case into:
		return s.restoreInto(ctx, ref, owner)
	case c.Bool("in-place"), c.Bool("replace"), c.Bool("confirm-service-stopped"):
		return s.restoreInPlace(ctx, ref, owner)
	}
	return s.whereTo(ctx, ref)
}

// restoreUsage reports flags that do not go together.
func (s *session) restoreUsage() error {
	c := s.c
	owner := restore.Owner(c.String("owner"))
	switch {
	case c.Bool("salvage") && (c.Bool("resume") || c.Bool("plan") || c.Bool("in-place") || c.Bool("replace") || c.Bool("confirm-service-stopped") || c.String("target") == ""):
		return usagef("lifeboat restore SNAPSHOT --salvage --target DIR, and copy from there what you need", "--salvage lays down beside what is there, never over it")
	case c.Bool("resume") && c.Args().Present():
		return usagef("lifeboat restore --resume", "--resume goes on with the restore that was cut, and needs no SNAPSHOT")
	case c.Bool("resume"):
		return nil
	case c.Bool("if-needed"):
		return usagef("lifeboat restore --resume --if-needed", "--if-needed belongs to --resume")
	case c.NArg() != 1:
		return usagef("lifeboat restore latest --target DIR", "restore needs one SNAPSHOT")
	case !slices.Contains(restore.Owners, owner):
		return usagef("", "--owner %s: want auto, names, numbers or current", printable(string(owner)))
	case c.String("target") != "" && c.Bool("in-place"):
		return usagef("", "--target and --in-place do not go together: --replace restores over what is in the target")
	case c.Bool("replace") && c.String("target") == "":
		return usagef("lifeboat restore latest --target DIR --replace", "--replace belongs to --target")
	}
	return s.keepSetting()
}

// keepSetting reads --keep-old.
func (s *session) keepSetting() error {
	s.keep = defaultKeepOld
	text := s.c.String("keep-old")
	if text == "" {
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			s.keep = time.Duration(n) * 24 * time.Hour
			return nil
		}
	}
	keep, err := time.ParseDuration(text)
	if err != nil || keep < 0 {
		return usagef("", "--keep-old %s: want a time such as 12h or 7d, or 0s", printable(text))
	}
	s.keep = keep
	return nil
}

// whereTo shows what a restore in place would do, when nobody has said where to restore to, and both ways to say it.
func (s *session) whereTo(ctx context.Context, ref string) error {
	if !s.json { // which has one document, and that is the error
		if err := s.planRestore(ctx, ref); err != nil {
			s.detail("there is no plan for a restore in place: %v", err)
		}
	}
	return usagef(fmt.Sprintf("lifeboat restore %s --target DIR lays it down in a new directory; lifeboat restore %s --in-place --confirm-service-stopped replaces what is there", ref, ref),
		"restore needs to know where to")
}

// restoreInto restores into a directory that is empty or absent.
func (s *session) restoreInto(ctx context.Context, ref string, owner restore.Owner) error {
	find := s.find
	if s.c.Bool("salvage") {
		find = s.findAnywhere
	}
	snap, _, err := s.findFresh(ctx, ref, find)
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	opts := s.restoreOptions(owner, meter)
	opts.Salvage = s.c.Bool("salvage")
	opts.Target = s.env.Abs(s.c.String("target"))
	res, err := restore.Run(ctx, snap, opts)
	if damaged(err) && !opts.Salvage {
		return &failure{codeIntegrity, "integrity", err, anotherMayBeWhole + "; with --salvage, what is whole of this one comes back"}
	}
	if err != nil {
		return nothingSelected(err, snap)
	}
	stop()
	s.printRestored(res)
	if err := s.document(struct {
		*restore.Result
		PreRestoreSnapshot *string `json:"pre_restore_snapshot"` // there was nothing to save
	}{res, nil}); err != nil {
		return err
	}
	if !res.IntegrityOK {
		return reported(codeIntegrity)
	}
	if res.Salvaged != nil && !res.Salvaged.Whole {
		return reported(codeIncomplete)
	}
	if owner != restore.OwnerAuto && !res.OwnersKept {
		s.warn("everything is restored, but not all owners are those that --owner %s asks for, as said above; without it, they become what they can", owner)
		return reported(codeIncomplete)
	}
	return nil
}

// findFresh finds the snapshot that a reference names, and refuses one that is older than --max-age allows.
func (s *session) findFresh(ctx context.Context, ref string, find func(context.Context, string) (*layout.Snapshot, []*place, error)) (*layout.Snapshot, []*place, error) {
	maxAge, err := s.maxAge()
	if err != nil {
		return nil, nil, err
	}
	snap, has, err := find(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	return snap, has, s.stale(ctx, snap.ID, maxAge, has...)
}

// restoreOptions returns what the command line says of how to restore, wherever to.
func (s *session) restoreOptions(owner restore.Owner, meter *progress.Meter) restore.Options {
	return restore.Options{Only: s.c.StringSlice("only"), Except: s.c.StringSlice("except"), PrivilegedMetadata: s.c.Bool("privileged-metadata"),
		Owner: owner, Concurrency: s.limits.Concurrency, Checkers: s.limits.workers, Meter: meter}
}

// nothingSelected makes the error of a selection that leaves nothing one of usage; others stay as they are.
func nothingSelected(err error, snap *layout.Snapshot) error {
	if errors.Is(err, restore.ErrNothingSelected) {
		return usagef("lifeboat ls "+string(snap.ID.Stamp)+" shows what there is", "--only and --except leave nothing of the snapshot")
	}
	return err
}

func (s *session) printRestored(res *restore.Result) {
	s.say("restored %s to %s", res.Stamp, res.Target)
	for _, src := range res.Sources {
		s.say("  %-12s %s in %s", src.Name, size(src.Bytes), entries(src.Files))
	}
	s.say("  every file has the SHA-256 in the manifest")
	s.printSalvaged(res.Salvaged)
	s.printChecks(res)
	s.say("  took %s", seconds(res.Seconds))
}

// printChecks says what came of the checks of databases, and what was not kept.
func (s *session) printChecks(res *restore.Result) {
	sound := 0
	for _, d := range res.Databases {
		if d.Integrity == "ok" {
			sound++
			continue
		}
		s.warn("%s: integrity check: %s (when it was captured: %s): %s", oneLine(d.Path), d.Integrity, oneLine(d.Captured), indented(d.Detail, "  "))
	}
	if len(res.Databases) > 0 {
		s.say("  %d of %s passed the integrity check", sound, count(int64(len(res.Databases)), "database"))
	}
	for i, lost := range res.NotKept {
		if i == 5 && !s.verbose {
			s.warn("not kept: and %s more (-v lists them, --json too)", count(int64(len(res.NotKept)-5), "kind"))
			break
		}
		more := ""
		if lost.Files > 1 {
			more = fmt.Sprintf(" and %s more", humanize.Comma(lost.Files-1))
		}
		s.warn("not kept: %s%s: %s", oneLine(lost.Path), more, oneLine(lost.What))
	}
}
