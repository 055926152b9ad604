package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const listHelp = `Lists what the local store and the remotes have, oldest first. STORED is what a
snapshot has added to its store, FREES what removing it would free at the first
remote that has it, or else here: what no other snapshot there needs, shown
where it is known without asking, or with --frees. PROVEN is when a drill has
brought it back last. What latest passes over is explained. A manifest that
cannot be read makes its snapshot unreadable, and hides no other. Below, it says
which remotes lack something, and since when.

   lifeboat list --remote s3://bucket/app
   lifeboat list --json | jq -r '.snapshots[-1].stamp'

Exit code 10, 14: a remote is gone or was not reached; what the others have is
listed.`

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
	NeededBytes int64          `json:"needed_bytes"`
	Consistency manifest.Level `json:"consistency,omitempty"`
	Host        string         `json:"host,omitempty"`
	Places      []string       `json:"places"`           // names
	Pinned      bool           `json:"pinned,omitempty"` // at one of them
	Proven      *proof         `json:"proven,omitempty"`
	Frees       []freed        `json:"frees,omitempty"` // what removing it would free, where that is known
	Note        string         `json:"note,omitempty"`  // why latest does not mean it
}

// list shows every snapshot of every place.
func list(s *session, c *cli.Context) error {
	ctx := c.Context
	s.kept = s.keeper()
	places, catalog, partial, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	pinned, proofs := s.pinned(ctx, catalog), s.proofs(ctx, catalog, answered(places, catalog))
	frees, err := s.frees(ctx, catalog, places, places)
	if err != nil {
		return err
	}
	listings, err := s.describeAll(ctx, catalog, places)
	if err != nil {
		return err
	}
	for i, id := range catalog.IDs {
		l := &listings[i]
		l.Pinned, l.Proven, l.Frees = pinned[id], proofs[id.Stamp], frees[id]
	}
	remotes, err := s.remoteStates(ctx, places, catalog)
	if err != nil {
		return err
	}
	s.printListings(listings, places)
	if !s.json {
		s.printRemotes(remotes)
	}
	if err := s.document(struct {
		Snapshots []listing     `json:"snapshots"`
		Places    []placeName   `json:"places"`
		Remotes   []remoteState `json:"remotes"`
	}{listings, namesOf(places), remotes}); err != nil || partial == nil {
		return err
	}
	return reported(classify(ctx, partial).code)
}

// pinned returns the snapshots that are pinned anywhere. Where that cannot be found out, the listing is as good as it can be, and a warning
// says so.
func (s *session) pinned(ctx context.Context, catalog *layout.Catalog) map[manifest.ID]bool {
	all := map[manifest.ID]bool{}
	for _, store := range catalog.Answered {
		pins, err := catalog.Pins(ctx, store)
		if err != nil {
			s.warn("what is pinned at %s is not known: %s", store, explain(err))
		}
		maps.Copy(all, pins)
	}
	return all
}

// answered returns the places that could be listed.
func answered(places []*place, c *layout.Catalog) (list []*place) {
	for _, p := range places {
		if slices.Contains(c.Answered, p.Store) {
			list = append(list, p)
		}
	}
	return list
}

// headsAtOnce is how many heads are read at once.
const headsAtOnce = 32

// describeAll returns the listings of all snapshots, in their order.
func (s *session) describeAll(ctx context.Context, catalog *layout.Catalog, places []*place) ([]listing, error) {
	list := make([]listing, len(catalog.IDs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(headsAtOnce)
	for i, id := range catalog.IDs {
		g.Go(func() (err error) {
			list[i], err = s.describe(gctx, catalog, id, places)
			return err
		})
	}
	return list, g.Wait()
}

func (s *session) describe(ctx context.Context, catalog *layout.Catalog, id manifest.ID, places []*place) (listing, error) {
	l := listing{Stamp: id.Stamp, ID: id.String(), Age: s.ageOf(id.Stamp)}
	for _, p := range places {
		if slices.Contains(catalog.Where(id), p.Store) {
			l.Places = append(l.Places, p.name)
		}
	}
	h, err := catalog.Head(ctx, id)
	if ctx.Err() != nil {
		return l, context.Cause(ctx)
	}
	if err != nil {
		l.State, l.Note = "unreadable", err.Error()
		return l, nil
	}
	l.Kind, l.State, l.Consistency, l.Host = h.Kind, string(h.State), h.Consistency.Level, h.Host.Name
	l.Files, l.Bytes, l.NewBytes, l.StoredBytes = h.Files.Count, h.Files.Bytes, h.Stats.NewBytes, h.Stats.StoredBytes
	l.NeededBytes, _ = needed(h)
	l.Note = layout.Unfit(h)
	if id.Stamp.Time().After(s.now().Add(maxFuture)) {
		l.Note = "its stamp is in the future"
	}
	return l, nil
}

// ageOf returns the age of a snapshot in seconds. It is negative only when the stamp is in the future; those of several snapshots in one
// second are a little ahead of the clock.
func (s *session) ageOf(stamp manifest.Stamp) int64 {
	age := s.now().Sub(stamp.Time())
	if age < 0 && age >= -maxFuture {
		age = 0
	}
	return int64(age.Seconds())
}

func (s *session) printListings(listings []listing, places []*place) {
	if s.json {
		return
	}
	if len(listings) == 0 {
		s.print("there are no snapshots in %s", strings.Join(urls(places), " and "))
		return
	}
	rows := [][]string{{"STAMP", "AGE", "FILES", "SIZE", "STORED", "FREES", "STATE", "PROVEN", "WHERE"}}
	spare := []string{"FILES", "STORED", "FREES", "SIZE", "AGE"}
	for _, l := range listings {
		state := l.State
		if l.Kind != "" && l.Kind != manifest.Backup {
			state += ", " + string(l.Kind)
		}
		if l.Pinned {
			state += ", pinned"
		}
		proven := "never"
		if l.Proven != nil {
			proven = age(l.Proven.Age) + " ago"
		}
		rows = append(rows, []string{string(l.Stamp), age(l.Age), fmt.Sprint(l.Files), size(l.Bytes), size(l.StoredBytes), l.frees(), state, proven, strings.Join(l.Places, ", ")})
	}
	if !slices.ContainsFunc(listings, func(l listing) bool { return l.Frees != nil }) {
		rows = without(rows, "FREES")
		spare = slices.DeleteFunc(spare, func(head string) bool { return head == "FREES" })
	}
	for _, line := range table(rows, s.width(s.out), spare...) {
		s.print("%s", line)
	}
	for _, l := range listings {
		if l.Note != "" && l.Kind != manifest.Safety { // nobody takes those for the latest
			s.note("latest passes over %s: %s", l.Stamp, printable(l.Note))
		}
	}
}

// frees is what removing a snapshot would free, in the table: at the first remote that has it, or else here.
func (l *listing) frees() string {
	place := ""
	for _, name := range l.Places {
		if place == "" || place == "local" || place == safetyName {
			place = name
		}
	}
	for _, f := range l.Frees {
		if f.Place == place {
			return size(f.Bytes)
		}
	}
	return "?"
}
