package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const historyHelp = `Tells of a file, SOURCE/PATH/OF/IT, in every snapshot, oldest first: its size,
whether it changed since the snapshot before, and how many rows a database has,
in all its tables or in one. Only manifests are read.

   lifeboat history app/data.sqlite
   lifeboat history app/data.sqlite --table users --last 30

Exit code 1: no snapshot has such a file, or such a table; 10, 14: a remote is
gone or was not reached, and what the others have is told.`

func historyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "table", Usage: "count the rows of the table `NAME`"},
		&cli.IntFlag{Name: "last", Usage: "look at the newest `N` snapshots only"},
	}
}

// A fileVersion is a file as it is in one snapshot.
type fileVersion struct {
	Stamp  manifest.Stamp    `json:"stamp"`
	ID     string            `json:"id"`
	Kind   manifest.Kind     `json:"kind,omitempty"`
	State  string            `json:"state"` // complete, incomplete or unreadable
	Exists bool              `json:"exists"`
	Change string            `json:"change"` // added, same, changed, removed, absent or unknown
	Type   manifest.FileType `json:"type,omitempty"`
	Size   int64             `json:"size"`
	SHA256 string            `json:"sha256,omitempty"`
	MTime  string            `json:"mtime,omitempty"`
	Rows   *int64            `json:"rows"` // nil: no database, or no such table
	Note   string            `json:"note,omitempty"`

	tables []string
}

// history tells of one file in every snapshot.
func history(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() != 1 {
		return usagef("lifeboat ls latest shows the files", "history takes one FILE")
	}
	if c.IsSet("last") && c.Int("last") < 1 {
		return usagef("", "--last %d: want how many snapshots to look at", c.Int("last"))
	}
	path, named := strings.Trim(c.Args().First(), "/"), c.String("table")
	_, catalog, partial, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	ids := catalog.IDs
	if n := c.Int("last"); n > 0 {
		ids = ids[max(0, len(ids)-n):]
	}
	versions := []fileVersion{}
	var last *fileVersion // that has it
	for _, id := range ids {
		v := s.versionOf(ctx, catalog, id, path, named)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		v.since(last)
		versions = append(versions, v)
		if v.Exists || v.Change == "removed" {
			last = &versions[len(versions)-1]
		}
	}
	if err := missing(versions, path, named); err != nil {
		return err
	}
	s.printHistory(versions)
	if err := s.document(struct {
		Path     string        `json:"path"`
		Table    string        `json:"table,omitempty"`
		Versions []fileVersion `json:"versions"`
	}{path, named, versions}); err != nil || partial == nil {
		return err
	}
	return reported(classify(ctx, partial).code)
}

// versionOf looks a file up in a snapshot. What can't be read is noted.
func (s *session) versionOf(ctx context.Context, c *layout.Catalog, id manifest.ID, path, table string) fileVersion {
	v := fileVersion{Stamp: id.Stamp, ID: id.String()}
	snap, err := layout.OpenSnapshot(ctx, id, s.limits.workers, c.Where(id)...)
	var f *manifest.File
	if err == nil {
		v.Kind, v.State = snap.Head.Kind, string(snap.Head.State)
		f, err = lineOf(ctx, snap, path)
	}
	if err != nil {
		v.State, v.Note = "unreadable", err.Error()
		return v
	}
	if f == nil {
		return v
	}
	v.Exists, v.Type, v.Size = true, f.Type, f.Size
	if f.Type == manifest.Regular {
		v.SHA256 = f.SHA256.String()
	}
	v.MTime = f.ModTime.Time().UTC().Format(time.RFC3339Nano)
	if f.SQLite == nil {
		return v
	}
	var rows int64
	for _, t := range f.SQLite.Tables {
		v.tables = append(v.tables, t.Name)
		if table == "" || t.Name == table {
			rows += t.Rows
		}
	}
	if table == "" || slices.Contains(v.tables, table) {
		v.Rows = &rows
	}
	return v
}

// lineOf returns the line of a path of a snapshot, or nil. For a hard link it is that of the file which it is a second name of.
func lineOf(ctx context.Context, snap *layout.Snapshot, path string) (*manifest.File, error) {
	f, err := exactly(ctx, snap, path)
	if f != nil && f.Type == manifest.Hardlink {
		return exactly(ctx, snap, f.Link)
	}
	return f, err
}

func exactly(ctx context.Context, snap *layout.Snapshot, path string) (*manifest.File, error) {
	for f, err := range snap.FilesFrom(ctx, path) {
		if err != nil || f.Path == path {
			return f, err
		}
		break
	}
	return nil, nil
}

// since says how a version differs from the last one that is known.
func (v *fileVersion) since(last *fileVersion) {
	switch {
	case v.State == "unreadable":
		v.Change = "unknown"
	case v.Exists && (last == nil || !last.Exists):
		v.Change = "added"
	case v.Exists && v.Type == last.Type && v.SHA256 == last.SHA256:
		v.Change = "same"
	case v.Exists:
		v.Change = "changed"
	case last != nil && last.Exists:
		v.Change = "removed"
	default:
		v.Change = "absent"
	}
}

// missing reports that no snapshot has the file, or the table.
func missing(versions []fileVersion, path, table string) error {
	var tables []string
	exists, rows := false, false
	for _, v := range versions {
		exists, rows = exists || v.Exists, rows || v.Rows != nil
		tables = append(tables, v.tables...)
	}
	slices.Sort(tables)
	tables = slices.Compact(tables)
	switch {
	case len(versions) > 0 && !exists:
		return &failure{codeFailed, "no_path", fmt.Errorf("no snapshot has a file %q", path), "a path begins with the name of its source; lifeboat ls latest shows what there is"}
	case exists && table != "" && !rows && len(tables) > 0:
		return &failure{codeFailed, "no_path", fmt.Errorf("no snapshot has a table %q in %q", table, path), "there are " + oneLine(strings.Join(tables[:min(len(tables), 20)], ", "))}
	case exists && table != "" && !rows:
		return &failure{codeFailed, "no_path", errors.New("there are no tables: " + path + " is no SQLite database"), "lifeboat history " + path + " tells its sizes"}
	}
	return nil
}

func (s *session) printHistory(versions []fileVersion) {
	if s.json {
		return
	}
	if len(versions) == 0 {
		s.print("there are no snapshots")
		return
	}
	rows := [][]string{{"STAMP", "SIZE", "ROWS", "CHANGE", "STATE"}}
	for _, v := range versions {
		line := []string{string(v.Stamp), "-", "-", v.Change, v.State}
		if v.Kind == manifest.Safety {
			line[4] += ", safety"
		}
		if v.Exists {
			line[1] = size(v.Size)
		}
		if v.Rows != nil {
			line[2] = fmt.Sprint(*v.Rows)
		}
		rows = append(rows, line)
	}
	for _, line := range table(rows, s.width(s.out), "STATE") {
		s.print("%s", line)
	}
	for _, v := range versions {
		if v.Note != "" {
			s.note("%s: %s", v.Stamp, printable(v.Note))
		}
	}
}
