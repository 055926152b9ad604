package swap_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"lifeboat/internal/swap"
)

// Every step of a commit fails in turn. What is returned says what is there, and from there both ways lead out.
func TestEveryStepFails(t *testing.T) {
	dir := fastDir(t)
	made, back, half := 0, 0, 0
	for _, name := range []string{"two databases and a directory", "directory without write permission", "absent"} {
		sc := sceneOf(t, name)
		for _, forGood := range []bool{false, true} { // the step alone, or all that follow too
			for n, more := 0, true; more; n++ {
				for _, undo := range []bool{false, true} {
					what := fmt.Sprintf("%s, step %d, for good: %t, undo: %t", name, n, forGood, undo)
					made++
					w := newWorld(t, sc, filepath.Join(dir, fmt.Sprint(made)))
					members := w.begin(never)
					i := -1
					w.swap.SetStep(w.hook(func(string) error {
						if i++; i == n || forGood && i > n {
							return syscall.EIO
						}
						return nil
					}))
					err := w.swap.Commit(members)
					if more = err != nil; !more {
						w.is(what, w.new)
						break
					}
					if !errors.Is(err, syscall.EIO) {
						t.Errorf("%s: %v", what, err)
					}
					w.mixed(what)
					var ce *swap.CommitError
					state := w.reopen(never).Record().State
					switch {
					case !errors.As(err, &ce):
						if state != swap.Staging && !forGood { // else the journal couldn't be put back
							t.Errorf("%s: %v, and it is %s", what, err, state)
						}
					case ce.Back:
						back++
						if state != swap.Undone {
							t.Errorf("%s: %v, and it is %s", what, err, state)
						}
						w.is(what, w.old)
					default:
						half++
						if state != swap.Swapping && state != swap.Undoing && !(n > 0 && state == swap.Done) {
							t.Errorf("%s: %v, and it is %s", what, err, state)
						}
					}
					w.finish(what, undo)
					removeAll(w.root)
				}
			}
		}
	}
	t.Logf("%d failures put back, %d half-done", back, half)
	if back == 0 || half == 0 {
		t.Error("one of the two was never seen")
	}
}

// Purge, killed at every step, never leaves a part of the old state that an undo takes for all of it.
func TestPurgeIsKilled(t *testing.T) {
	dir := fastDir(t)
	sc := sceneOf(t, "two databases and a directory")
	for n, more := 0, true; more; n++ {
		w := newWorld(t, sc, filepath.Join(dir, fmt.Sprint(n)))
		must(t, w.commit(never))
		more = w.run(n, func(fn step) {
			w.swap.SetStep(fn)
			must(t, w.swap.Purge())
		})
		what := fmt.Sprintf("killed at %d", n)
		if s := w.reopen(never); s != nil {
			if n > 0 {
				if s.Undoable() || s.Undo() == nil {
					t.Errorf("%s: undone", what)
				}
			}
			must(t, s.Purge())
		}
		w.files = nil
		w.is(what, w.new)
		w.clean(what)
	}
}
