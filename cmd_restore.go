package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"lifeboat/internal/progress"
	"lifeboat/restore"
)

const restoreHelp = `Lays a snapshot down in DIR, which must be empty or absent: each source in
DIR/SOURCE. Everything is verified in a staging directory beside it first, every
SHA-256, and every database by SQLite's integrity check, and then moved into
place as a whole.

   lifeboat restore latest --remote s3://bucket/app --target /srv/app-restored
   lifeboat restore 20060102 --only app/app.sqlite --target /tmp/look

It needs nothing on this machine but credentials for the remote. Run by root,
files get their owners back, by name where there is one of that name here, else
by number (auto); by names or numbers alone with exit code 3 if that cannot be
met. Others own what they restore. What could not be kept is listed.

Exit code 4: data is damaged, or a database was corrupt when it was captured; 8:
DIR is not empty, and nothing was changed; 13: no such snapshot; 15: no space.

` + snapshotHelp

func restoreFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "`DIR` to restore into, empty or absent"},
		&cli.StringSliceFlag{Name: "only", Usage: "restore only the source, path or `PATTERN`; may be repeated"},
		&cli.StringSliceFlag{Name: "except", Usage: "leave out the source, path or `PATTERN`; may be repeated"},
		&cli.StringFlag{Name: "owner", Value: string(restore.OwnerAuto), Usage: "files become those of the recorded owners by `HOW`: auto, names, numbers; or current: yours"},
		&cli.BoolFlag{Name: "privileged-metadata", Usage: "keep setuid and setgid bits, and security.* and trusted.* attributes"},
		downloadFlag(), concurrencyFlag("4"), memoryFlag(),
		&cli.BoolFlag{Name: "in-place", Hidden: true}, // a later version's; refused, and so is the next
		&cli.BoolFlag{Name: "confirm-service-stopped", Hidden: true},
	}
}

// restoreCommand lays a snapshot down.
func restoreCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() != 1 {
		return usagef("lifeboat restore latest --target DIR", "restore needs one SNAPSHOT")
	}
	if c.Bool("in-place") || c.Bool("confirm-service-stopped") {
		return refuse(fmt.Sprintf("lifeboat restore %s --target DIR with a new DIR, then stop the service and move what you need", c.Args().First()),
			"this version does not restore in place, over what is there")
	}
	if c.String("target") == "" {
		return usagef(fmt.Sprintf("lifeboat restore %s --target DIR", c.Args().First()), "restore needs to know where to")
	}
	owner := restore.Owner(c.String("owner"))
	if !slices.Contains(restore.Owners, owner) {
		return usagef("", "--owner %s: want auto, names, numbers or current", printable(string(owner)))
	}
	snap, _, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	res, err := restore.Run(ctx, snap, restore.Options{
		Target: s.env.Abs(c.String("target")), Only: c.StringSlice("only"), Except: c.StringSlice("except"),
		PrivilegedMetadata: c.Bool("privileged-metadata"), Owner: owner, Concurrency: s.limits.Concurrency, Meter: meter,
	})
	if errors.Is(err, restore.ErrNothingSelected) {
		return usagef("lifeboat ls "+string(snap.ID.Stamp)+" shows what there is", "--only and --except leave nothing of the snapshot")
	}
	if err != nil {
		return err
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
	if owner != restore.OwnerAuto && !res.OwnersKept {
		s.warn("everything is restored, but not all owners are those that --owner %s asks for, as said above; without it, they become what they can", owner)
		return reported(codeIncomplete)
	}
	return nil
}

func (s *session) printRestored(res *restore.Result) {
	s.say("restored %s to %s", res.Stamp, res.Target)
	for _, src := range res.Sources {
		s.say("  %-12s %s in %s", src.Name, size(src.Bytes), entries(src.Files))
	}
	s.say("  every file has the SHA-256 in the manifest")
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
	s.say("  took %s", seconds(res.Seconds))
}
