package integration_test

import (
	"os"
	"path/filepath"
	"testing"
)

// A scene is a command, and what it must have brought about when it reports success.
type scene struct {
	name  string
	setup func(w *world)
	args  func(w *world) []string
	done  func(w *world) // quickly, for the whole state is validated too
	whole func(w *world) // all the way back; nil when done is enough
}

func scenes() []scene {
	backup := func(w *world) []string {
		return []string{"backup", w.source.path, "--app", "app", "--remote", w.remote}
	}
	create := func(w *world) []string { return []string{"create", w.source.path, "--app", "app"} }
	restore := func(w *world) []string {
		return append([]string{"restore", "latest", "--target", w.target()}, w.fromRemote()...)
	}
	restored := func(w *world) { w.source.restoredIn(w.t, filepath.Join(w.target(), "app")) }
	elsewhere := func(w *world) { // a backup by a machine that is gone
		w.must(backup(w)...)
		check(w.t, os.RemoveAll(w.path("store")))
	}
	return []scene{
		{"first backup", func(*world) {}, backup, func(w *world) {
			w.holds(w.fromRemote()...)
		}, func(w *world) {
			w.restorable(w.fromRemote()...)
			w.restorable("--app", "app")
		}},
		{"later backup", func(w *world) { w.must(backup(w)...); w.must(create(w)...) }, backup,
			func(w *world) { w.holds(w.fromRemote()...) }, func(w *world) { w.restorable(w.fromRemote()...) }},
		{"create", func(*world) {}, create,
			func(w *world) { w.holds("--app", "app") }, func(w *world) { w.restorable("--app", "app") }},
		{"push", func(w *world) { w.must(create(w)...) },
			func(w *world) []string { return []string{"push", "--app", "app", "--remote", w.remote} },
			func(w *world) { w.holds(w.fromRemote()...) }, func(w *world) { w.restorable(w.fromRemote()...) }},
		{"pull", elsewhere,
			func(w *world) []string { return []string{"pull", "latest", "--app", "app", "--remote", w.remote} },
			func(w *world) { w.holds("--app", "app") }, func(w *world) { w.restorable("--app", "app") }},
		{"restore", elsewhere, restore, restored, nil},
		{"restore into an empty directory", func(w *world) {
			elsewhere(w)
			check(w.t, os.MkdirAll(w.target(), 0o750))
		}, restore, restored, nil},
		{"validate", elsewhere, func(w *world) []string {
			return append([]string{"validate", "--read-data"}, w.fromRemote()...)
		}, func(*world) {}, nil},
	}
}

// An ending is how a run of a command ended that came to harm.
type ending struct {
	code      int
	killed    bool
	output    string
	mayLitter bool // it was kept from removing something
}

// aftermath looks at the world after a run that came to harm. It returns the outcome in a word.
func (s scene) aftermath(w *world, e ending) string {
	w.t.Helper()
	w.valid()
	outcome := "failed"
	switch {
	case e.killed:
		outcome = "killed"
		if entries, _ := os.ReadDir(filepath.Join(w.target(), "app")); len(entries) > 0 {
			s.done(w) // after the last step
			check(w.t, os.RemoveAll(w.target()))
		}
		return outcome
	case e.code == 0:
		outcome = "succeeded"
		s.done(w)
		if s.whole != nil {
			s.whole(w)
		}
		check(w.t, os.RemoveAll(filepath.Join(w.target(), "app")))
	case e.code == 130:
		outcome = "interrupted"
	}
	if e.mayLitter {
		return outcome
	}
	if l := w.litter(); len(l) > 0 {
		w.t.Errorf("left behind: %q", l)
	}
	if err := w.targetAsBefore(); err != nil {
		w.t.Error(err)
	}
	return outcome
}

// recovers runs the command again, which must succeed, and remove what the last one left.
func (s scene) recovers(w *world) {
	w.t.Helper()
	w.must(s.args(w)...)
	s.done(w)
	w.valid()
	if l := w.litter(); len(l) > 0 {
		w.t.Errorf("left behind after the next run, which succeeded: %q", l)
	}
	w.source.untouched(w.t)
}

// said checks that a failure was told in one clear message.
func said(t *testing.T, e ending) {
	t.Helper()
	if e.code == 0 || e.killed {
		return
	}
	if !tells(e.output) {
		t.Errorf("exit code %d, and no clear message:\n%s", e.code, e.output)
	}
}
