package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"lifeboat/compare"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const diffHelp = `Tells what changed from one SNAPSHOT to another, or at and below PATH, which is
SOURCE/PATH/BELOW/IT: + was added, - removed, ~ changed. Of databases, tables
with their rows then and now, and how many pages changed at most, when that can
be seen. Only manifests are read, so it is quick, and says nothing of contents.

   lifeboat diff latest@2006-01-02 latest
   lifeboat diff 20060102T150405Z latest app/uploads --metadata

Exit code 1: there is no such PATH in either; 13: no such snapshot, or several
fit.

` + snapshotHelp

func diffFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "metadata", Usage: "show too where only mode, owner, time or attributes changed"},
		&cli.BoolFlag{Name: "all", Usage: "show every change, however many there are"},
	}
}

// How many changes are shown without --all; the others are counted.
const (
	maxDiffLines    = 200
	maxDiffDocument = 10_000
	maxDiffTables   = 20 // of one database, for people
)

// A diffReport is what changed from one snapshot to another.
type diffReport struct {
	From    snapshotName           `json:"from"`
	To      snapshotName           `json:"to"`
	Path    string                 `json:"path,omitempty"`
	Counts  map[compare.What]int64 `json:"counts"`
	Bytes   map[compare.What]int64 `json:"bytes"` // of added, removed, and changed as they are now
	Same    int64                  `json:"same"`
	Changes []diffChange           `json:"changes"`
	More    int64                  `json:"not_shown,omitempty"`
}

type snapshotName struct {
	Stamp manifest.Stamp `json:"stamp"`
	ID    string         `json:"id"`
}

type diffChange struct {
	What   compare.What      `json:"what"`
	Path   string            `json:"path"`
	Raw    string            `json:"raw,omitempty"` // base64 of the path's bytes, when they are not UTF-8
	Type   manifest.FileType `json:"type"`
	Before manifest.FileType `json:"type_before,omitempty"` // when it is another
	Old    int64             `json:"bytes_before"`
	New    int64             `json:"bytes"`

	OldLink string `json:"link_before,omitempty"` // of a symbolic link, or the file that a hard link was
	Link    string `json:"link,omitempty"`

	Database *databaseDiff `json:"database,omitempty"`
}

// A databaseDiff is what changed in a database that is in both snapshots, or came, or went.
type databaseDiff struct {
	Tables []diffTable `json:"tables"` // whose rows are more or fewer
	Schema bool        `json:"schema_changed"`
	Pages  *int64      `json:"pages_changed"` // at most; nil: not known
	Of     int64       `json:"pages"`         // now
}

type diffTable struct {
	Name string `json:"name"`
	Old  int64  `json:"rows_before"` // -1 when there was no such table
	New  int64  `json:"rows"`        // likewise
}

// diff tells what changed from one snapshot to another.
func diff(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() < 2 || c.NArg() > 3 {
		return usagef("lifeboat diff latest@2006-01-02 latest", "diff takes two SNAPSHOTs and perhaps a PATH")
	}
	snaps, err := s.findAll(ctx, c.Args().Get(0), c.Args().Get(1))
	if err != nil {
		return err
	}
	a, b := snaps[0].Snapshot, snaps[1].Snapshot
	limit := maxDiffLines
	switch {
	case c.Bool("all"):
		limit = math.MaxInt
	case s.json, s.verbose:
		limit = maxDiffDocument
	}
	r, err := diffSnapshots(ctx, a, b, strings.Trim(c.Args().Get(2), "/"), c.Bool("metadata"), limit)
	if err != nil {
		return err
	}
	if r.Path != "" && r.Same == 0 && len(r.Counts) == 0 {
		return noPath(ctx, b, r.Path)
	}
	s.printDiff(r)
	return s.document(r)
}

func diffSnapshots(ctx context.Context, a, b *layout.Snapshot, under string, metadata bool, limit int) (*diffReport, error) {
	r := &diffReport{From: snapshotName{a.ID.Stamp, a.ID.String()}, To: snapshotName{b.ID.Stamp, b.ID.String()}, Path: under,
		Counts: map[compare.What]int64{}, Bytes: map[compare.What]int64{}, Changes: []diffChange{}}
	seen := int64(0)
	for ch, err := range compare.Files(ctx, a, b, under, func(_, _ *manifest.File) { seen++ }) {
		if err != nil {
			return nil, err
		}
		r.Counts[ch.What]++
		switch {
		case ch.New != nil:
			r.Bytes[ch.What] += ch.New.Size
		default:
			r.Bytes[ch.What] += ch.Old.Size
		}
		if ch.What == compare.Metadata && !metadata {
			continue
		}
		if len(r.Changes) >= limit {
			r.More++
			continue
		}
		line, err := newDiffChange(ctx, a, b, ch)
		if err != nil {
			return nil, err
		}
		r.Changes = append(r.Changes, line)
	}
	r.Same = seen
	for _, n := range r.Counts {
		r.Same -= n
	}
	delete(r.Bytes, compare.Metadata)
	return r, nil
}

func newDiffChange(ctx context.Context, a, b *layout.Snapshot, ch *compare.Change) (diffChange, error) {
	f := cmp.Or(ch.New, ch.Old)
	d := diffChange{What: ch.What, Path: f.Path, Type: f.Type}
	if !utf8.ValidString(f.Path) {
		d.Raw = base64.StdEncoding.EncodeToString([]byte(f.Path))
	}
	var before, now *manifest.SQLite
	if ch.Old != nil {
		d.Old, d.OldLink, before = ch.Old.Size, ch.Old.Link, ch.Old.SQLite
		if ch.Old.Type != f.Type {
			d.Before = ch.Old.Type
		}
	}
	if ch.New != nil {
		d.New, d.Link, now = ch.New.Size, ch.New.Link, ch.New.SQLite
	}
	if before == nil && now == nil || ch.What == compare.Metadata {
		return d, nil
	}
	db := &databaseDiff{Tables: []diffTable{}}
	for _, t := range compare.Tables(before, now) {
		db.Tables = append(db.Tables, diffTable(t))
	}
	if now != nil {
		db.Of = now.Pages
	}
	if before != nil && now != nil {
		db.Schema = before.SchemaSHA256 != nil && now.SchemaSHA256 != nil && *before.SchemaSHA256 != *now.SchemaSHA256
		shared, err := compare.Shared(ctx, a, b, ch.Old, ch.New)
		if err != nil {
			return d, err
		}
		if page := int64(now.PageSize); shared > 0 && page > 0 && page == int64(before.PageSize) {
			changed := (ch.New.Size - shared + page - 1) / page
			db.Pages = &changed
		}
	}
	d.Database = db
	return d, nil
}

var diffSigns = map[compare.What]string{compare.Added: "+", compare.Removed: "-", compare.Changed: "~", compare.Metadata: "m"}

func (s *session) printDiff(r *diffReport) {
	if s.json {
		return
	}
	s.print("from %s to %s", r.From.Stamp, r.To.Stamp)
	for _, c := range r.Changes {
		s.print("%s %s%s", diffSigns[c.What], oneLine(c.Path), describeChange(c))
		if c.Database != nil {
			s.printDatabaseDiff(c.Database)
		}
	}
	if r.More > 0 {
		s.print("and %s that are not shown: --all shows every one, a PATH those below it", count(r.More, "change"))
	}
	n := func(w compare.What) string { return humanize.Comma(r.Counts[w]) }
	s.print("%s added (%s), %s removed (%s), %s changed (%s), %s with other metadata only, %s the same",
		n(compare.Added), size(r.Bytes[compare.Added]), n(compare.Removed), size(r.Bytes[compare.Removed]),
		n(compare.Changed), size(r.Bytes[compare.Changed]), n(compare.Metadata), humanize.Comma(r.Same))
}

// describeChange says what there is beside the path.
func describeChange(c diffChange) string {
	switch {
	case c.What == compare.Metadata:
		return "  metadata"
	case c.Before != "":
		return fmt.Sprintf("  was a %s, is a %s", c.Before, c.Type)
	case c.Type == manifest.Directory:
		return "  directory"
	case c.Type != manifest.Regular && c.What == compare.Changed:
		return fmt.Sprintf("  %s to %s, was to %s", c.Type, oneLine(c.Link), oneLine(c.OldLink))
	case c.Type != manifest.Regular:
		return fmt.Sprintf("  %s to %s", c.Type, oneLine(cmp.Or(c.Link, c.OldLink)))
	case c.What == compare.Changed && c.Old == c.New:
		return "  " + size(c.New)
	case c.What == compare.Changed:
		return fmt.Sprintf("  %s -> %s", size(c.Old), size(c.New))
	}
	return "  " + size(max(c.Old, c.New))
}

func (s *session) printDatabaseDiff(d *databaseDiff) {
	if d.Schema {
		s.print("    the schema changed")
	}
	for i, t := range d.Tables {
		if i == maxDiffTables && !s.verbose {
			s.print("    and %s (-v shows them)", count(int64(len(d.Tables)-i), "table"))
			break
		}
		s.print("    %-24s %s -> %s", oneLine(t.Name), rowsOf(t.Old), rowsOf(t.New))
	}
	if d.Pages != nil {
		s.print("    %s of %s changed at most", humanize.Comma(*d.Pages), count(d.Of, "page"))
	}
}
