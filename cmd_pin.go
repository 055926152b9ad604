package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

const pinHelp = `Pins SNAPSHOTs, in the local store and at every remote: neither a policy nor a
lack of room removes them until they are unpinned. list says which are pinned.
A remote that lacks a snapshot is told too, so that it is pinned when it comes.

   lifeboat pin latest
   lifeboat pin 20060102T150405Z --remote s3://bucket/app

Exit code 10, 14: a remote is gone or was not reached, and does not know of it;
13: there is no such snapshot, or several fit.

` + snapshotHelp

const unpinHelp = `Takes back what lifeboat pin did, in the local store and at every remote. The
snapshot stays until a policy removes it. Adopted snapshots are pinned, too.

   lifeboat unpin 20060102T150405Z

Exit code 10, 14: a remote is gone or was not reached, and keeps its pin; 13:
there is no such snapshot, or several that are pinned fit.

` + snapshotHelp

// A pinReport is one snapshot that was pinned or unpinned.
type pinReport struct {
	Stamp  manifest.Stamp `json:"stamp"`
	ID     string         `json:"id"`
	Places []string       `json:"places"`           // names
	Before bool           `json:"before,omitempty"` // it was so already, everywhere
}

// pin pins snapshots everywhere.
func pin(s *session, c *cli.Context) error { return s.changePins(c, true) }

// unpin removes pins everywhere.
func unpin(s *session, c *cli.Context) error { return s.changePins(c, false) }

// changePins is pin and unpin.
func (s *session) changePins(c *cli.Context, pinned bool) error {
	ctx, command := c.Context, c.Command.Name
	if c.NArg() == 0 {
		return usagef("lifeboat list shows the snapshots that there are", "%s needs a SNAPSHOT", command)
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
	pins, failed := pinsOf(ctx, catalog, places)
	var ids []manifest.ID
	for _, arg := range c.Args().Slice() {
		id, err := s.resolvePin(ctx, catalog, places, pins, arg, pinned)
		if mayBeThere(ctx, err, partial) {
			return partial
		}
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	reports := []pinReport{}
	for _, id := range ids {
		r, errs := changePin(ctx, catalog, pins, id, pinned)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		reports, failed = append(reports, r), append(failed, errs...)
	}
	for _, err := range failed {
		s.warn("%s", explain(err))
	}
	if partial != nil { // of which catalog has warned
		failed = append(failed, partial)
	}
	return s.finishPins(ctx, command+"ned", reports, failed)
}

// pinsAt is what is pinned at a place.
type pinsAt struct {
	*place
	pins map[manifest.ID]bool
}

// pinsOf reads the pins of the places that answered and are stores.
func pinsOf(ctx context.Context, c *layout.Catalog, places []*place) (list []pinsAt, failed []error) {
	there := map[layout.Store]bool{}
	for _, store := range c.Answered {
		there[store] = true
	}
	for _, p := range places {
		if !there[p.Store] {
			continue
		}
		_, err := p.Marker(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			continue // which catalog has told
		}
		var pins map[manifest.ID]bool
		if err == nil {
			pins, err = p.Pins(ctx)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, pinsAt{p, pins})
	}
	return list, failed
}

// resolvePin finds the snapshot that is meant. Whoever unpins means one that is pinned, if there is one, though it may not be there any more.
func (s *session) resolvePin(ctx context.Context, c *layout.Catalog, places []*place, pins []pinsAt, text string, pinned bool) (manifest.ID, error) {
	ref, err := manifest.ParseRef(text, time.Local)
	if err != nil {
		return manifest.ID{}, usage(err)
	}
	if !pinned && !ref.IsLatest() {
		var all []manifest.ID
		for _, p := range pins {
			for id := range p.pins {
				all = append(all, id)
			}
		}
		id, _, err := ref.Select(all, func(manifest.ID) (string, error) { return "", nil })
		if !errors.Is(err, fs.ErrNotExist) {
			return id, err
		}
	}
	id, _, _, err := s.resolve(ctx, c, places, text)
	return id, err
}

// changePin pins a snapshot, or removes its pins, wherever that is not so yet. The store of safety snapshots has pins of its own alone.
func changePin(ctx context.Context, c *layout.Catalog, all []pinsAt, id manifest.ID, pinned bool) (r pinReport, failed []error) {
	r = pinReport{Stamp: id.Stamp, ID: id.String(), Places: []string{}, Before: true}
	for _, p := range all {
		if p.name == safetyName && !p.pins[id] && !isListed(c, id, p.Store) {
			continue
		}
		var err error
		switch {
		case p.pins[id] == pinned:
		case pinned:
			err = p.Pin(ctx, id)
			r.Before = false
		default:
			err = p.Unpin(ctx, id)
			r.Before = false
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		r.Places = append(r.Places, p.name)
	}
	return r, failed
}

func isListed(c *layout.Catalog, id manifest.ID, store layout.Store) bool {
	for _, has := range c.Where(id) {
		if has == store {
			return true
		}
	}
	return false
}

func (s *session) finishPins(ctx context.Context, done string, reports []pinReport, failed []error) error {
	for _, r := range reports {
		where := strings.Join(r.Places, ", ")
		switch {
		case r.Before && done == "pinned":
			s.say("%s was pinned already: %s", r.Stamp, where)
		case r.Before:
			s.say("%s was not pinned: %s", r.Stamp, where)
		default:
			s.say("%s %s: %s", done, r.Stamp, where)
		}
	}
	doc := map[string]any{done: reports}
	if len(failed) > 0 {
		doc["failed"] = messages(failed)
	}
	if err := s.document(doc); err != nil || len(failed) == 0 {
		return err
	}
	return reported(classify(ctx, errors.Join(failed...)).code)
}

// holdLocal takes the lock of the local store, if there is one, for a command that changes stores and makes none.
func (s *session) holdLocal(ctx context.Context) (release func(), err error) {
	cfg, err := s.config(nil)
	if err != nil {
		return nil, err
	}
	dir, _, err := s.localDir(cfg)
	if err != nil {
		return func() {}, nil // places says so, if it matters
	}
	if _, err := localstore.Open(ctx, dir); err != nil {
		return func() {}, nil
	}
	held, err := s.lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	return func() { held.Release() }, nil
}
