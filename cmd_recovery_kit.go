package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/durable"
	"lifeboat/remote"
)

const recoveryKitHelp = `Writes RECOVER.md, recover.sh and recover.py into DIR: how to get everything
back with sh, jq and zstd, or with Python and zstd, and nothing else. They lie
in every store too, but who can write to a bucket can change them there: take
them from here, and keep them with the credentials.

   lifeboat recovery-kit /media/usb
   lifeboat recovery-kit --stores --remote s3://bucket/app

With --stores they are put into the local store and every remote, in place of
what is there: lifeboat validate says when that is needed.

Exit code 10: there is no store; 14: a remote was not reached, or refused.`

func recoveryKitFlags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "stores", Usage: "put them into every store"}}
}

// recoveryKit writes the recovery programs into a directory, or into stores.
func recoveryKit(s *session, c *cli.Context) error {
	written := []string{}
	switch {
	case c.NArg() > 1 || c.NArg() == 1 && c.Bool("stores") || c.NArg() == 0 && !c.Bool("stores"):
		return usagef("lifeboat recovery-kit DIR", "recovery-kit needs a DIR, or --stores")
	case c.NArg() == 1:
		dir := s.env.Abs(c.Args().First())
		if err := writeKit(dir); err != nil {
			return err
		}
		written = append(written, dir)
	default:
		places, err := s.places(c.Context)
		if err != nil {
			return err
		}
		for _, p := range places {
			if err := s.repairKit(c, p); err != nil {
				return err
			}
			written = append(written, p.url)
		}
	}
	for _, where := range written {
		s.say("RECOVER.md, recover.sh and recover.py are in %s", where)
	}
	return s.document(map[string]any{"written": written})
}

// writeKit writes the files, in place of what is there; a symbolic link of one of those names is replaced, and not followed.
func writeKit(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range kit() {
		mode := fs.FileMode(0o644)
		if filepath.Ext(f.Name) != ".md" {
			mode = 0o755
		}
		if err := durable.WriteFile(filepath.Join(dir, f.Name), f.Data, mode); err != nil {
			return fmt.Errorf("write the recovery kit: %w", err)
		}
	}
	return nil
}

// repairKit puts the files into a store that is one.
func (s *session) repairKit(c *cli.Context, p *place) error {
	if _, err := p.Marker(c.Context); errors.Is(err, fs.ErrNotExist) {
		return noStore("is the name right? lifeboat backup makes a new store", "there is no store at %s", p.url)
	} else if err != nil {
		return err
	}
	for _, f := range kit() {
		if err := p.PutSmall(c.Context, f.Name, f.Data, remote.PutOptions{}); err != nil {
			return fmt.Errorf("write the recovery kit: %w", err)
		}
	}
	return nil
}
