//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
)

// What removing a snapshot would free is what a prune finds that nothing needs, when it is gone.
func TestFrees(t *testing.T) {
	w := newWeek(t, nil, "", "app: app\nsources: [{path: app}]\nlocal: {keep: 2}\nremotes: [{url: bucket}]\n#%s%s\n")
	for n := range 5 {
		if n != 3 { // on which nothing changes
			snaptest.WriteFile(t, filepath.Join(w.dir, "app", "data"), int64(40_000*(n+1)), snaptest.Random, uint64(n%4)) // the last is the first, and more
		}
		w.quiet(n)
	}
	l, _ := w.list(0)
	if n := l.at("local"); len(l.Snapshots) != 5 || n != 2 {
		t.Fatalf("%d snapshots, %d of them here", len(l.Snapshots), n)
	}
	known := map[string]int64{}
	for _, snap := range l.Snapshots {
		for _, f := range snap.Frees {
			known[snap.ID+" "+f.Place] = f.Bytes
		}
	}
	if len(known) != 7 {
		t.Errorf("known of %d", len(known))
	}
	some := false
	for _, snap := range l.Snapshots {
		path := filepath.Join(w.dir, "bucket", "manifests", snap.ID+".json.zst")
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		var pruned struct{ Stores []storePrune }
		w.run(0, &pruned, "prune", "--store", "none", "--keep-last", "9", "--dry-run")
		if got, want := known[snap.ID+" bucket"], pruned.Stores[0].LaterBytes; got != want {
			t.Errorf("%s frees %d, says list; %d, says prune", snap.Stamp, got, want)
		} else if got > 40_000 {
			some = true
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var shown struct{ Frees []freed }
		w.run(0, &shown, "show", string(snap.Stamp))
		if at := len(shown.Frees) - 1; at != len(snap.Places)-1 || shown.Frees[at] != (freed{"bucket", known[snap.ID+" bucket"]}) {
			t.Errorf("%s: show says %v", snap.Stamp, shown.Frees)
		}
	}
	if !some {
		t.Error("no snapshot has anything of its own: the test shows nothing")
	}

	// Where it is not known it is not guessed, and --frees finds out.
	if err := os.RemoveAll(filepath.Join(w.dir, "store", keptName)); err != nil {
		t.Fatal(err)
	}
	l, _ = w.list(0)
	for _, snap := range l.Snapshots {
		for _, f := range snap.Frees {
			if f.Place != "local" {
				t.Errorf("%s: %v", snap.Stamp, f)
			}
		}
	}
	again, _ := w.list(0, "--frees")
	for _, snap := range again.Snapshots {
		if len(snap.Frees) != len(snap.Places) || snap.Frees[len(snap.Frees)-1].Bytes != known[snap.ID+" bucket"] {
			t.Errorf("%s: %v", snap.Stamp, snap.Frees)
		}
	}
	// A manifest that can't be read may need anything.
	if err := os.Truncate(filepath.Join(w.dir, "bucket", "manifests", l.Snapshots[0].ID+".json.zst"), 10); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.dir, "store", keptName)); err != nil {
		t.Fatal(err)
	}
	l, _ = w.list(0, "--frees")
	for _, snap := range l.Snapshots {
		for _, f := range snap.Frees {
			if f.Place != "local" {
				t.Errorf("with a damaged manifest, %s: %v", snap.Stamp, f)
			}
		}
	}
}
