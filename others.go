package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// An otherSnapshot was taken by somebody else into a store that this machine writes to, since the last snapshot from here.
type otherSnapshot struct {
	Stamp manifest.Stamp `json:"stamp"`
	ID    string         `json:"id"`
	Host  string         `json:"host"`           // "" if its manifest cannot be read
	Fork  bool           `json:"fork,omitempty"` // it follows the same snapshot as the last one from here
}

// otherWriters are those who took snapshots into the same store, by what they took.
type otherWriters struct {
	last   *localstore.Taken
	list   []otherSnapshot // the newest, oldest first
	count  int
	expect bool // it was said that this machine takes over
}

// maxOthers is how many of them are looked at.
const maxOthers = 20

// lookForOthers finds out whether somebody else writes to these stores. Whoever lists a snapshot that is not theirs, and that was not there when they
// took their last one, is not alone: the other took it since, or at the same time. It is a courtesy: a failure finds nobody.
func (s *session) lookForOthers(ctx context.Context, w *writable, c *layout.Catalog) (o otherWriters) {
	last, err := w.local.LastTaken()
	if last == nil || len(c.IDs) == 0 {
		if err != nil {
			s.detail("whether somebody else writes here too is not known: %v", err)
		}
		return o
	}
	_, owed, err := w.local.Owed(ctx)
	if err != nil {
		return o
	}
	o.last, o.expect = last, s.c.Bool("takeover")
	for _, id := range slices.Backward(c.IDs) {
		if last.Previous != nil && id.Compare(*last.Previous) <= 0 {
			break
		}
		if id == last.ID || s.fromFuture(id.Stamp) {
			continue
		}
		if len(o.list) == maxOthers {
			o.count++
			continue
		}
		head, err := c.Head(ctx, id)
		if ctx.Err() != nil {
			return otherWriters{}
		}
		other := otherSnapshot{Stamp: id.Stamp, ID: id.String()}
		if err == nil {
			here := slices.Contains(c.Where(id), w.local.Store) || isOwed(owed, id)
			if head.Kind != manifest.Backup || here && head.Host.Name == thisHost().Name { // of a command that was killed before it took note of it
				continue
			}
			other.Host = head.Host.Name
			other.Fork = head.Previous != nil && last.Previous != nil && *head.Previous == *last.Previous
		}
		o.list = append(o.list, other)
		o.count++
	}
	slices.Reverse(o.list)
	return o
}

// print says who it is, and what to do.
func (o *otherWriters) print(s *session) {
	if o.count == 0 || o.expect {
		return
	}
	newest := o.list[len(o.list)-1]
	who := map[string]bool{}
	fork := ""
	for _, other := range o.list {
		switch {
		case other.Host == "":
			who["another machine"] = true
		case other.Host == thisHost().Name:
			who["another local store on "+oneLine(other.Host)] = true
		default:
			who["another machine, "+oneLine(other.Host)+","] = true
		}
		if other.Fork {
			fork = fmt.Sprintf("; %s and %s both follow %s", other.Stamp, o.last.ID.Stamp, o.last.Previous.Stamp)
		}
	}
	names := make([]string, 0, len(who))
	for name := range who {
		names = append(names, name)
	}
	slices.Sort(names)
	verb := "writes"
	if len(names) > 1 {
		verb = "write"
	}
	s.warn("%s %s to the same store: %s, the newest %s, not seen when the last one was taken from here, %s%s",
		strings.Join(names, " and "), verb, count(int64(o.count), "snapshot"), newest.Stamp, o.last.ID.Stamp, fork)
	s.warn("nothing is lost by that, for every snapshot is whole by itself; but retention and latest are for one machine: give one of them another prefix, or, if %s has taken over, end the other's backups and give --takeover once", thisHost().Name)
}
