package swap_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/swap"
)

// names returns the steps of what f does.
func names(f func(fn step)) []string {
	var steps []string
	f(func(name string) error {
		steps = append(steps, name)
		return nil
	})
	return steps
}

// finish does with a killed swap what somebody decides, and fails the test unless the state is then what that means.
func (w *world) finish(what string, undo bool) {
	w.t.Helper()
	s := w.reopen(never)
	if s == nil {
		w.is(what, w.old)
		w.clean(what)
		return
	}
	state := s.Record().State
	switch {
	case state == swap.Staging:
		must(w.t, s.Abandon())
		w.stillOld(what)
		w.clean(what)
		return
	case undo || state == swap.Undoing || state == swap.Undone:
		if state != swap.Undone && !s.Undoable() {
			w.t.Errorf("%s: not undoable", what)
		}
		if state == swap.Undoing && !undo {
			must(w.t, s.Resume())
		} else {
			must(w.t, s.Undo())
		}
		if got := s.Record().State; got != swap.Undone {
			w.t.Errorf("%s: then it is %s", what, got)
		}
		w.is(what, w.old)
	default:
		must(w.t, s.Resume())
		if got := s.Record().State; got != swap.Done {
			w.t.Errorf("%s: then it is %s", what, got)
		}
		w.is(what, w.new)
	}
	if strays := s.Record().Strays; len(strays) > 0 {
		w.t.Errorf("%s: strays %+v", what, strays)
	}
	if again := w.reopen(never); again.Record().State != s.Record().State {
		w.t.Errorf("%s: the journal says %s", what, again.Record().State)
	}
}

// stillOld is like is for a swap that was abandoned, with which what was staged has gone.
func (w *world) stillOld(what string) {
	w.t.Helper()
	w.files = map[swap.Identity]string{}
	w.is(what, w.old)
}

// A swap is killed at every step, and so is what takes it up.
func TestKillAtEveryStep(t *testing.T) {
	dir := fastDir(t)
	made, most := 0, 0
	fresh := func(t *testing.T, sc *scene) *world {
		made++
		return newWorld(t, sc, filepath.Join(dir, fmt.Sprint(made)))
	}
	total := 0
	for i := range scenes {
		sc := &scenes[i]
		t.Run(sc.name, func(t *testing.T) {
			count := 0
			steps := names(func(fn step) { must(t, fresh(t, sc).commit(fn)) })
			most = max(most, len(steps))
			for i, name := range steps {
				t.Logf("%2d %s", i, shorten(name, dir))
			}
			// at makes a world in which the swap was killed at step k.
			at := func(k int) *world {
				w := fresh(t, sc)
				if dead := w.run(k, func(fn step) { must(t, w.commit(fn)) }); dead != (k < len(steps)) {
					t.Fatalf("step %d: killed: %t", k, dead)
				}
				return w
			}
			for k := 0; k <= len(steps); k++ {
				if t.Failed() {
					t.FailNow() // the others would say the same
				}
				what := fmt.Sprintf("killed at %d", k)
				w := at(k)
				w.mixed(what)
				w.finish(what+", resumed", false)
				count++
				if s := w.reopen(never); s != nil {
					w.finish(what+", resumed and undone", true)
					count++
				}
				removeAll(w.root)
				w = at(k)
				w.finish(what+", undone", true)
				count++
				removeAll(w.root)
				if underRace && !sc.race {
					continue
				}
				for _, undo := range []bool{false, true} {
					for k2, more := 0, true; more; k2++ {
						what := fmt.Sprintf("killed at %d, then at %d of undo: %t", k, k2, undo)
						w := at(k)
						s := w.reopen(never)
						if s == nil || s.Record().State == swap.Staging {
							removeAll(w.root)
							break
						}
						more = w.run(k2, func(fn step) {
							s := w.reopen(fn)
							if undo {
								must(t, s.Undo())
							} else {
								must(t, s.Resume())
							}
						})
						w.mixed(what)
						w.finish(what, k2%2 == 0)
						count++
						removeAll(w.root)
					}
				}
			}
			t.Logf("%d steps, %d combinations; with second kills: %t", len(steps), count, !underRace || sc.race)
			total += count
		})
	}
	t.Logf("%d combinations in %d worlds", total, made)
	if most < 15 {
		t.Errorf("the fullest run has %d steps", most)
	}
}

// shorten makes the paths in the name of a step relative.
func shorten(name, dir string) string {
	words := strings.Fields(name)
	for i, word := range words {
		if rel, err := filepath.Rel(dir, word); err == nil {
			words[i] = rel
		}
	}
	return strings.Join(words, " ")
}

// Whoever takes up what a killed process has left makes its journal durable before anything else, for that process may have come no further
// than to its name; see settleJournal. To write it anew does that too.
func TestJournalOfKilledIsDurableFirst(t *testing.T) {
	dir := fastDir(t)
	sc := sceneOf(t, "two databases and a directory")
	undo, resume, purge := (*swap.Swap).Undo, (*swap.Swap).Resume, (*swap.Swap).Purge
	for name, c := range map[string]struct{ dies, heir func(*swap.Swap) error }{
		"a commit, resumed":    {nil, resume},
		"a commit, undone":     {nil, undo},
		"an undo, resumed":     {undo, resume},
		"an undo, begun again": {undo, undo},
		"a purge":              {purge, purge},
	} {
		t.Run(name, func(t *testing.T) {
			taken := 0
			for k, more := 0, true; more; k++ {
				w := newWorld(t, sc, filepath.Join(dir, name, fmt.Sprint(k)))
				if c.dies != nil {
					must(t, w.commit(never))
				}
				more = w.run(k, func(fn step) {
					if c.dies == nil {
						must(t, w.commit(fn))
						return
					}
					must(t, c.dies(w.reopen(fn)))
				})
				s := w.reopen(never)
				if s == nil || s.Record().State == swap.Staging {
					removeAll(w.root)
					continue
				}
				steps := names(func(fn step) { must(t, c.heir(w.reopen(fn))) })
				if len(steps) > 0 {
					taken++
					if steps[0] != "sync "+w.journals() && !strings.HasPrefix(steps[0], "journal ") {
						t.Errorf("killed at %d: the first step is %q", k, steps[0])
					}
				}
				removeAll(w.root)
			}
			if taken < 3 {
				t.Errorf("only %d were taken up", taken)
			}
		})
	}
}
