package publish

import (
	"context"
	"errors"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// Present is what a writer may lean on in a store, as one look at it showed. It is not for use by several goroutines at once.
//
// An archive may be leaned on that is there at its size and either was stored less than half of Grace ago or is named by the manifest of
// a listed snapshot: so no prune that begins before the writer has committed can take it. Any other the writer stores again, though
// it may be there.
type Present struct {
	store  layout.Store
	near   []layout.Store
	survey *layout.Survey
	names  *Names
	began  Reading   // before the listing
	before time.Time // of the store, then
	now    time.Time // of the store, after the listing

	unread int                    // of survey.Snapshots, the first so many
	named  map[manifest.Hash]bool // by the others
}

// Look lists a store. Manifests are read when they are needed, the newest first, from one of the places near or, when none of them has it,
// from the store; most of the time that is one, or none.
func Look(ctx context.Context, store layout.Store, near ...layout.Store) (*Present, error) {
	return LookBy(ctx, System{}, store, near...)
}

// LookBy is Look by another clock.
func LookBy(ctx context.Context, clock Clock, store layout.Store, near ...layout.Store) (*Present, error) {
	return look(ctx, clock, store, near, &Names{})
}

func look(ctx context.Context, clock Clock, store layout.Store, near []layout.Store, names *Names) (*Present, error) {
	began := clock.Now()
	before, err := store.Now(ctx)
	if err != nil {
		return nil, err
	}
	survey, err := store.Survey(ctx)
	if err != nil {
		return nil, err
	}
	now, err := store.Now(ctx)
	if err != nil {
		return nil, err
	}
	return &Present{store: store, near: near, survey: survey, names: names, began: began, before: before, now: now, unread: len(survey.Snapshots), named: map[manifest.Hash]bool{}}, nil
}

// Survey returns what the look has shown. It is for reading: who adds to it must not publish by this look any more.
func (p *Present) Survey() *layout.Survey { return p.survey }

// atRest reports that no prune was running while the store was listed, and that none which ended then can have removed anything that is listed.
func (p *Present) atRest() bool { return atRest(p.survey.Marks, p.before) }

// Has reports whether a writer may lean on an archive. A manifest that is damaged, or that the store will not show, vouches
// for nothing; that the store was not reached is an error.
func (p *Present) Has(ctx context.Context, h manifest.Hash, size int64) (bool, error) {
	a, ok := p.survey.Archives[h]
	if !ok || a.Size != size {
		return false, nil
	}
	if p.now.Sub(a.ModTime) < Grace/2 {
		return true, nil
	}
	for !p.named[h] && p.unread > 0 {
		if err := p.readNext(ctx); err != nil {
			return false, err
		}
	}
	return p.named[h], nil
}

// All returns every archive that a writer may lean on, and its size. It reads all manifests.
func (p *Present) All(ctx context.Context) (map[manifest.Hash]int64, error) {
	all := map[manifest.Hash]int64{}
	for h, a := range p.survey.Archives {
		if ok, err := p.Has(ctx, h, a.Size); err != nil {
			return nil, err
		} else if ok {
			all[h] = a.Size
		}
	}
	return all, nil
}

func (p *Present) readNext(ctx context.Context) error {
	id := p.survey.Snapshots[p.unread-1].ID
	named, err := p.names.Of(ctx, id, append(p.near[:len(p.near):len(p.near)], p.store)...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, remote.ErrUnavailable) && !remote.IsRefusal(err) {
		return err
	}
	p.unread--
	if err == nil {
		for h := range named {
			p.named[h] = true
		}
	}
	return nil
}
