package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"lifeboat/manifest"
)

const lsHelp = `Lists the files of a snapshot, or those at and below PATH, which is
SOURCE/PATH/BELOW/IT. Names that a terminal would not show are written with
escapes; --json has them exactly.

   lifeboat ls latest
   lifeboat ls -l latest app/uploads

Exit code 1: there is no such PATH; 13: no such snapshot, or several fit.

` + snapshotHelp

func lsFlags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "with modes, owners, sizes and times"}}
}

// An entry is a file in the output of ls.
type entry struct {
	Path    string            `json:"path"`
	Raw     string            `json:"raw,omitempty"` // base64 of the path's bytes, when they are not UTF-8
	Type    manifest.FileType `json:"type"`
	Mode    string            `json:"mode,omitempty"`
	User    string            `json:"user,omitempty"`
	Group   string            `json:"group,omitempty"`
	Size    int64             `json:"size"`
	ModTime string            `json:"mtime,omitempty"`
	SHA256  string            `json:"sha256,omitempty"`
	Link    string            `json:"link,omitempty"`
	Marked  string            `json:"marked,omitempty"`
	SQLite  *manifest.SQLite  `json:"sqlite,omitempty"`
}

// ls lists the files at and below a path.
func ls(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() < 1 || c.NArg() > 2 {
		return usagef("lifeboat ls latest", "ls takes a SNAPSHOT and perhaps a PATH")
	}
	s.kept = s.keeper()
	snap, _, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	path := strings.Trim(c.Args().Get(1), "/")
	files := snap.Files(ctx)
	if path != "" {
		files = snap.FilesFrom(ctx, path)
	}
	found, entries := false, []entry{}
	out := bufio.NewWriter(s.out)
	for f, err := range files {
		if err != nil {
			return err
		}
		if path != "" && f.Path != path && !strings.HasPrefix(f.Path, path+"/") {
			if manifest.ComparePaths(f.Path, path) > 0 {
				break
			}
			continue
		}
		found = true
		switch {
		case s.json:
			entries = append(entries, newEntry(f))
		case c.Bool("long"):
			fmt.Fprintln(out, longLine(f))
		default:
			fmt.Fprintln(out, oneLine(f.Path))
		}
	}
	if !found && path != "" {
		return noPath(ctx, snap, path)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return s.document(struct {
		Stamp manifest.Stamp `json:"stamp"`
		Files []entry        `json:"files"`
	}{snap.ID.Stamp, entries})
}

func newEntry(f *manifest.File) entry {
	e := entry{Path: f.Path, Type: f.Type, User: f.User, Group: f.Group, Size: f.Size, Link: f.Link, Marked: f.Marked, SQLite: f.SQLite}
	if !utf8.ValidString(f.Path) {
		e.Raw = base64.StdEncoding.EncodeToString([]byte(f.Path))
	}
	if f.Type != manifest.Hardlink {
		e.Mode = fmt.Sprintf("%04o", f.Mode)
		e.ModTime = f.ModTime.Time().UTC().Format(time.RFC3339Nano)
	}
	if f.Type == manifest.Regular {
		e.SHA256 = f.SHA256.String()
	}
	return e
}

func longLine(f *manifest.File) string {
	if f.Type == manifest.Hardlink {
		return fmt.Sprintf("%-45s %s = %s", "hardlink", oneLine(f.Path), oneLine(f.Link))
	}
	kind := map[manifest.FileType]string{manifest.Regular: "-", manifest.Directory: "d", manifest.Symlink: "l"}[f.Type]
	owner := f.User
	if owner == "" && f.UID != manifest.NoOwner {
		owner = fmt.Sprint(f.UID)
	}
	line := fmt.Sprintf("%s%04o %-8s %9s %s %s", kind, f.Mode, oneLine(owner), size(f.Size), f.ModTime.Time().Local().Format(time.DateTime), oneLine(f.Path))
	if f.Link != "" {
		line += " -> " + oneLine(f.Link)
	}
	if f.SQLite != nil {
		line += fmt.Sprintf("  [SQLite, %s, %s", count(f.SQLite.Pages, "page"), oneLine(f.SQLite.Integrity))
		if f.SQLite.Found != "" {
			line += ", found " + oneLine(f.SQLite.Found)
		}
		line += "]"
	}
	if f.Marked != "" {
		line += "  [" + oneLine(f.Marked) + "]"
	}
	return line
}
