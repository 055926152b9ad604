//go:build unix

package snapshot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/recovery/recoverytest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

const (
	chunk    = 64 << 10
	perSpan  = manifest.MapSpan / chunk
	inSpans  = 9
	manyRuns = inSpans*perSpan/2 - 1
)

// runs makes a file in which runs of data and of zeros alternate, n of them in all. Where straddle is set, a run of zeros lies
// across each multiple of MapSpan, so that it is cut there though it is one run.
func runs(t *testing.T, path string, n int, straddle bool) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := 0 // chunks
	for i := range n {
		length := 1
		if i%2 == 0 { // zeros
			for straddle && at/perSpan == (at+length)/perSpan && (at+length)%perSpan > perSpan-3 || straddle && (at+length)%perSpan == 0 {
				length++
			}
		} else if _, err := f.WriteAt([]byte{byte(i), byte(i >> 8), 1}, int64(at)*chunk); err != nil {
			t.Fatal(err)
		}
		at += length
	}
	if err := f.Truncate(int64(at) * chunk); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Files with so many extents that they lie in maps, and files with just not so many, beside each other.
func TestRoundTripOfManyExtents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{} // extents, by name
	for i, n := range []int{manifest.MaxInline - 1, manifest.MaxInline, manifest.MaxInline + 1, manyRuns} {
		name := fmt.Sprintf("straddling%d", i)
		runs(t, filepath.Join(dir, name), n, true)
		want[name] = n
	}
	for i, n := range []int{manifest.MaxInline, manifest.MaxInline + 1} {
		name := fmt.Sprintf("even%d", i)
		runs(t, filepath.Join(dir, name), n, false)
		want[name] = n
	}
	for _, size := range []int64{-1, 0, 1} {
		name := fmt.Sprintf("around%d", size)
		runs(t, filepath.Join(dir, name), manifest.MaxInline+400, true)
		if err := os.Truncate(filepath.Join(dir, name), 5*manifest.MapSpan+size); err != nil {
			t.Fatal(err)
		}
	}
	tree := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	sources := []snapshot.Source{snaptest.Directory("data", dir), snaptest.Directory("more", dir)}
	if testing.Short() || underRace {
		sources = sources[:1]
	}
	res := snaptest.Take(t, local, snapshot.Options{}, sources...)
	snaptest.Validate(t, res.ID, local.Store)
	checkMaps(t, snaptest.Open(t, res.ID, local.Store), want, 6*len(sources))
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	for _, src := range sources {
		same(t, tree, snaptest.Walk(t, filepath.Join(target, src.Name)), 0)
	}
}

// The same for a file that has to be read again: what the first attempt found does not count.
func TestManyExtentsReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "live")
	runs(t, path, manyRuns, true)
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() { write(t, path, 1000, []byte("changed")) }}
	res := snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", dir))
	snaptest.Validate(t, res.ID, local.Store)
	checkMaps(t, snaptest.Open(t, res.ID, local.Store), map[string]int{"live": manyRuns}, 1)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	same(t, snaptest.Walk(t, dir), snaptest.Walk(t, filepath.Join(target, "data")), 0)
}

// The recovery programs read maps too.
func TestRecoveryOfManyExtents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	runs(t, filepath.Join(dir, "inline"), manifest.MaxInline, true)
	runs(t, filepath.Join(dir, "maps"), manifest.MaxInline+1, true)
	tree := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("data", dir))
	checkMaps(t, snaptest.Open(t, res.ID, local.Store), map[string]int{"inline": manifest.MaxInline, "maps": manifest.MaxInline + 1}, 1)
	recovered(t, local.Path(), map[string]map[string]snaptest.Entry{"data": tree})
}

func checkMaps(t *testing.T, snap *layout.Snapshot, want map[string]int, files int) {
	t.Helper()
	mapped := 0
	for f, err := range snap.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n, last := 0, manifest.Extent{Len: 1, Archive: manifest.Hash{1}}
		for e, err := range snap.Extents(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			if !e.IsZeros() || !last.IsZeros() {
				n++ // a run of zeros is cut where a map ends
			}
			last = e
		}
		if w, ok := want[f.Base()]; ok && n != w {
			t.Errorf("%s has %d extents, want %d", f.Path, n, w)
		}
		if (n > manifest.MaxInline) != (len(f.Maps) > 0) {
			t.Errorf("%s has %d extents and %d maps", f.Path, n, len(f.Maps))
		}
		if len(f.Maps) > 0 {
			mapped++
		}
	}
	if mapped < files {
		t.Errorf("%d files with maps, fewer than %d", mapped, files)
	}
}

// recovered rebuilds the only snapshot of a store by each recovery program alone and compares every byte.
func recovered(t *testing.T, store string, want map[string]map[string]snaptest.Entry) {
	for _, script := range recoverytest.Scripts() {
		t.Run(string(script), func(t *testing.T) {
			dest := filepath.Join(snaptest.TempDir(t), "out")
			r := recoverytest.Run(t, script, store, string(snaptest.Stamp), dest)
			if r.Code != 0 {
				t.Fatalf("exit code %d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
			}
			for name, tree := range want {
				got := snaptest.Walk(t, filepath.Join(dest, name))
				if script == recoverytest.Shell { // it has no way to set extended attributes, and says so
					tree, got = bare(tree), bare(got)
				}
				same(t, tree, got, specialBits)
			}
		})
	}
}

// bare returns a tree without extended attributes.
func bare(tree map[string]snaptest.Entry) map[string]snaptest.Entry {
	out := map[string]snaptest.Entry{}
	for path, e := range tree {
		e.Xattrs = ""
		out[path] = e
	}
	return out
}

// What lifeboat writes, the recovery programs read: odd names, links, modes, databases, sizes.
func TestRecoveryPrograms(t *testing.T) {
	root := snaptest.TempDir(t)
	sources := []snapshot.Source{}
	want := map[string]map[string]snaptest.Entry{}
	for seed := range uint64(3) {
		name := fmt.Sprintf("odd%d", seed)
		snaptest.OddTree{Seed: 200 + seed, Root: isRoot()}.Make(t, filepath.Join(root, name))
		sources = append(sources, snaptest.Directory(name, filepath.Join(root, name)))
		want[name] = snaptest.Walk(t, filepath.Join(root, name))
	}
	single := filepath.Join(root, "-rf it\n.json")
	snaptest.WriteFile(t, single, 3<<20+5, snaptest.ZeroInner, 1)
	sources = append(sources, snapshot.Source{Name: "single", Path: single})
	local := snaptest.Local(t)
	snaptest.Take(t, local, snapshot.Options{}, sources...)
	recovered(t, local.Path(), want)
	for _, script := range recoverytest.Scripts() {
		dest := filepath.Join(snaptest.TempDir(t), "out")
		if r := recoverytest.Run(t, script, local.Path(), string(snaptest.Stamp), dest); r.Code != 0 {
			t.Fatalf("exit code %d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
		}
		same(t, snaptest.Walk(t, single), snaptest.Walk(t, filepath.Join(dest, "single", filepath.Base(single))), 0)
	}
}
