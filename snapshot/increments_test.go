//go:build unix

package snapshot_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A chain is snapshots of the same sources, each compared with the one before.
type chain struct {
	t       *testing.T
	local   *localstore.Store
	sources []snapshot.Source
	base    string
	at      time.Time
	all     []*snapshot.Result
	scale   int64
	gate    func() // if set, is called while a file is read; see snaptest.Gate
	lost    bool   // the base is lost between any two snapshots, and made anew from what is stored
}

func newChain(t *testing.T, sources ...snapshot.Source) *chain {
	return &chain{t: t, local: snaptest.Local(t), sources: sources, base: filepath.Join(t.TempDir(), "base"), at: snaptest.Stamp.Time()}
}

// take takes the next snapshot.
func (c *chain) take(opts snapshot.Options) *snapshot.Result {
	c.t.Helper()
	c.at = c.at.Add(time.Minute)
	next, err := os.Create(c.base + ".next")
	if err != nil {
		c.t.Fatal(err)
	}
	opts.Stamp, opts.NextBase = manifest.StampOf(c.at), next
	if len(c.all) > 0 {
		if c.lost {
			c.rebuild()
		}
		b, err := snapshot.OpenBase(c.base)
		if err != nil {
			c.t.Fatal(err)
		}
		defer b.Close()
		if last := c.all[len(c.all)-1]; b.ID != last.ID {
			c.t.Fatalf("the base is %s, want %s", b.ID, last.ID)
		}
		b.Scale, b.Limit = c.scale, opts.ArchiveLimit
		b.LeanOn(func(a *snapshot.BaseArchive) bool { return true })
		opts.Base = b
	}
	var target snapshot.Target = c.local
	if c.gate != nil {
		target = &snaptest.Gate{Target: c.local, Meanwhile: c.gate}
	}
	res := snaptest.Take(c.t, target, opts, c.sources...)
	if err := errors.Join(res.NextBase, next.Close()); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.base+".next", c.base); err != nil {
		c.t.Fatal(err)
	}
	c.all = append(c.all, res)
	return res
}

// rebuild makes the base anew.
func (c *chain) rebuild() {
	c.t.Helper()
	f, err := os.Create(c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	var snaps []*layout.Snapshot
	for _, res := range slices.Backward(c.all) {
		snaps = append(snaps, snaptest.Open(c.t, res.ID, c.local.Store))
	}
	if err := snapshot.RebuildBase(c.t.Context(), f, snaps[0], snaps[1:]...); err != nil {
		c.t.Fatal(err)
	}
}

// Trees that change in all ways come back as they were at each snapshot of a chain, and unchanged parts are not stored again.
func TestIncrementsOfOddTrees(t *testing.T) {
	seeds := uint64(2)
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		seeds = 24
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(snaptest.TempDir(t), "tree")
			snaptest.OddTree{Seed: seed, Root: isRoot()}.Make(t, dir)
			c := newChain(t, snaptest.Directory("data", dir))
			c.lost = seed%2 == 1
			c.take(snapshot.Options{})
			for step := range uint64(6) {
				switch step {
				case 0: // nothing
				case 1:
					if err := os.RemoveAll(dir); err != nil { // all of it in other files of the same content
						t.Fatal(err)
					}
					snaptest.OddTree{Seed: seed, Root: isRoot()}.Make(t, dir)
				default: // more, and over what is there
					snaptest.OddTree{Seed: 100*seed + step, Entries: 20, Root: isRoot()}.Make(t, filepath.Join(dir, fmt.Sprintf("more%d", step%3)))
				}
				want := snaptest.Walk(t, dir)
				res := c.take(snapshot.Options{})
				target := snaptest.Restore(t, res.ID, restore.Options{PrivilegedMetadata: true}, c.local.Store)
				same(t, want, snaptest.Walk(t, filepath.Join(target, "data")), 0)
				if step < 2 && res.Head.Stats.NewBytes > 64<<10 {
					t.Errorf("step %d stored %d bytes of what had not changed", step, res.Head.Stats.NewBytes)
				}
			}
			snaptest.Validate(t, c.all[0].ID, c.local.Store)
		})
	}
}

// Files that are written to at random places, that grow, shrink and are replaced, of sizes around those of chunks, records and maps.
func TestIncrementsOfLargeFiles(t *testing.T) {
	const mib = 1 << 20
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	names := map[string]int64{"small": 70_000, "map": 16 * mib, "maps": 17*mib + 5, "zeros": 17 * mib}
	for name, size := range names {
		shape := snaptest.Random
		if name == "zeros" {
			shape = snaptest.Holes
		}
		snaptest.WriteFile(t, filepath.Join(dir, name), size, shape, 1)
	}
	random := rand.New(rand.NewPCG(1, 2))
	c := newChain(t, snaptest.Directory("data", dir))
	c.take(snapshot.Options{})
	for step := range 8 {
		c.lost = step == 2 || step == 6
		changed := int64(0)
		for _, name := range slices.Sorted(maps.Keys(names)) { // the same at each run
			size := names[name]
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				b := make([]byte, 1+random.IntN(100))
				for i := range b {
					b[i] = byte(random.IntN(256))
				}
				if step == 5 {
					clear(b)
				}
				if _, err := f.WriteAt(b, random.Int64N(size)); err != nil {
					t.Fatal(err)
				}
				changed += 2 * 64 << 10
			}
			switch step {
			case 3:
				err = f.Truncate(size / 2)
				changed += 64 << 10
			case 4:
				err = f.Truncate(size + 17)
				changed += 64 << 10
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want := snaptest.Walk(t, dir)
		res := c.take(snapshot.Options{})
		if n := res.Head.Stats.NewBytes; n > changed+256<<10 && step != 4 { // then little lives in old archives, and is stored again
			t.Errorf("step %d stored %d bytes; at most %d were changed", step, n, changed)
		}
		snaptest.Validate(t, res.ID, c.local.Store)
		target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
		same(t, want, snaptest.Walk(t, filepath.Join(target, "data")), 0)
	}
}

// Databases of all page sizes, of which some rows change: pages are stored, not databases. More than an inline list of extents has room for.
func TestIncrementsOfDatabases(t *testing.T) {
	for _, pageSize := range []int{512, 4096, 65536} {
		for _, wal := range []bool{false, true} {
			if wal != (pageSize == 4096) && os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") == "" {
				continue
			}
			t.Run(fmt.Sprintf("%d-%v", pageSize, wal), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path := filepath.Join(dir, "app.sqlite")
				db := database(t, path, pageSize, wal)
				exec := func(q string) {
					t.Helper()
					if _, err := db.Exec(q); err != nil {
						t.Fatalf("%s: %v", q, err)
					}
				}
				exec("WITH RECURSIVE n(i) AS (SELECT 10000 UNION ALL SELECT i+1 FROM n WHERE i<24000) INSERT INTO t SELECT i, randomblob(200) FROM n")
				c := newChain(t, snapshot.Source{Name: "db", Path: path}, snaptest.Directory("tree", dir))
				full := c.take(snapshot.Options{})
				for step := range 6 {
					c.lost = step%2 == 1
					switch step {
					case 2: // one page in ten: some thousand extents
						exec("UPDATE t SET body=randomblob(200) WHERE id%130=1")
					case 4:
						exec("VACUUM")
					case 5:
						exec("DELETE FROM t WHERE id BETWEEN 11000 AND 23000")
						exec("VACUUM")
					default:
						exec(fmt.Sprintf("UPDATE t SET body=randomblob(200) WHERE id=%d", 10000+step*777))
					}
					want := content(t, path)
					res := c.take(snapshot.Options{})
					if step < 2 && res.Head.Stats.NewBytes > full.Head.Stats.NewBytes/10 {
						t.Errorf("step %d stored %d bytes for a row; all was %d", step, res.Head.Stats.NewBytes, full.Head.Stats.NewBytes)
					}
					target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
					for _, restored := range []string{"db/app.sqlite", "tree/app.sqlite"} {
						if got := content(t, filepath.Join(target, restored)); got != want {
							t.Errorf("step %d: %s has %s, want %s", step, restored, got, want)
						}
					}
				}
				snaptest.Validate(t, full.ID, c.local.Store)
			})
		}
	}
}

// Files that were moved, copied, or took each other's names are found by what they begin with.
func TestIncrementsOfMovedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	for _, d := range []string{"many", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		snaptest.WriteFile(t, filepath.Join(dir, "many", fmt.Sprint(i)), int64(1000+i), snaptest.Random, uint64(i))
	}
	for i := range 4 {
		snaptest.WriteFile(t, filepath.Join(dir, "logs", fmt.Sprint(i)), 1<<20, snaptest.Random, uint64(1000+i))
	}
	snaptest.WriteFile(t, filepath.Join(dir, "large"), 20<<20, snaptest.Holes, 7)
	c := newChain(t, snaptest.Directory("data", dir))
	c.take(snapshot.Options{})
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for step, lost := range []bool{false, true} {
		c.lost = lost
		if step == 0 {
			rename("many", "all")
			rename("large", "a")
			for i := 3; i >= 0; i-- {
				rename(fmt.Sprintf("logs/%d", i), fmt.Sprintf("logs/%d", i+1))
			}
		} else {
			rename("all", "zz")
			rename("a", "logs/large")
		}
		want := snaptest.Walk(t, dir)
		res := c.take(snapshot.Options{})
		if n := res.Head.Stats.NewBytes; n > 200<<10 { // tables
			t.Errorf("step %d stored %d bytes of files that were only moved", step, n)
		}
		snaptest.Validate(t, res.ID, c.local.Store)
		target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
		same(t, want, snaptest.Walk(t, filepath.Join(target, "data")), 0)
	}
}

// A source that some snapshots leave out, or of which they found nothing, costs no more afterwards than what changed in it.
func TestIncrementsOfSourcesLeftOut(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost %v", lost), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			all := map[string]snapshot.Source{}
			for _, name := range []string{"a", "b"} {
				dir := filepath.Join(root, name)
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				snaptest.WriteFile(t, filepath.Join(dir, "large"), 2<<20, snaptest.Random, uint64(len(name)))
				snaptest.WriteFile(t, filepath.Join(dir, "small"), 100, snaptest.Random, 9)
				scattered(t, filepath.Join(dir, "mapped.db"))
				all[name] = snaptest.Directory(name, dir)
			}
			c := newChain(t, all["a"], all["b"])
			c.lost = lost
			c.take(snapshot.Options{})
			b, away := filepath.Join(root, "b"), filepath.Join(root, "away")
			for step, only := range []string{"a", "a", "b", "a", "b gone", "ab", "b", "ab"} {
				opts := snapshot.Options{}
				c.sources = []snapshot.Source{all["a"], all["b"]}
				switch only {
				case "a", "b":
					c.sources = []snapshot.Source{all[only]}
					opts.Omitted = []manifest.Omission{{Source: map[string]string{"a": "b", "b": "a"}[only], Why: "not in --only"}}
				case "b gone":
					if err := os.Rename(b, away); err != nil {
						t.Fatal(err)
					}
				}
				change := filepath.Join(c.sources[0].Path, "small")
				snaptest.WriteFile(t, change, 100, snaptest.Random, uint64(100+step))
				res := c.take(opts)
				if only == "b gone" {
					if err := os.Rename(away, b); err != nil {
						t.Fatal(err)
					}
				}
				if n := res.Head.Stats.NewBytes; n > 30<<10 {
					t.Errorf("step %d (%s) stored %d bytes; 100 were changed", step, only, n)
				}
				target := snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store)
				for _, src := range res.Head.Sources {
					same(t, snaptest.Walk(t, all[src.Name].Path), snaptest.Walk(t, filepath.Join(target, src.Name)), 0)
				}
			}
			snaptest.Validate(t, c.all[0].ID, c.local.Store)
		})
	}
}
