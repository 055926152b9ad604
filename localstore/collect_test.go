//go:build unix

package localstore_test

import (
	"errors"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/remote"
	"lifeboat/transfer"
)

// archivesOf lists what lies in a store.
func archivesOf(t *testing.T, s *localstore.Store) map[manifest.Hash]bool {
	t.Helper()
	all := map[manifest.Hash]bool{}
	for a, err := range s.ListArchives(t.Context()) {
		must(t, err)
		all[a.SHA256] = true
	}
	return all
}

// Collect takes what nobody needs; what a removed snapshot needs, when it can't be put back any longer; never what is listed or owed. A dry run only counts.
func TestCollect(t *testing.T) {
	s, ids := history(t, 3)
	_, stored, err := s.Manifest(t.Context(), ids[1])
	must(t, err)
	must(t, s.Owe(t.Context(), ids[1], stored))
	must(t, s.Delete(t.Context(), layout.ManifestKey(ids[1])))
	removal, err := prune.Remove(t.Context(), s.Store, nil, ids[0])
	must(t, err)
	if len(removal.Removed) != 1 {
		t.Fatalf("removed: %+v", removal)
	}
	now, err := s.Now(t.Context())
	must(t, err)
	opts := localstore.CollectOptions{Now: now, Grace: publish.Grace}

	before := archivesOf(t, s)
	dry := opts
	dry.DryRun = true
	counted, err := s.Collect(t.Context(), dry)
	must(t, err)
	if len(archivesOf(t, s)) != len(before) {
		t.Error("a dry run removed something")
	}
	did, err := s.Collect(t.Context(), opts)
	must(t, err)
	left := archivesOf(t, s)
	if did != counted || did.Freed == 0 || did.Later == 0 || did.LaterAt.Before(now.Add(publish.Grace-time.Minute)) || len(before)-len(left) != 1 || left[manifest.HashOf([]byte("waste"))] {
		t.Errorf("%+v, of which a dry run said %+v; %d archives of %d are left", did, counted, len(left), len(before))
	}
	if _, err := prune.Undo(t.Context(), s.Store, ids[0], []layout.Store{s.Store}, transfer.Options{Alone: true}); err != nil {
		t.Fatalf("put back: %v", err)
	}
	snaptest.ValidateAll(t, s.Store)

	_, err = prune.Remove(t.Context(), s.Store, nil, ids[0])
	must(t, err)
	opts.Now = now.Add(publish.Grace + time.Hour)
	did, err = s.Collect(t.Context(), opts)
	must(t, err)
	if did.Freed == 0 || did.Later != 0 {
		t.Errorf("after the grace: %+v", did)
	}
	if removed, err := s.Removed(t.Context()); err != nil || len(removed) != 0 {
		t.Errorf("still to be put back: %v (%v)", removed, err)
	}
	must(t, s.Commit(t.Context(), ids[1], stored)) // what is owed is whole
	if listed := snaptest.ValidateAll(t, s.Store); len(listed) != 2 {
		t.Errorf("left: %v", listed)
	}
}

// A manifest that can't be read stops everything, until it is given up by name.
func TestCollectStopsAtWhatCannotBeRead(t *testing.T) {
	s, ids := history(t, 2)
	before := archivesOf(t, s)
	must(t, s.Delete(t.Context(), layout.ManifestKey(ids[0])))
	must(t, s.PutSmall(t.Context(), layout.ManifestKey(ids[0]), []byte("damaged"), remote.PutOptions{}))
	now, err := s.Now(t.Context())
	must(t, err)
	opts := localstore.CollectOptions{Now: now, Grace: publish.Grace}
	if _, err := s.Collect(t.Context(), opts); !errors.Is(err, layout.ErrDamaged) || len(archivesOf(t, s)) != len(before) {
		t.Errorf("%v; %d archives of %d are left", err, len(archivesOf(t, s)), len(before))
	}
	opts.Drop = []manifest.ID{ids[0]}
	did, err := s.Collect(t.Context(), opts)
	if err != nil || did.Freed == 0 {
		t.Errorf("%+v, %v", did, err)
	}
}
