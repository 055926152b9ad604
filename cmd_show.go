package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const snapshotHelp = `SNAPSHOT is latest, latest@TIME (the newest at or before 2006-01-02,
2006-01-02T15:04, or a time of RFC 3339), a stamp such as 20060102T150405Z, or
the beginning of one. latest passes over what is incomplete or corrupt.`

const showHelp = `Tells what is known of a snapshot: its sources, how consistent they are, what
could not be captured, and where it is. Without SNAPSHOT, of the latest.

What removing it would free is what no other snapshot of that place needs.

   lifeboat show
   lifeboat show latest@2006-01-02 --remote s3://bucket/app -v

Exit code 13: there is no such snapshot, or several fit.

` + snapshotHelp

// show tells what is known of one snapshot.
func show(s *session, c *cli.Context) error {
	if c.NArg() > 1 {
		return usagef("lifeboat show latest", "show takes one SNAPSHOT")
	}
	ref := "latest"
	if c.NArg() == 1 {
		ref = c.Args().First()
	}
	s.kept = s.keeper()
	list, err := s.findAll(c.Context, ref)
	if err != nil {
		return err
	}
	found := list[0]
	proven := s.proofs(c.Context, found.catalog, found.has)[found.ID.Stamp]
	frees, err := s.frees(c.Context, found.catalog, found.places, found.has)
	if err != nil {
		return err
	}
	s.printSnapshot(found.Snapshot, found.has, proven, frees[found.ID])
	return s.document(struct {
		ID     string         `json:"id"`
		Places []placeName    `json:"places"`
		Proven *proof         `json:"proven,omitempty"`
		Frees  []freed        `json:"frees,omitempty"`
		Head   *manifest.Head `json:"head"`
	}{found.ID.String(), namesOf(found.has), proven, frees[found.ID], found.Head})
}

func (s *session) printSnapshot(snap *layout.Snapshot, has []*place, proven *proof, frees []freed) {
	h := snap.Head
	row := func(what, format string, args ...any) { s.print("%-11s "+format, append([]any{what}, args...)...) }
	row("snapshot", "%s", snap.ID)
	row("of", "%s on %s (%s/%s), by lifeboat %s", h.App, oneLine(h.Host.Name), oneLine(h.Host.OS), oneLine(h.Host.Arch), oneLine(h.Tool))
	row("state", "%s, %s", h.State, h.Kind)
	row("consistent", "%s", describeConsistency(h.Consistency, databases(h.Sources)))
	row("content", "%s in %s", size(h.Files.Bytes), entries(h.Files.Count))
	row("stored", "%s", describeStored(h.Stats))
	if needs, shared := needed(h); shared > 0 {
		row("needs", "%s in %s, of which earlier snapshots stored %s", size(needs), count(h.Archives.Count+int64(len(h.Roots)), "archive"), size(shared))
	}
	switch {
	case len(frees) > 0:
		row("frees", "%s", describeFreed(frees))
	default:
		row("frees", "not known without reading the tables of every snapshot there; --frees does")
	}
	row("finished", "%s, after %s", h.Finished.Local().Format(time.DateTime), wholeSeconds(h.Stats.Seconds))
	row("where", "%s", strings.Join(urls(has), "\n            "))
	row("proven", "%s", proven.ago())
	for _, src := range h.Sources {
		row("source", "%s: %s %s, %s in %s, %s", src.Name, src.Type, oneLine(src.Root), size(src.Bytes), entries(src.Files), src.Consistency)
	}
	for _, src := range h.Sources {
		if src.Excluded > 0 {
			row("excluded", "%s of %s, each directory counted as one", count(src.Excluded, "entry"), src.Name)
		}
	}
	for _, o := range h.Omitted {
		row("left out", "%s: %s", oneLine(o.Source), oneLine(o.Why))
	}
	for i, p := range h.Problems {
		if i == maxProblems && !s.verbose {
			row("problem", "and %d more (-v shows up to %d)", h.ProblemCount-maxProblems, manifest.MaxProblems)
			break
		}
		row("problem", "%s", describeProblem(p))
	}
}

// needed returns how many bytes the archives of a snapshot have, and how many of them were stored before it was taken; 0 where that is not known.
func needed(h *manifest.Head) (all, shared int64) {
	all = h.Archives.Bytes
	for _, r := range h.Roots {
		all += r.Size
	}
	if h.Stats.StoredBytes == 0 {
		return all, 0
	}
	return all, max(0, all-h.Stats.StoredBytes)
}

// describeFreed says what removing a snapshot would free.
func describeFreed(frees []freed) string {
	var list []string
	for _, f := range frees {
		where := " at " + f.Place
		if f.Place == "local" {
			where = " in the local store"
		}
		list = append(list, size(f.Bytes)+where)
	}
	return strings.Join(list, ", ") + ", if it were removed"
}
