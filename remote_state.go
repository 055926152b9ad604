package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// A remoteState is how a remote stands against the local store, as far as this machine knows.
type remoteState struct {
	Name      string         `json:"name"`
	URL       string         `json:"url"`
	Answered  bool           `json:"answered"`            // it does not lack anything, or what it lacks was seen
	Snapshots int            `json:"snapshots,omitempty"` // there
	Newest    manifest.Stamp `json:"newest,omitempty"`    // there, as far as is known
	Behind    int            `json:"behind"`              // snapshots that the local store has for it; at most, if it did not answer
	Reached   *time.Time     `json:"reached,omitempty"`   // when it last got all that it lacked; nil if that is not known
	AwaySince *time.Time     `json:"away_since,omitempty"`
	Got       int            `json:"got,omitempty"` // of a backup: snapshots that it has sent there
}

// setContact fills in what the local store remembers.
func (r *remoteState) setContact(c localstore.Contact) {
	if !c.Reached.IsZero() {
		r.Reached = &c.Reached
	}
	if !c.Away.IsZero() {
		r.AwaySince = &c.Away
	}
	if r.Newest == "" {
		r.Newest = c.Complete
	}
}

// sentence says what there is to be said of a remote that lacks something, or that was not reached.
func (r *remoteState) sentence(s *session) string {
	text := r.Name + ": nothing behind"
	if r.Behind > 0 {
		text = fmt.Sprintf("%s: %s behind", r.Name, count(int64(r.Behind), "snapshot"))
	}
	ago := func(t *time.Time) string { return age(int64(s.now().Sub(*t).Seconds())) + " ago" }
	switch {
	case r.Reached != nil:
		text += ", last reached " + ago(r.Reached)
	case r.AwaySince != nil:
		text += ", not reached since " + ago(r.AwaySince)
	}
	if r.Behind > 0 {
		text += "; the next backup, or lifeboat push, sends " + map[bool]string{true: "it", false: "them"}[r.Behind == 1]
	}
	return text
}

// afterSending notes how it went with each remote, and returns it. all is what each is to have. That it can't be noted is a warning: the backup
// is good.
func (s *session) afterSending(ctx context.Context, w *writable, outcomes []outcome, all []manifest.ID) (list []remoteState) {
	if ctx.Err() != nil {
		return nil
	}
	newest := manifest.Stamp("")
	for _, id := range all {
		newest = max(newest, id.Stamp)
	}
	for _, r := range w.config {
		state := remoteState{Name: r.Name, URL: r.URL}
		at := slices.IndexFunc(outcomes, func(o outcome) bool { return o.to.name == r.Name })
		var err error
		switch {
		case at >= 0 && outcomes[at].err == nil:
			state.Answered, state.Newest, state.URL = true, newest, outcomes[at].to.url
			err = w.local.Delivered(state.URL, newest, s.now())
		case at >= 0:
			state.URL = outcomes[at].to.url
			err = w.local.Missed(state.URL, s.now())
		default:
			var p *place
			if p, err = s.openRemote(ctx, r, false, nil, nil); err == nil { // which asks nobody
				state.URL = p.url
				err = w.local.Missed(p.url, s.now())
			}
		}
		if at >= 0 {
			state.Got = len(outcomes[at].done)
		}
		var c localstore.Contact
		if err == nil {
			c, err = w.local.Contact(state.URL)
		}
		if err != nil {
			s.warn("when %s was reached is not remembered: %s", r.Name, explain(err))
		}
		state.setContact(c)
		if !state.Answered {
			state.Behind = newerThan(all, c.Complete)
			if at >= 0 {
				state.Behind = max(0, state.Behind-state.Got)
			}
		}
		list = append(list, state)
	}
	return list
}

// newerThan counts the snapshots that are newer than a stamp.
func newerThan(ids []manifest.ID, stamp manifest.Stamp) (n int) {
	for _, id := range ids {
		if id.Stamp > stamp {
			n++
		}
	}
	return n
}

// remoteStates returns how each remote stands, for a listing.
func (s *session) remoteStates(ctx context.Context, places []*place, catalog *layout.Catalog) ([]remoteState, error) {
	list := []remoteState{}
	var local *localstore.Store
	var all []manifest.ID // that every remote is to have
	for _, p := range places {
		if p.name != "local" || !s.isLocal(p) {
			continue
		}
		var err error
		if local, err = localstore.Open(ctx, p.dir); err != nil {
			return nil, err
		}
		_, owed, err := local.Owed(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range owed {
			all = append(all, e.ID)
		}
		for _, id := range catalog.IDs {
			if isListed(catalog, id, p.Store) {
				all = append(all, id)
			}
		}
		slices.SortFunc(all, manifest.ID.Compare)
		all = slices.Compact(all)
	}
	for _, p := range places {
		if s.isLocal(p) {
			continue
		}
		r := remoteState{Name: p.name, URL: p.url, Answered: slices.Contains(catalog.Answered, p.Store)}
		for _, id := range catalog.IDs {
			if isListed(catalog, id, p.Store) {
				r.Snapshots++
				r.Newest = id.Stamp
			}
		}
		if local != nil {
			c, err := local.Contact(p.url)
			if err != nil {
				return nil, err
			}
			r.setContact(c)
			if r.Behind, err = s.behind(ctx, local, p, catalog, all, c, r.Answered); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// behind counts the snapshots that a remote is to have and lacks. What was removed from it on purpose does not count; the remote is asked for that
// only if it lacks something that is no newer than what it had when it had everything.
func (s *session) behind(ctx context.Context, local *localstore.Store, p *place, catalog *layout.Catalog, all []manifest.ID, c localstore.Contact, answered bool) (int, error) {
	if !answered {
		return newerThan(all, c.Complete), nil
	}
	gone, err := local.Forgone(p.url)
	if err != nil {
		return 0, err
	}
	lacks := slices.DeleteFunc(slices.Clone(all), func(id manifest.ID) bool { return gone[id] || isListed(catalog, id, p.Store) })
	if newerThan(lacks, c.Complete) == len(lacks) {
		return len(lacks), nil
	}
	removed, err := catalog.Removed(ctx, p.Store)
	if err != nil {
		return len(lacks), nil // what it may have too many is no reason to fail
	}
	for _, e := range removed {
		gone[e.ID] = true
	}
	return len(slices.DeleteFunc(lacks, func(id manifest.ID) bool { return gone[id] })), nil
}

// printRemotes says which remotes lack something, or were not reached.
func (s *session) printRemotes(list []remoteState) {
	for _, r := range list {
		if r.Behind > 0 || !r.Answered && r.Reached != nil {
			s.note("%s", r.sentence(s))
		}
	}
}
