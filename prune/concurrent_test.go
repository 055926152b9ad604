package prune_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// horizon is how long a world lasts.
const horizon = 600 * time.Hour

// No snapshot ever lacks an archive, whatever happens when. The worlds are the same in every run, unless -rapid.seed says otherwise.
func TestNoSnapshotLosesAnArchive(t *testing.T) {
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		set(t, "rapid.checks", "10000")
	} else {
		set(t, "rapid.checks", "40")
	}
	if flag.Lookup("rapid.seed").Value.String() == "0" {
		set(t, "rapid.seed", "1")
	}
	var sum world
	rapid.Check(t, func(rt *rapid.T) {
		bit := rapid.Bool()
		w := newWorld(func(n int) int {
			x := 0
			for m := 1; m < n; m *= 2 {
				x *= 2
				if bit.Draw(rt, "") {
					x++
				}
			}
			return x % n
		}, none)
		w.run(horizon)
		if w.loss != "" {
			rt.Fatalf("%s", w.loss)
		}
		sum.add(w)
	})
	t.Log(sum.counts())
}

func (w *world) add(o *world) {
	w.commits, w.removals, w.deletions, w.undone, w.pushed, w.crashes, w.events = w.commits+o.commits, w.removals+o.removals, w.deletions+o.deletions, w.undone+o.undone, w.pushed+o.pushed, w.crashes+o.crashes, w.events+o.events
}

func (w *world) counts() string {
	return fmt.Sprintf("%d commits, %d pushes, %d removals, %d undone, %d archives deleted, %d crashes, %d events", w.commits, w.pushed, w.removals, w.undone, w.deletions, w.crashes, w.events)
}

func set(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	old := f.Value.String()
	must(t, flag.Set(name, value))
	t.Cleanup(func() { flag.Set(name, old) })
}

// seeded returns a world that is the same for the same seed.
func seeded(seed uint64, broken rule) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	return newWorld(r.IntN, broken)
}

// Without any one of the rules something is lost.
func TestEachRuleIsNeeded(t *testing.T) {
	for r, seed := range map[rule]uint64{ // the world in which it was seen
		noCopies: 114, noMark: 19, noEnd: 21, noAge: 10, leanOnAnything: 114, noWaiting: 51, oldListing: 1, ignoreUnreadable: 72,
	} {
		t.Run(string(r), func(t *testing.T) {
			for last := seed + 1000; seed < last; seed++ {
				w := seeded(seed, r)
				w.verbose = os.Getenv("SHOW") != ""
				w.run(horizon)
				if w.loss != "" {
					t.Logf("world %d: %s", seed, w.loss)
					if testing.Verbose() && os.Getenv("SHOW") != "" {
						t.Log(strings.Join(w.log[max(0, len(w.log)-60):], "\n"))
					}
					return
				}
			}
			t.Error("in 1000 worlds nothing was lost")
		})
	}
}
