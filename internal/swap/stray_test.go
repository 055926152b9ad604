package swap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
)

// intrude does what a service does that is started in the middle: where its database or directory is missing it makes one, and where it is it uses it.
// It returns how many entries are strangers to both states.
func (w *world) intrude(n int) (strays int) {
	w.t.Helper()
	now := w.tree(w.app())
	put := func(rel, content string) {
		must(w.t, os.WriteFile(filepath.Join(w.app(), rel), []byte(content), 0o600))
	}
	for _, m := range w.sc.members {
		main, there := now[m.target]
		if w.guarded(m.target) {
			if n%2 == 0 {
				continue // it can't be opened
			}
			must(w.t, os.Remove(filepath.Join(w.app(), m.target))) // by somebody who thinks to know better
			there = false
		}
		switch {
		case !there && m.database:
			put(m.target, fmt.Sprint("stray database ", n))
			strays++
			if _, taken := now[m.target+"-wal"]; !taken {
				put(m.target+"-wal", fmt.Sprint("stray log ", n))
				strays++
			}
		case !there:
			must(w.t, os.Mkdir(filepath.Join(w.app(), m.target), 0o755))
			put(m.target+"/stray", fmt.Sprint("stray ", n))
			strays++
		case m.database:
			if _, taken := now[m.target+"-shm"]; !taken {
				put(m.target+"-shm", fmt.Sprint("used ", n))
				used, err := look(filepath.Join(w.app(), m.target+"-shm"))
				must(w.t, err)
				strays++
				for _, st := range []tree{w.old, w.new} {
					if st[m.target].id == main.id {
						st[m.target+"-shm"] = used
						strays--
					}
				}
			}
		}
	}
	w.note()
	return strays
}

// A service that is started in the middle loses nothing of what it writes, and takes nothing from either state.
func TestStrays(t *testing.T) {
	dir := fastDir(t)
	made, seen := 0, 0
	for _, name := range []string{"two databases and a directory", "database with a log", "database with a log, without exchange", "directory without exchange", "database that only goes"} {
		sc := sceneOf(t, name)
		for k, more := 0, true; more; k++ {
			for _, undo := range []bool{false, true} {
				what := fmt.Sprintf("%s, killed at %d, undo: %t", name, k, undo)
				made++
				w := newWorld(t, sc, filepath.Join(dir, fmt.Sprint(made)))
				more = w.run(k, func(fn step) { must(t, w.commit(fn)) })
				s := w.reopen(never)
				if s == nil || s.Record().State == swap.Staging {
					removeAll(w.root)
					continue
				}
				want := w.intrude(k)
				if s.Record().State == swap.Done && !undo {
					removeAll(w.root)
					continue
				}
				// The first attempt is cut off too, and the service is started once more.
				w.run(k%7, func(fn step) {
					s := w.reopen(fn)
					if undo {
						must(t, s.Undo())
					} else {
						must(t, s.Resume())
					}
				})
				if st := w.reopen(never).Record().State; st == swap.Swapping || st == swap.Undoing {
					want += w.intrude(k / 2)
				}
				s = w.reopen(never)
				if undo {
					must(t, s.Undo())
					w.is(what, w.old)
				} else {
					must(t, s.Resume())
					w.is(what, w.new)
				}
				for _, st := range s.Record().Strays {
					if _, err := os.Lstat(st.Kept); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				if got := len(s.Record().Strays); got != want {
					t.Errorf("%s: %d strays, want %d: %+v", what, got, want, s.Record().Strays)
				}
				seen += want
				if t.Failed() {
					t.FailNow()
				}
				removeAll(w.root)
			}
		}
	}
	t.Logf("%d worlds, %d strays", made, seen)
	if seen == 0 {
		t.Error("nothing strayed")
	}
}

// What vanished is named, and nothing is changed.
func TestVanished(t *testing.T) {
	dir := fastDir(t)
	sc := sceneOf(t, "two databases and a directory")
	w := newWorld(t, sc, filepath.Join(dir, "w"))
	w.run(21, func(fn step) { must(t, w.commit(fn)) })
	r := w.reopen(never).Record()
	gone := r.Members[0].Old[len(r.Members[0].Old)-1]
	if db, ok := sqlitedb.SidecarOf(filepath.Base(gone.Home)); !ok || db != "a.db" || gone.Away == "" {
		t.Fatalf("the last old entry is %+v", gone)
	}
	must(t, os.Remove(gone.Away))
	before := w.tree(w.root)
	for what, f := range map[string]func(*swap.Swap) error{"resume": (*swap.Swap).Resume, "undo": (*swap.Swap).Undo} {
		s := w.reopen(never)
		if s.Undoable() {
			t.Errorf("%s: undoable", what)
		}
		err := f(s)
		if err == nil || !strings.Contains(err.Error(), gone.Home) || !strings.Contains(err.Error(), gone.Away) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for path, th := range w.tree(w.root) {
		if before[path] != th {
			t.Errorf("%s has changed", path)
		}
		delete(before, path)
	}
	for path := range before {
		t.Errorf("%s is gone", path)
	}
}

// A service that uses the new database before the swap is resumed may do with its log as it likes.
func TestNewLogIsUsedUp(t *testing.T) {
	dir := fastDir(t)
	sc := sceneOf(t, "opaque database with a log of its own")
	used := 0
	for k, more := 0, true; more; k++ {
		w := newWorld(t, sc, filepath.Join(dir, fmt.Sprint(k)))
		more = w.run(k, func(fn step) { must(t, w.commit(fn)) })
		now := w.tree(w.app())
		if w.new == nil || now["app.db"].id != w.new["app.db"].id {
			continue
		}
		used++
		must(t, os.Remove(filepath.Join(w.app(), "app.db-wal")))
		delete(w.files, w.new["app.db-wal"].id)
		delete(w.new, "app.db-wal")
		w.finish(fmt.Sprint("killed at ", k), false)
		w.finish(fmt.Sprint("killed at ", k, ", undone"), true)
	}
	if used < 2 {
		t.Errorf("it was used %d times", used)
	}
}
