package prune

// How snapshots and archives are removed, while others write to the store and remove from it, is in docs/format.md, section 6. The part of
// those that remove is here; the writers' is in internal/publish.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/transfer"
)

// A Refusal is something that a store would not remove: its credentials may not, or it is locked against removal for a time.
type Refusal struct {
	Key string
	Err error // which remote.IsRefusal
}

// A Removal says what became of snapshots that were to be removed.
type Removal struct {
	Removed []manifest.ID // no longer listed; Undo brings one back until Sweep has removed its archives, which is no earlier than publish.Grace from now
	Absent  []manifest.ID // were not listed
	Refused []Refusal     // are still listed, and whole
}

// Remove takes snapshots off the list of a store. Their archives stay, and a copy of each manifest, from which Undo brings it back. It asks
// for no reason: what must not be removed is the caller's to know. When it fails, those before are removed, and the same call again
// goes on.
func Remove(ctx context.Context, store layout.Store, clock publish.Clock, ids ...manifest.ID) (Removal, error) {
	if clock == nil {
		clock = publish.System{}
	}
	var r Removal
	for _, id := range ids {
		err := remove(ctx, store, clock, id)
		switch {
		case err == nil:
			r.Removed = append(r.Removed, id)
		case errors.Is(err, fs.ErrNotExist):
			r.Absent = append(r.Absent, id)
		case remote.IsRefusal(err):
			r.Refused = append(r.Refused, Refusal{layout.ManifestKey(id), err})
		default:
			return r, fmt.Errorf("remove snapshot %s from %s: %w", id.Stamp, store, err)
		}
	}
	return r, nil
}

// remove copies the manifest before it removes it, so that for a time a prune sees what the snapshot needs: a writer may have leaned on it a
// moment ago. If too much time passes in between, the copy is made anew, since its age counts.
func remove(ctx context.Context, store layout.Store, clock publish.Clock, id manifest.ID) error {
	stored, err := store.ReadSmall(ctx, layout.ManifestKey(id), manifest.MaxHeadStored)
	if err != nil {
		return err
	}
	for {
		began := clock.Now()
		if err := store.PutSmall(ctx, layout.RemovedKey(id), stored, remote.PutOptions{}); err != nil {
			return err
		}
		_, err := publish.Within(ctx, clock, began, func(ctx context.Context) error { return store.Delete(ctx, layout.ManifestKey(id)) })
		if !errors.Is(err, publish.ErrLate) {
			return err
		}
	}
}

// Undo lists a removed snapshot again. That there is no copy of its manifest any longer is fs.ErrNotExist. Its archives are those that are
// still there; one that is gone, or that a prune may be about to remove, is stored again, from the first of the places that has it.
// The store should be one of them. An archive that is nowhere is transfer.ErrUnreadable; nothing is listed then.
func Undo(ctx context.Context, store layout.Store, id manifest.ID, places []layout.Store, opts transfer.Options) (transfer.Result, error) {
	removed := store.OfRemoved()
	if _, _, err := removed.Manifest(ctx, id); err != nil {
		return transfer.Result{}, err
	}
	snap, err := layout.OpenSnapshot(ctx, id, 1, append([]layout.Store{removed}, places...)...)
	if err != nil {
		return transfer.Result{}, err
	}
	// What cannot come back stays old: a young copy of which nobody can tell what it needs would keep every prune from removing anything.
	if err := recoverable(ctx, snap, places); err != nil {
		return transfer.Result{}, err
	}
	// The copy becomes young, so that no prune drops it while the snapshot comes back, and finds it gone when that is removed once more.
	if err := store.PutSmall(ctx, layout.RemovedKey(id), snap.Stored, remote.PutOptions{}); err != nil {
		return transfer.Result{}, err
	}
	return transfer.Copy(ctx, snap, places, store, opts)
}

// recoverable reports an archive that a snapshot needs and that none of the places has, or why that cannot be found out.
func recoverable(ctx context.Context, snap *layout.Snapshot, places []layout.Store) error {
	missing := map[manifest.Hash]int64{}
	for need, err := range publish.Needs(ctx, snap) {
		if err != nil {
			return err
		}
		missing[need.SHA256] = need.Size
	}
	var unknown []error // places that did not answer, and so may have it
	for i, p := range places {
		if len(missing) == 0 {
			return nil
		}
		for a, err := range p.ListArchives(layout.Before(ctx, i, len(places))) {
			if err != nil {
				unknown = append(unknown, err)
				break
			}
			if missing[a.SHA256] == a.Size {
				delete(missing, a.SHA256)
			}
		}
	}
	for h := range missing {
		if err := errors.Join(unknown...); err != nil {
			return err
		}
		return fmt.Errorf("archive %s: %w", h, transfer.ErrUnreadable)
	}
	return nil
}
