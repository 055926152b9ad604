package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/swap"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// Safety snapshots, of what a restore is about to replace, lie in a store of their own inside the local one. So nothing that is done to
// backups is done to them: they are not pushed, and go with the old state that they belong to.
const (
	safetyName = "safety"
	swapsName  = "restores" // the journals of restores in place
)

// safetyStore returns the store of safety snapshots, or nil if there is none.
func safetyStore(ctx context.Context, local *localstore.Store) (*localstore.Store, error) {
	store, err := localstore.Open(ctx, filepath.Join(local.Path(), safetyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store, err
}

// safetyPlace returns it as a place, or nil.
func safetyPlace(ctx context.Context, local *localstore.Store) (*place, error) {
	store, err := safetyStore(ctx, local)
	if store == nil {
		return nil, err
	}
	return &place{Store: store.Store, name: safetyName, url: store.Path(), dir: store.Path()}, nil
}

// dropSafety removes a safety snapshot, if it is there, and what only it needed.
func dropSafety(ctx context.Context, local *localstore.Store, stamp manifest.Stamp) error {
	return dropSafetyIf(ctx, local, false, func(other manifest.Stamp) bool { return other == stamp })
}

// dropSafetyIf removes the safety snapshots that drop reports, and what no other needs. To find that out reads all there is of every
// safety snapshot, so it is not done when none goes, unless one may have been cut in the middle.
func dropSafetyIf(ctx context.Context, local *localstore.Store, cut bool, drop func(manifest.Stamp) bool) error {
	store, err := safetyStore(ctx, local)
	if store == nil || err != nil {
		return err
	}
	due := func(id manifest.ID) bool { return drop(id.Stamp) }
	listed, err := store.Snapshots(ctx)
	if err != nil {
		return err
	}
	if !cut && len(listed) > 0 && !slices.ContainsFunc(listed, func(e layout.Entry) bool { return due(e.ID) }) {
		return nil
	}
	_, err = store.Retain(ctx, 0, due)
	return err
}

// freshStamp returns a stamp that is later than that of every snapshot in stores, and not before now.
func freshStamp(ctx context.Context, now time.Time, stores ...*localstore.Store) (manifest.Stamp, error) {
	now = now.UTC().Truncate(time.Second)
	for _, store := range stores {
		entries, err := store.Snapshots(ctx)
		if err != nil {
			return "", err
		}
		if len(entries) == 0 {
			continue
		}
		if last := entries[len(entries)-1].ID.Stamp.Time(); !now.After(last) && last.Before(now.Add(maxFuture)) {
			now = last.Add(time.Second)
		}
	}
	return manifest.StampOf(now), nil
}

// tellUnfinished warns of a restore that is half done, whatever the command is.
func (s *session) tellUnfinished(local *localstore.Store) {
	sw, err := swap.Unfinished(filepath.Join(local.Path(), swapsName))
	switch {
	case err != nil:
		s.warn("%s", explain(err))
	case sw != nil:
		s.warn("%s", explain(&restore.UnfinishedError{Swap: sw}))
	}
}

// rootsOf returns where sources lie, by name.
func rootsOf(sources []snapshot.Source) map[string]string {
	roots := map[string]string{}
	for _, src := range sources {
		roots[src.Name] = src.Path
	}
	return roots
}
