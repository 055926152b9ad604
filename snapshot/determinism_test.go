//go:build unix

package snapshot_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

func archiveNames(t *testing.T, store layout.Store) []string {
	t.Helper()
	var names []string
	for a, err := range store.ListArchives(t.Context()) {
		must(t, err)
		names = append(names, a.SHA256.String())
	}
	return names
}

// The same sources give the same archives, and the same manifest but for what it says of time.
func TestSameInputSameArchives(t *testing.T) {
	root := t.TempDir()
	var sources []snapshot.Source
	for _, name := range []string{"c", "a", "b"} {
		dir := filepath.Join(root, name)
		snaptest.OddTree{Seed: uint64(name[0]), Entries: 100}.Make(t, dir)
		sources = append(sources, snaptest.Directory(name, dir))
	}
	db := filepath.Join(root, "app.db")
	must(t, database(t, db, 4096, true).Close())
	snaptest.WriteFile(t, filepath.Join(root, "large"), 35<<20, snaptest.Holes, 1)
	sources = append(sources, snapshot.Source{Name: "db", Path: db}, snapshot.Source{Name: "large", Path: filepath.Join(root, "large")})
	settle()
	take := func(day int) (manifest.Head, []string) {
		local := snaptest.Local(t)
		now := time.Date(2026, 5, day, 0, 0, 0, 0, time.UTC)
		res := snaptest.Take(t, local, snapshot.Options{Stamp: manifest.StampOf(now), Now: func() time.Time { return now }}, sources...)
		slices.Reverse(sources)
		h := *res.Head
		h.Stamp, h.Finished, h.Stats.PinMS, h.Stats.Seconds, h.Consistency.SkewUS = "", time.Time{}, 0, 0, 0
		for i := range h.Sources {
			h.Sources[i].Consistency = ""
		}
		h.Consistency = manifest.Consistency{}
		return h, archiveNames(t, local.Store)
	}
	head1, archives1 := take(1)
	head2, archives2 := take(2)
	if diff := cmp.Diff(archives1, archives2); diff != "" || len(archives1) < 6 {
		t.Errorf("%d archives: %s", len(archives1), diff)
	}
	if diff := cmp.Diff(head1, head2); diff != "" {
		t.Error(diff)
	}
}
