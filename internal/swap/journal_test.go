package swap_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/swap"
)

// A journal that was cut off at any length or changed in any byte is refused by name, and so is one of another version.
func TestJournalIsWhole(t *testing.T) {
	w := newWorld(t, sceneOf(t, "database with a log"), fastDir(t))
	must(t, w.commit(never))
	paths, err := filepath.Glob(filepath.Join(w.journals(), "*"))
	must(t, err)
	if len(paths) != 1 {
		t.Fatalf("journals: %q", paths)
	}
	whole, err := os.ReadFile(paths[0])
	must(t, err)
	refused := func(what string, data []byte, word string) {
		t.Helper()
		must(t, os.WriteFile(paths[0], data, 0o600))
		swaps, err := swap.List(w.journals())
		var je *swap.JournalError
		if len(swaps) != 0 || !errors.As(err, &je) || je.Path != paths[0] || !strings.Contains(err.Error(), paths[0]) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %d swaps, %v", what, len(swaps), err)
		}
		if s, err := swap.Unfinished(w.journals()); s != nil || err == nil {
			t.Errorf("%s: unfinished %v, %v", what, s, err)
		}
	}
	for n := range len(whole) - 1 { // the last byte ends the line
		refused("cut off", whole[:n], "can't be relied on")
	}
	for i, c := range whole[:len(whole)-1] {
		changed := bytes.Clone(whole)
		changed[i] = c ^ 1
		refused("byte changed", changed, "")
	}
	refused("followed by more", append(bytes.Clone(whole), whole...), "can't be relied on")
	refused("another version", bytes.Replace(whole, []byte(`"version":1`), []byte(`"version":2`), 1), "version 2")
	refused("an unknown field", bytes.Replace(whole, []byte(`"version":1`), []byte(`"version":1,"more":true`), 1), "can't be relied on")
	refused("an edited state", bytes.Replace(whole, []byte(`"done"`), []byte(`"undone"`), 1), "can't be relied on")
	must(t, os.WriteFile(paths[0], whole, 0o600))
	must(t, os.Rename(paths[0], paths[0]+"x"))
	other := filepath.Join(w.journals(), "swap-other.json")
	must(t, os.WriteFile(other, whole, 0o600))
	if _, err := swap.List(w.journals()); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("under another name: %v", err)
	}
}

// What is listed is oldest first, and a swap is not undone under a later one of the same target.
func TestSwapsInARow(t *testing.T) {
	dir := fastDir(t)
	journals, app := filepath.Join(dir, "journals"), filepath.Join(dir, "app")
	if swaps, err := swap.List(journals); err != nil || swaps != nil {
		t.Errorf("where nothing is: %v, %v", swaps, err)
	}
	file := filepath.Join(app, "odd\xffname")
	write(t, file, "0")
	for _, content := range []string{"1", "2"} {
		s, err := swap.Begin(journals, swap.Info{}, []string{app})
		must(t, err)
		staged := filepath.Join(s.Work(app), "new", "x\xff")
		write(t, staged, content)
		must(t, s.Commit([]swap.Member{{Target: file, Staged: staged}}))
	}
	swaps, err := swap.List(journals)
	must(t, err)
	if len(swaps) != 2 || swaps[0].ID() >= swaps[1].ID() {
		t.Fatalf("listed: %v", swaps)
	}
	if err := swaps[0].Undo(); err == nil || !strings.Contains(err.Error(), swaps[1].ID()) || swaps[0].Undoable() {
		t.Errorf("undone under another: %v", err)
	}
	has(t, file, "2")
	must(t, swaps[1].Undo())
	has(t, file, "1")
	must(t, swaps[0].Undo())
	has(t, file, "0")
	if s, err := swap.Unfinished(journals); s != nil || err != nil {
		t.Errorf("unfinished: %v, %v", s, err)
	}
}

// What a state does not allow is refused and changes nothing.
func TestMisuse(t *testing.T) {
	dir := fastDir(t)
	journals, app := filepath.Join(dir, "journals"), filepath.Join(dir, "app")
	write(t, filepath.Join(app, "d", "x"), "old")
	write(t, filepath.Join(dir, "elsewhere"), "x")
	s, err := swap.Begin(journals, swap.Info{}, []string{app, app + "/"})
	must(t, err)
	staged := filepath.Join(s.Work(app), "new", "x")
	write(t, staged, "new")
	d := filepath.Join(app, "d")
	link := filepath.Join(s.Work(app), "new", "link")
	must(t, os.Link(filepath.Join(d, "x"), link))
	for what, members := range map[string][]swap.Member{
		"one target twice":            {{Target: d, Staged: staged}, {Target: d + "/", Staged: staged}},
		"a target in another":         {{Target: d, Staged: staged}, {Target: filepath.Join(d, "x")}},
		"no absolute path":            {{Target: "d", Staged: staged}},
		"staged elsewhere":            {{Target: d, Staged: filepath.Join(dir, "elsewhere")}},
		"not below any parent":        {{Target: filepath.Join(dir, "elsewhere")}},
		"nothing staged":              {{Target: d, Staged: staged + "x"}},
		"the old file itself":         {{Target: filepath.Join(d, "x"), Staged: link}},
		"a target without its parent": {{Target: filepath.Join(app, "no", "x"), Staged: staged}},
	} {
		if err := s.Commit(members); err == nil || s.Record().State != swap.Staging {
			t.Errorf("%s: %v, %s", what, err, s.Record().State)
		}
	}
	for what, err := range map[string]error{"resume": s.Resume(), "undo": s.Undo(), "purge": s.Purge()} {
		if err == nil || !strings.HasPrefix(err.Error(), what+" swap "+s.ID()) {
			t.Errorf("%s before Commit: %v", what, err)
		}
	}
	has(t, filepath.Join(d, "x"), "old")
	must(t, s.Commit([]swap.Member{{Target: filepath.Join(d, "x"), Staged: staged}}))
	for what, err := range map[string]error{"abandon": s.Abandon(), "commit": s.Commit(nil), "record directories": s.Made(nil)} {
		if err == nil || !strings.HasPrefix(err.Error(), what+" swap "+s.ID()) {
			t.Errorf("%s after Commit: %v", what, err)
		}
	}
	has(t, filepath.Join(d, "x"), "new")
	if _, err := swap.Begin(journals, swap.Info{}, []string{filepath.Join(dir, "none")}); err == nil {
		t.Error("begun in a parent that is not there")
	}
	if swaps, err := swap.List(journals); err != nil || len(swaps) != 1 {
		t.Errorf("left behind: %v, %v", swaps, err)
	}
}
