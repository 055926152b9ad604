package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const catHelp = `Writes one file to standard output, and checks its SHA-256 at the end: exit code
4 means that what was written is not to be relied upon.

   lifeboat cat latest app/config.json
   lifeboat cat latest app/app.sqlite > app.sqlite

Exit code 1: there is no such PATH; 13: no such snapshot, or several fit.

` + snapshotHelp

// cat writes one file to standard output.
func cat(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() != 2 {
		return usagef("lifeboat cat latest SOURCE/PATH > FILE", "cat needs a SNAPSHOT and a PATH")
	}
	if s.json {
		return usagef("lifeboat ls --json tells about a file", "cat writes the file itself and has no JSON form")
	}
	snap, _, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	f, err := lookUp(ctx, snap, strings.Trim(c.Args().Get(1), "/"))
	if err != nil {
		return err
	}
	return snap.Copy(ctx, s.out, f)
}

// lookUp finds a regular file, through a hardlink if need be.
func lookUp(ctx context.Context, snap *layout.Snapshot, path string) (*manifest.File, error) {
	for f, err := range snap.FilesFrom(ctx, path) {
		switch {
		case err != nil:
			return nil, err
		case f.Path != path:
			return nil, noPath(snap, path)
		case f.Type == manifest.Hardlink && f.Link != path:
			return lookUp(ctx, snap, f.Link)
		case f.Type == manifest.Symlink:
			return nil, usagef("", "%q is a symbolic link to %q", path, f.Link)
		case f.Type != manifest.Regular:
			return nil, usagef(fmt.Sprintf("lifeboat ls %s %s shows what is in it", snap.ID.Stamp, oneLine(path)), "%q is a %s", path, f.Type)
		}
		return f, nil
	}
	return nil, noPath(snap, path)
}
