package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/transfer"
)

const removeHelp = `Removes SNAPSHOTs, whatever the rules of prune say, from the local store and
every remote. They can be put back for 48 hours (lifeboat prune --undo); a prune
after that frees their space.

   lifeboat remove 20060102T150405Z

Refused are the newest that is complete and sound, the newest that a drill
proved, what is pinned, and safety snapshots.

Exit code 3: a store refused to remove it, such as where it is locked; 8: it is
one of those that stay, and nothing was changed; 10, 14: a remote is gone or was
not reached, and still has it; 13: no such snapshot, or several fit.

` + snapshotHelp

// A removalReport is what became of one snapshot at one place.
type removalReport struct {
	Stamp manifest.Stamp `json:"stamp"`
	ID    string         `json:"id"`
	Place string         `json:"place"` // name
}

// remove removes snapshots by name.
func remove(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() == 0 {
		return usagef("lifeboat list shows the snapshots that there are", "remove needs a SNAPSHOT")
	}
	release, err := s.holdLocal(ctx)
	if err != nil {
		return err
	}
	defer release()
	places, catalog, partial, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	facts := &pruneFacts{known: map[manifest.ID]prune.Snapshot{}, places: places}
	var ids []manifest.ID
	for _, arg := range c.Args().Slice() {
		id, has, _, err := s.resolve(ctx, catalog, places, arg)
		if mayBeThere(ctx, err, partial) {
			return partial
		}
		if err == nil {
			err = s.mayRemove(ctx, facts, has, id)
		}
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	done, refused, failed := []removalReport{}, []refusal{}, []error{}
	for _, p := range places {
		r, err := prune.Remove(ctx, p.Store, nil, listedAt(catalog, p, ids)...)
		for _, id := range r.Removed {
			done = append(done, removalReport{id.Stamp, id.String(), p.name})
			s.say("removed %s from %s", id.Stamp, p.url)
		}
		for _, no := range r.Refused {
			refused = append(refused, refusal{no.Key, no.Err.Error()})
			s.warn("%s refused to remove %s: %s", p.name, no.Key, explain(no.Err))
		}
		if err != nil {
			failed = append(failed, err)
			s.warn("%s", explain(err))
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(done) > 0 {
		s.note("lifeboat prune --undo puts back what was removed, for 48 hours")
	}
	if partial != nil { // of which catalog has warned
		failed = append(failed, partial)
	}
	if err := s.document(struct {
		Removed []removalReport `json:"removed"`
		Refused []refusal       `json:"refused,omitempty"`
		Failed  []string        `json:"failed,omitempty"`
	}{done, refused, messages(failed)}); err != nil {
		return err
	}
	return partly(ctx, len(refused) > 0, failed)
}

// partly is the exit code where some of it was done.
func partly(ctx context.Context, refused bool, failed []error) error {
	switch err := errors.Join(failed...); {
	case err != nil && damaged(err):
		return reported(codeIntegrity)
	case refused:
		return reported(codeIncomplete)
	case err != nil:
		return reported(classify(ctx, err).code)
	}
	return nil
}

func listedAt(c *layout.Catalog, p *place, ids []manifest.ID) (there []manifest.ID) {
	for _, id := range ids {
		if isListed(c, id, p.Store) {
			there = append(there, id)
		}
	}
	return there
}

// staysAnyway are the rules that hold under every policy, and against whoever names a snapshot.
var staysAnyway = map[prune.Rule]string{
	prune.Newest: "", prune.Proven: "",
	prune.Pinned: "lifeboat unpin takes its pin away",
	prune.Safety: "lifeboat undo, or time, takes it away",
}

// mayRemove refuses what must stay at one of the places that have it. What the local store has is a copy where there are remotes: there, only pins
// and safety count.
func (s *session) mayRemove(ctx context.Context, facts *pruneFacts, has []*place, id manifest.ID) error {
	remotes := false
	for _, p := range facts.places {
		remotes = remotes || !s.isLocal(p)
	}
	for _, p := range has {
		list, err := facts.of(ctx, p)
		if err != nil {
			return err
		}
		now, err := p.Now(ctx)
		if err != nil {
			return err
		}
		decisions, err := prune.Policy{Last: 1}.Decide(list, now, time.Local)
		if err != nil {
			return err
		}
		for _, d := range decisions {
			for _, r := range d.Reasons {
				next, stays := staysAnyway[r.Rule]
				copyOnly := remotes && s.isLocal(p) && (r.Rule == prune.Newest || r.Rule == prune.Proven)
				if d.ID == id && d.Keep && stays && !copyOnly {
					return refuse(next, "%s stays in %s: %s", id.Stamp, p.url, r.Text)
				}
			}
		}
	}
	return nil
}

// isLocal reports whether a place is on this machine's own account: the local store, or the safety snapshots inside it.
func (s *session) isLocal(p *place) bool {
	cfg, err := s.config(nil)
	if err != nil {
		return false
	}
	dir, _, err := s.localDir(cfg)
	return err == nil && p.dir != "" && (p.dir == dir || strings.HasPrefix(p.dir, dir) && p.name == safetyName)
}

// forgo notes, in the local store, which of its snapshots were removed from a remote, so that push does not send them again.
func (s *session) forgo(ctx context.Context, places []*place, p *place, ids []manifest.ID) error {
	if len(ids) == 0 || s.isLocal(p) || !s.isLocal(places[0]) {
		return nil
	}
	local, err := localstore.Open(ctx, places[0].dir)
	if err != nil {
		return err
	}
	here, err := listed(ctx, local.Store)
	if err != nil {
		return err
	}
	return local.Forgo(p.url, func(id manifest.ID) bool { return here[id] }, ids...)
}

// undoPrune puts back removed snapshots: those that are named, or all that can be.
func (s *session) undoPrune(ctx context.Context, places []*place, args []string) error {
	done, failed := []removalReport{}, []error{}
	found := map[string]bool{}
	meter := &progress.Meter{}
	meter.Begin("fetch", 0)
	stop := s.watch(meter)
	defer stop()
	for _, p := range places {
		ids, err := s.undoable(ctx, p, args, found)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if classify(ctx, orNothing(err)).code == codeUsage || errors.As(err, new(*manifest.AmbiguousError)) {
			return err
		}
		if err != nil {
			failed = append(failed, err)
			s.warn("%s", explain(err))
		}
		for _, id := range ids {
			_, err := prune.Undo(ctx, p.Store, id, stores(nearestFirst(p, places)), transfer.Options{Concurrency: s.limits.Concurrency, Plan: meter.Expect, Progress: meter.Add, Scratch: s.temporary,
				Alone: s.isLocal(p), Waiting: s.waitingForPrune})
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err == nil {
				err = s.recall(ctx, places, p, id)
			}
			if err != nil {
				err = fmt.Errorf("put back %s in %s: %w", id.Stamp, p.name, err)
				failed = append(failed, err)
				s.warn("%s", explain(err))
				continue
			}
			done = append(done, removalReport{id.Stamp, id.String(), p.name})
			s.say("put back %s in %s", id.Stamp, p.url)
		}
	}
	stop()
	for _, arg := range args {
		if !found[arg] && len(failed) == 0 {
			return noSnapshot(arg, "what was removed from "+strings.Join(urls(places), " and "), nil)
		}
	}
	if len(done)+len(failed) == 0 {
		s.say("there is nothing to put back")
	}
	doc := map[string]any{"undone": done}
	if len(failed) > 0 {
		doc["failed"] = messages(failed)
	}
	if err := s.document(doc); err != nil {
		return err
	}
	return partly(ctx, false, failed)
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("nothing")
	}
	return err
}

// undoable returns the removed snapshots of a store that are meant: those that args name, or all. It notes in found which of args fit something.
func (s *session) undoable(ctx context.Context, p *place, args []string, found map[string]bool) (ids []manifest.ID, err error) {
	if p.gone() {
		return nil, noDirectory(p)
	}
	removed, err := p.Removed(ctx)
	if err != nil {
		return nil, err
	}
	there, err := listed(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	var all []manifest.ID
	for _, e := range removed {
		if !there[e.ID] {
			all = append(all, e.ID)
		}
	}
	if len(args) == 0 {
		return all, nil
	}
	for _, arg := range args {
		ref, err := manifest.ParseRef(arg, time.Local)
		if err != nil {
			return nil, usage(err)
		}
		id, _, err := ref.Select(all, func(manifest.ID) (string, error) { return "", nil })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[arg] = true
		ids = append(ids, id)
	}
	return ids, nil
}

// nearestFirst returns the places in the order in which archives are looked for: the store itself, and then the others.
func nearestFirst(p *place, places []*place) []*place {
	list := []*place{p}
	for _, other := range places {
		if other != p {
			list = append(list, other)
		}
	}
	return list
}

// recall forgets that a snapshot was removed from a remote.
func (s *session) recall(ctx context.Context, places []*place, p *place, id manifest.ID) error {
	if s.isLocal(p) || !s.isLocal(places[0]) {
		return nil
	}
	local, err := localstore.Open(ctx, places[0].dir)
	if err != nil {
		return err
	}
	return local.Recall(p.url, id)
}
