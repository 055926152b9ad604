package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const snapshotHelp = `SNAPSHOT is latest, latest@TIME (the newest at or before it: 2006-01-02, 2006-01-02T15:04 local, or RFC 3339), a stamp such as
20060102T150405Z, or the beginning of one. PATH is SOURCE/PATH, as lifeboat ls shows it.`

// A listing is one snapshot in the output of list.
type listing struct {
	Stamp       manifest.Stamp `json:"stamp"`
	ID          string         `json:"id"`
	Kind        manifest.Kind  `json:"kind,omitempty"`
	State       string         `json:"state"` // complete, incomplete or unreadable
	Age         int64          `json:"age_seconds"`
	Files       int64          `json:"files"`
	Bytes       int64          `json:"bytes"`
	NewBytes    int64          `json:"new_bytes"`
	StoredBytes int64          `json:"stored_bytes"`
	Consistency manifest.Level `json:"consistency,omitempty"`
	Host        string         `json:"host,omitempty"`
	Places      []string       `json:"places"`
	Note        string         `json:"note,omitempty"` // why latest does not mean it
}

// list shows every snapshot of every place.
func list(s *session, c *cli.Context) error {
	ctx := c.Context
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	catalog, partial, err := s.catalog(ctx, places)
	if err != nil {
		return err
	}
	listings := []listing{}
	for _, id := range catalog.IDs {
		l := listing{Stamp: id.Stamp, ID: id.String(), Age: int64(s.now().Sub(id.Stamp.Time()).Seconds())}
		for _, p := range places {
			if slices.Contains(catalog.Where(id), p.Store) {
				l.Places = append(l.Places, p.name)
			}
		}
		head, err := catalog.Head(ctx, id)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			l.State, l.Note = "unreadable", err.Error()
		} else {
			l.describe(head)
		}
		if id.Stamp.Time().After(s.now().Add(maxFuture)) {
			l.Note = "its stamp is in the future"
		}
		listings = append(listings, l)
	}
	s.printListings(listings, places)
	if err := s.document(map[string]any{"snapshots": listings}); err != nil {
		return err
	}
	if partial != nil {
		return &partialError{codeRemote, true, partial}
	}
	return nil
}

func (l *listing) describe(h *manifest.Head) {
	l.Kind, l.State, l.Consistency, l.Host = h.Kind, string(h.State), h.Consistency.Level, h.Host.Name
	l.Files, l.Bytes, l.NewBytes, l.StoredBytes = h.Files.Count, h.Files.Bytes, h.Stats.NewBytes, h.Stats.StoredBytes
	l.Note = layout.Unfit(h)
}

func (s *session) printListings(listings []listing, places []*place) {
	if s.json {
		return
	}
	if len(listings) == 0 {
		s.print("no snapshots in %s", names(places))
		return
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STAMP\tAGE\tFILES\tSIZE\tSTORED\tSTATE\tWHERE")
	for _, l := range listings {
		state := l.State
		if l.Kind != "" && l.Kind != manifest.Backup {
			state += ", " + string(l.Kind)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", l.Stamp, age(l.Age), l.Files, size(l.Bytes), size(l.StoredBytes), state, strings.Join(l.Places, ", "))
	}
	w.Flush()
	for _, l := range listings {
		if l.Note != "" {
			s.note("%s: %s", l.Stamp, printable(l.Note))
		}
	}
}

// age says how long ago something was, in the largest unit that tells it.
func age(sec int64) string {
	switch {
	case sec < 0:
		return "in the future"
	case sec < 120:
		return fmt.Sprintf("%d s", sec)
	case sec < 2*3600:
		return fmt.Sprintf("%d min", sec/60)
	case sec < 2*86400:
		return fmt.Sprintf("%d h", sec/3600)
	}
	return fmt.Sprintf("%d d", sec/86400)
}

// show tells what is known of one snapshot.
func show(s *session, c *cli.Context) error {
	if c.NArg() > 1 {
		return usagef("", "show takes one SNAPSHOT")
	}
	ref := c.Args().First()
	if ref == "" {
		ref = "latest"
	}
	snap, has, err := s.find(c.Context, ref)
	if err != nil {
		return err
	}
	h := snap.Head
	var where []string
	for _, p := range has {
		where = append(where, p.url)
	}
	s.print("snapshot    %s", snap.ID)
	s.print("of          %s on %s (%s/%s), by lifeboat %s", printable(h.App), oneLine(h.Host.Name), oneLine(h.Host.OS), oneLine(h.Host.Arch), oneLine(h.Tool))
	s.print("state       %s, %s", h.State, h.Kind)
	s.print("consistent  %s", describeConsistency(h.Consistency))
	s.print("content     %s in %s", size(h.Files.Bytes), count(h.Files.Count, "file"))
	s.print("stored      %s in %s%s", size(h.Stats.StoredBytes), count(h.Stats.ArchivesNew, "archive"), ratio(h.Stats.StoredBytes, h.Files.Bytes))
	s.print("finished    %s, after %s", h.Finished.Local().Format(time.DateTime), seconds(h.Stats.Seconds))
	s.print("where       %s", strings.Join(where, "\n            "))
	for _, src := range h.Sources {
		s.print("source      %s: %s %s, %s in %s, %s", src.Name, src.Type, oneLine(src.Root), size(src.Bytes), count(src.Files, "file"), src.Consistency.Level)
	}
	for _, o := range h.Omitted {
		s.print("left out    %s: %s", oneLine(o.Source), oneLine(o.Why))
	}
	for i, p := range h.Problems {
		if i == 20 && !s.verbose {
			s.print("problem     and %d more (-v shows up to %d)", h.ProblemCount-20, manifest.MaxProblems)
			break
		}
		s.print("problem     %s", describeProblem(p))
	}
	return s.document(map[string]any{"id": snap.ID.String(), "places": where, "head": h})
}

func lsFlags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "with modes, owners, sizes and times"}}
}

// An entry is a file in the output of ls.
type entry struct {
	Path    string            `json:"path"`
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
	if c.NArg() < 1 || c.NArg() > 2 {
		return usagef("lifeboat ls latest", "ls takes a SNAPSHOT and perhaps a PATH")
	}
	ctx := c.Context
	snap, _, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	path := strings.Trim(c.Args().Get(1), "/")
	files := snap.Files(ctx)
	if path != "" {
		files = snap.FilesFrom(ctx, path)
	}
	var entries []entry
	found := false
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
		if s.json {
			entries = append(entries, newEntry(f))
			continue
		}
		if c.Bool("long") {
			s.print("%s", longLine(f))
		} else {
			s.print("%s", oneLine(f.Path))
		}
	}
	if !found {
		return fmt.Errorf("there is no %q in snapshot %s: %w", path, snap.ID.Stamp, fs.ErrNotExist)
	}
	return s.document(map[string]any{"stamp": snap.ID.Stamp, "files": entries})
}

func newEntry(f *manifest.File) entry {
	e := entry{Path: f.Path, Type: f.Type, User: f.User, Group: f.Group, Size: f.Size, Link: f.Link, Marked: f.Marked, SQLite: f.SQLite}
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
	kind := map[manifest.FileType]string{manifest.Directory: "d", manifest.Symlink: "l", manifest.Hardlink: "h"}[f.Type]
	if kind == "" {
		kind = "-"
	}
	owner := f.User
	if owner == "" && f.UID != manifest.NoOwner {
		owner = fmt.Sprint(f.UID)
	}
	line := fmt.Sprintf("%s%04o %-8s %12d %s %s", kind, f.Mode, oneLine(owner), f.Size, f.ModTime.Time().Local().Format(time.DateTime), oneLine(f.Path))
	if f.Link != "" {
		line += " -> " + oneLine(f.Link)
	}
	if f.SQLite != nil {
		line += fmt.Sprintf("  [SQLite, %d pages, %s]", f.SQLite.Pages, oneLine(f.SQLite.Integrity))
	}
	if f.Marked != "" {
		line += "  [" + oneLine(f.Marked) + "]"
	}
	return line
}

// cat writes one file to standard output.
func cat(s *session, c *cli.Context) error {
	if c.NArg() != 2 {
		return usagef("lifeboat cat latest SOURCE/PATH > FILE", "cat needs a SNAPSHOT and a PATH")
	}
	ctx := c.Context
	if s.json {
		return usagef("", "cat writes the file itself and has no JSON form")
	}
	snap, _, err := s.find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	f, err := lookUp(c, snap, strings.Trim(c.Args().Get(1), "/"))
	if err != nil {
		return err
	}
	return snap.Copy(ctx, s.out, f)
}

// lookUp finds a regular file, through a hardlink if need be.
func lookUp(c *cli.Context, snap *layout.Snapshot, path string) (*manifest.File, error) {
	for f, err := range snap.FilesFrom(c.Context, path) {
		if err != nil {
			return nil, err
		}
		switch {
		case f.Path != path:
			return nil, fmt.Errorf("there is no %q in snapshot %s: %w", path, snap.ID.Stamp, fs.ErrNotExist)
		case f.Type == manifest.Hardlink && f.Link != path:
			return lookUp(c, snap, f.Link)
		case f.Type != manifest.Regular:
			return nil, usagef("lifeboat ls shows what is in it", "%q is a %s", path, f.Type)
		}
		return f, nil
	}
	return nil, fmt.Errorf("there is no %q in snapshot %s: %w", path, snap.ID.Stamp, fs.ErrNotExist)
}
