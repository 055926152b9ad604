package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// heads returns those of the records that no other names: one, or those of drills that were made at the same time. It reads the newest, and
// older ones only as far as they lie beside them. A record that cannot be read is a head, since nobody knows what it names.
func heads(ctx context.Context, store layout.Store, list []layout.Drill) (links []Link, err error) {
	named := map[string]bool{}
	for i := len(list) - 1; i >= 0 && len(links) < maxPrevious; i-- {
		d := list[i]
		if named[d.Name()] {
			break
		}
		links = append(links, Link{d.Name(), d.SHA256})
		r, err := Read(ctx, store, d)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, remote.ErrUnavailable):
			return nil, err
		case err != nil:
			continue
		}
		for _, p := range r.Previous {
			named[p.Name] = true
		}
		if len(r.Previous) == 0 {
			break
		}
	}
	slices.Reverse(links)
	return links, nil
}

// Keep completes a record and stores it: with the records before it, and a stamp later than theirs. now is the time. What it returns is the
// name and the bytes, also when they could not be stored.
func (r *Record) Keep(ctx context.Context, store layout.Store, now time.Time) (layout.Drill, []byte, error) {
	list, listErr := store.Drills(ctx)
	if listErr == nil {
		r.Previous, listErr = heads(ctx, store, list)
	}
	r.Stamp = manifest.StampOf(now)
	if n := len(list); n > 0 && r.Stamp <= list[n-1].At {
		r.Stamp = manifest.StampOf(list[n-1].At.Time().Add(time.Second))
	}
	d, data, err := r.Encode()
	if err == nil {
		err = listErr
	}
	if err == nil {
		err = store.PutDrill(ctx, d, data)
	}
	return d, data, err
}

// A Break is a place where the chain of evidence does not hold.
type Break struct {
	Name    string // of the record, below drills/
	Missing bool   // it is not there; else it is damaged
	Detail  string
}

// CheckChain reads all evidence of a store and reports records that are damaged, or missing though another names them. That the newest is
// missing shows only to who remembers it: last is the name of one that must be there, or "".
func CheckChain(ctx context.Context, store layout.Store, last string) (breaks []Break, err error) {
	list, err := store.Drills(ctx)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, d := range list {
		there[d.Name()] = true
	}
	records, wrong := make([]*Record, len(list)), make([]error, len(list))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, d := range list {
		g.Go(func() error {
			records[i], wrong[i] = Read(gctx, store, d)
			if errors.Is(wrong[i], remote.ErrUnavailable) || gctx.Err() != nil {
				return wrong[i]
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, d := range list {
		if wrong[i] != nil {
			breaks = append(breaks, Break{d.Name(), errors.Is(wrong[i], fs.ErrNotExist), wrong[i].Error()})
			continue
		}
		for _, p := range records[i].Previous {
			if !there[p.Name] {
				breaks = append(breaks, Break{p.Name, true, fmt.Sprintf("it is not in the store; %s, which was made after it, names it", d.Name())})
				there[p.Name] = true // which is said once
			}
		}
	}
	if last != "" && !there[last] {
		breaks = append(breaks, Break{last, true, "it is not in the store; this machine made it with its last drill"})
	}
	return breaks, nil
}
