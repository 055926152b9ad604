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
	s.kept = s.keeper()
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
	f, err := find(ctx, snap, path)
	if err != nil {
		return nil, err
	}
	if f.Type == manifest.Hardlink {
		// It names a file and no other hardlink, which only a reading of the whole table makes sure of; somebody could make two that name each other.
		if f, err = find(ctx, snap, f.Link); err != nil {
			return nil, err
		}
	}
	switch f.Type {
	case manifest.Regular:
		return f, nil
	case manifest.Symlink:
		return nil, usagef("", "%q is a symbolic link to %q", path, f.Link)
	case manifest.Hardlink:
		return nil, fmt.Errorf("%w: %q is a hardlink to a hardlink", manifest.ErrInvalid, path)
	}
	return nil, usagef(fmt.Sprintf("lifeboat ls %s %s shows what is in it", snap.ID.Stamp, oneLine(path)), "%q is a %s", path, f.Type)
}

// find returns the line of a path.
func find(ctx context.Context, snap *layout.Snapshot, path string) (*manifest.File, error) {
	for f, err := range snap.FilesFrom(ctx, path) {
		if err != nil {
			return nil, err
		}
		if f.Path == path {
			return f, nil
		}
		break
	}
	return nil, noPath(ctx, snap, path)
}
