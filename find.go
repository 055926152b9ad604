package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// elsewhere is how long a remote that does not answer holds up what other places have.
const elsewhere = 30 * time.Second

// catalog lists what the places have. A place that fails, or is no store, is a warning as long as another one has snapshots; it is
// then also returned as partial, for the exit code. A remote that does not answer is waited for long only if no place has any. What the references name
// will be opened next: its manifest is read while the places are looked at.
func (s *session) catalog(ctx context.Context, places []*place, refs ...string) (c *layout.Catalog, partial error, err error) {
	if len(places) > 1 {
		c, partial, err = s.listAll(remote.WithPatience(ctx, elsewhere), places, refs...)
	}
	if c == nil && (err == nil || unanswered(ctx, err)) {
		c, partial, err = s.listAll(ctx, places, refs...)
	}
	return c, partial, err
}

func (s *session) listAll(ctx context.Context, places []*place, refs ...string) (c *layout.Catalog, partial error, err error) {
	var there []*place
	var failed []error
	for _, p := range places {
		if p.gone() {
			failed = append(failed, noDirectory(p))
		} else {
			there = append(there, p)
		}
	}
	if c, err = layout.List(ctx, stores(there)...); err != nil {
		failed = append(failed, err)
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if c != nil {
		c.Kept = s.kept
		read := s.readAhead(ctx, c, refs)
		newer := newerStores(ctx, c)
		read()
		if len(newer) > 0 { // what is in them may not be what it seems to be
			there = slices.DeleteFunc(there, func(p *place) bool { return newer[p.Store] != nil })
			for _, err := range newer {
				failed = append(failed, err)
			}
			if c, err = layout.List(ctx, stores(there)...); err != nil && c == nil {
				failed = append(failed, err)
			}
		}
	}
	if c != nil {
		c.Kept = s.kept
		failed = append(failed, noStores(ctx, c, there)...)
	}
	if c == nil || len(c.IDs) == 0 && len(failed) > 0 {
		return nil, nil, errors.Join(failed...)
	}
	for _, err := range failed {
		s.warn("%s", explain(err))
	}
	return c, errors.Join(failed...), nil
}

// readAhead begins to read the manifests of what references name, so that the catalog has them, and returns what waits for that. What goes wrong is left to
// who opens them.
func (s *session) readAhead(ctx context.Context, c *layout.Catalog, refs []string) (wait func()) {
	var wg sync.WaitGroup
	for _, text := range refs {
		ref, err := manifest.ParseRef(text, time.Local)
		if err != nil {
			continue
		}
		wg.Go(func() {
			if id, _, err := c.Resolve(ctx, ref, s.now()); err == nil {
				c.Head(ctx, id)
			}
		})
	}
	return wg.Wait
}

// newerStores finds the places whose marker says that they are of a format which this program does not know.
func newerStores(ctx context.Context, c *layout.Catalog) map[layout.Store]error {
	errs := make([]error, len(c.Answered))
	var wg sync.WaitGroup
	for i, store := range c.Answered {
		wg.Go(func() { _, errs[i] = c.Marker(ctx, store) })
	}
	wg.Wait()
	newer := map[layout.Store]error{}
	for i, store := range c.Answered {
		if errors.As(errs[i], new(*manifest.FormatError)) {
			newer[store] = errs[i]
		}
	}
	return newer
}

func noDirectory(p *place) error {
	if isFile(p.dir) {
		return noStore("give the directory that the store is in", "%s is not a directory", p.dir)
	}
	return noStore("is it mounted, and is the path right?", "there is no directory %s", p.dir)
}

// noStores finds the places that answered and have nothing, because they are no stores: most likely, a name is mistyped.
func noStores(ctx context.Context, c *layout.Catalog, places []*place) (failed []error) {
	has := withSnapshots(c)
	for _, p := range places {
		if has[p.Store] || !slices.Contains(c.Answered, p.Store) {
			continue
		}
		if _, err := c.Marker(ctx, p.Store); errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, noStore("is the name right? lifeboat backup makes a new store", "there is no store at %s", p.url))
		}
	}
	return failed
}

// withSnapshots returns the stores that list any.
func withSnapshots(c *layout.Catalog) map[layout.Store]bool {
	has := map[layout.Store]bool{}
	for _, id := range c.IDs {
		for _, store := range c.Where(id) {
			has[store] = true
		}
	}
	return has
}

// resolve finds which snapshot a reference names and the places that list it, and tells what "latest" passes over.
func (s *session) resolve(ctx context.Context, c *layout.Catalog, places []*place, text string) (id manifest.ID, has []*place, skipped []manifest.Skipped, err error) {
	ref, err := manifest.ParseRef(text, time.Local)
	if err != nil {
		return id, nil, nil, usage(err)
	}
	now := s.now()
	if ref.IsLatest() {
		now = s.clock(ctx, c.Answered)
	}
	id, skipped, err = c.Resolve(ctx, ref, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = noSnapshot(text, strings.Join(urls(places), " and "), skipped)
	}
	if err != nil {
		return id, nil, skipped, err
	}
	for _, p := range skipped {
		s.warn("%s is newer and was passed over: %s", p.ID.Stamp, printable(p.Why))
	}
	for _, p := range places {
		if slices.Contains(c.Where(id), p.Store) {
			has = append(has, p)
		}
	}
	return id, has, skipped, nil
}

// everywhere returns every place and what they list together; partial is why some could not be listed, of which catalog has warned. refs are as for catalog.
func (s *session) everywhere(ctx context.Context, refs ...string) (places []*place, c *layout.Catalog, partial, err error) {
	if places, err = s.places(ctx); err != nil {
		return nil, nil, nil, err
	}
	c, partial, err = s.catalog(ctx, places, refs...)
	return places, c, partial, err
}

// mayBeThere reports that a snapshot was not found, and that it may well be where nobody could look; partial is why not.
func mayBeThere(ctx context.Context, err, partial error) bool {
	return err != nil && partial != nil && classify(ctx, err).code == codeNoSnapshot
}

// find opens the snapshot that a reference names, wherever it is.
func (s *session) find(ctx context.Context, text string) (*layout.Snapshot, []*place, error) {
	found, err := s.findAll(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	return found[0].Snapshot, found[0].has, nil
}

// A foundSnapshot is open for reading from the places that have it.
type foundSnapshot struct {
	*layout.Snapshot
	has []*place

	places  []*place // all
	catalog *layout.Catalog
}

// findAll opens the snapshots that references name, each wherever it is.
func (s *session) findAll(ctx context.Context, texts ...string) (list []foundSnapshot, err error) {
	places, c, partial, err := s.everywhere(ctx, texts...)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		id, has, _, err := s.resolve(ctx, c, places, text)
		if mayBeThere(ctx, err, partial) && unanswered(ctx, partial) {
			if c, partial, err = s.listAll(ctx, places); err != nil { // it may be where nobody answered, so that is waited for
				return nil, err
			}
			id, has, _, err = s.resolve(ctx, c, places, text)
		}
		if mayBeThere(ctx, err, partial) {
			return nil, partial
		}
		if err != nil {
			return nil, err
		}
		snap, err := c.Open(ctx, id, s.limits.workers)
		if err != nil {
			return nil, err
		}
		list = append(list, foundSnapshot{snap, has, places, c})
	}
	return list, nil
}

// clock returns the latest of the times that this machine and the stores go by. A fresh machine may have no idea of the time, and
// must not take last night's snapshot to be from the future.
func (s *session) clock(ctx context.Context, stores []layout.Store) time.Time {
	now := s.now()
	for _, p := range stores {
		if t, err := p.Now(ctx); err == nil && t.After(now) {
			now = t
		}
	}
	return now
}
