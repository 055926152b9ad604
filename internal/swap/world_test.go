package swap_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
)

// A scene is what is in use, and what is to take its place. Paths are relative; one that ends in "/" is a directory, and "!" after
// that one whose owner may not write to it.
type scene struct {
	name    string
	old     []string
	members []member
	made    []string // parents that are to be made
	whole   bool     // exchange is not supported
	race    bool     // killed twice under the race detector too
	other   string   // a second parent
}

type member struct {
	target   string
	new      []string // relative to the target: "" is itself, "/" itself as a directory, "/!" such a one without write permission
	database bool
}

var scenes = []scene{
	{name: "absent", made: []string{"srv", "srv/deep"}, members: []member{{"srv/deep/file", []string{""}, false}}},
	{name: "file alone", old: []string{"file"}, members: []member{{"file", []string{""}, false}}},
	{name: "database with a log", old: []string{"app.db", "app.db-wal", "app.db-shm"}, members: []member{{"app.db", []string{""}, true}}},
	{name: "database with a journal", race: true, old: []string{"app.db", "app.db-journal", "app.db-mjA1B2C39D4", "app.db-mjA1B2C39D5"}, members: []member{{"app.db", []string{""}, true}}},
	{name: "database with a log, without exchange", whole: true, old: []string{"app.db", "app.db-wal", "app.db-shm"}, members: []member{{"app.db", []string{""}, true}}},
	{name: "database that was absent, with an old log", old: []string{"app.db-wal"}, members: []member{{"app.db", []string{""}, true}}},
	{name: "opaque database with a log of its own", old: []string{"app.db", "app.db-wal", "app.db-shm"}, members: []member{{"app.db", []string{""}, true}, {"app.db-wal", []string{""}, false}}},
	{name: "database that only goes", old: []string{"app.db", "app.db-wal"}, members: []member{{"app.db", nil, true}}},
	{name: "directory", old: []string{"d/", "d/x", "d/sub/", "d/sub/y"}, members: []member{{"d", []string{"/", "/x", "/z"}, false}}},
	{name: "directory without exchange", whole: true, old: []string{"d/", "d/x"}, members: []member{{"d", []string{"/", "/x", "/z"}, false}}},
	{name: "directory without write permission", old: []string{"d/", "d/x", "d/!"}, members: []member{{"d", []string{"/", "/x", "/!"}, false}}},
	{name: "directory without write permission or exchange", whole: true, old: []string{"d/", "d/x", "d/!"}, members: []member{{"d", []string{"/", "/x", "/!"}, false}}},
	{name: "file in place of a directory", old: []string{"d/", "d/x"}, members: []member{{"d", []string{""}, false}}},
	{name: "entries of a mount", old: []string{"a", "goes", "app.db", "app.db-wal", "d/", "d/x", "stays"}, members: []member{
		{"a", []string{""}, false}, {"goes", nil, false}, {"comes", []string{""}, false},
		{"app.db-wal", nil, false}, {"app.db", []string{""}, false}, {"d", []string{"/", "/z"}, false}}},
	{name: "two databases and a directory", other: "other", old: []string{"a.db", "a.db-wal", "a.db-shm", "other/", "other/b.db", "other/b.db-journal", "other/b.db-mjA1B2C39D4", "d/", "d/x", "d/sub/", "d/sub/y", "stays/", "stays/x"}, members: []member{
		{"a.db", []string{""}, true}, {"other/b.db", []string{""}, true}, {"d", []string{"/", "/x", "/z"}, false}}},
}

func sceneOf(t testing.TB, name string) *scene {
	t.Helper()
	i := slices.IndexFunc(scenes, func(sc scene) bool { return sc.name == name })
	if i < 0 {
		t.Fatalf("no scene %q", name)
	}
	return &scenes[i]
}

// A thing is an entry of a file system, with what must not change.
type thing struct {
	id      swap.Identity
	mode    fs.FileMode
	content string
}

type tree map[string]thing

// A world is a scene that was made on the disk.
type world struct {
	t        testing.TB
	sc       *scene
	root     string // has app and journals
	old, new tree   // what app is to be, apart from work directories
	files    map[swap.Identity]string
	swap     *swap.Swap
}

// fastDir returns a directory in which an fsync costs nothing, where there is one.
func fastDir(t testing.TB) string {
	t.Helper()
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "lifeboat-swap-test-"); err == nil {
			t.Cleanup(func() { removeAll(dir) })
			return dir
		}
	}
	dir := t.TempDir()
	t.Cleanup(func() { removeAll(dir) })
	return dir
}

func removeAll(dir string) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

func newWorld(t testing.TB, sc *scene, root string) *world {
	t.Helper()
	w := &world{t: t, sc: sc, root: root, files: map[swap.Identity]string{}}
	must(t, os.MkdirAll(w.app(), 0o755))
	w.make(w.app(), "", sc.old, "old ")
	w.old = w.tree(w.app())
	w.note()
	return w
}

func (w *world) app() string      { return filepath.Join(w.root, "app") }
func (w *world) journals() string { return filepath.Join(w.root, "journals") }

func (w *world) make(dir, prefix string, paths []string, content string) {
	for _, p := range paths {
		p = prefix + p
		path := filepath.Join(dir, p)
		switch {
		case strings.HasSuffix(p, "/!"):
			must(w.t, os.Chmod(filepath.Dir(path), 0o500))
		case strings.HasSuffix(p, "/"):
			must(w.t, os.Mkdir(path, 0o755))
		default:
			must(w.t, os.WriteFile(path, []byte(content+p), 0o640))
		}
	}
}

// tree returns what is in a directory, without work directories.
func (w *world) tree(dir string) tree {
	w.t.Helper()
	out := tree{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if strings.HasPrefix(e.Name(), layout.SwapPrefix) {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out[rel], err = look(path)
		return err
	})
	must(w.t, err)
	return out
}

func look(path string) (thing, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return thing{}, err
	}
	th := thing{mode: fi.Mode()}
	if th.id, err = swap.Identify(path); err != nil {
		return thing{}, err
	}
	if fi.Mode().IsRegular() {
		data, err := os.ReadFile(path)
		if err != nil {
			return thing{}, err
		}
		th.content = string(data)
	}
	return th, nil
}

// note remembers every file there is outside the journals: none of them may be lost.
func (w *world) note() {
	w.t.Helper()
	maps.Copy(w.files, w.all())
}

func (w *world) all() map[swap.Identity]string {
	w.t.Helper()
	files := map[swap.Identity]string{}
	must(w.t, filepath.WalkDir(w.app(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		th, err := look(path)
		files[th.id] = th.content
		return err
	}))
	return files
}

// step is called before each step, and may panic with killed or return an error.
type step func(name string) error

func (w *world) hook(fn step) func(string) error {
	return func(name string) error {
		if err := fn(name); err != nil {
			return err
		}
		if w.sc.whole && strings.HasPrefix(name, "exchange ") {
			return errors.ErrUnsupported
		}
		return nil
	}
}

// begin makes the swap and stages what comes.
func (w *world) begin(fn step) []swap.Member {
	parents := []string{w.app()}
	if w.sc.other != "" {
		parents = append(parents, filepath.Join(w.app(), w.sc.other))
	}
	s, err := swap.BeginStepping(w.journals(), swap.Info{App: "app"}, parents, w.hook(fn))
	must(w.t, err)
	w.swap = s
	if w.sc.made != nil {
		var made []string
		for _, d := range w.sc.made {
			made = append(made, filepath.Join(w.app(), d))
		}
		must(w.t, s.Made(made))
		for _, d := range made {
			must(w.t, os.Mkdir(d, 0o755))
		}
	}
	w.new = w.tree(w.app())
	for path := range w.new {
		for _, m := range w.sc.members {
			db, ok := sqlitedb.SidecarOf(path)
			if path == m.target || strings.HasPrefix(path, m.target+"/") || m.database && ok && db == m.target {
				delete(w.new, path)
			}
		}
	}
	var members []swap.Member
	for i, m := range w.sc.members {
		target := filepath.Join(w.app(), m.target)
		sm := swap.Member{Source: m.target, Target: target, Database: m.database}
		if m.new != nil {
			parent := parents[0]
			if w.sc.other != "" && strings.HasPrefix(m.target, w.sc.other+"/") {
				parent = parents[1]
			}
			dir := filepath.Join(s.Work(parent), "new", fmt.Sprint(i))
			must(w.t, os.MkdirAll(dir, 0o700))
			sm.Staged = filepath.Join(dir, "staged")
			w.make(dir, "staged", m.new, "new "+m.target+" ")
			for rel, th := range w.tree(dir) {
				w.new[m.target+strings.TrimPrefix(rel, "staged")] = th
			}
		}
		members = append(members, sm)
	}
	w.note()
	return members
}

// killed is what a step panics with in place of a kill.
type killed struct{}

// run calls f with a hook that is killed at step n, counting from 0, and reports whether it was.
func (w *world) run(n int, f func(fn step)) (dead bool) {
	i := 0
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	f(func(string) error {
		if i++; i > n {
			panic(killed{})
		}
		return nil
	})
	return false
}

func never(string) error { return nil }

// commit runs a whole swap.
func (w *world) commit(fn step) error {
	return w.swapCommit(w.begin(fn))
}

func (w *world) swapCommit(members []swap.Member) error { return w.swap.Commit(members) }

// reopen reads the journal, as another process does, and returns nil if there is none.
func (w *world) reopen(fn step) *swap.Swap {
	w.t.Helper()
	swaps, err := swap.List(w.journals())
	must(w.t, err)
	if len(swaps) == 0 {
		return nil
	}
	if len(swaps) > 1 {
		w.t.Fatalf("there are %d swaps", len(swaps))
	}
	swaps[0].SetStep(w.hook(fn))
	return swaps[0]
}

// is fails the test unless what is in use is wholly the one state, and nothing was lost.
func (w *world) is(what string, want tree) {
	w.t.Helper()
	got := w.tree(w.app())
	for path, th := range got {
		if want[path] != th {
			w.t.Errorf("%s: %s is %+v, want %+v", what, path, th, want[path])
		}
	}
	for path := range want {
		if _, ok := got[path]; !ok {
			w.t.Errorf("%s: %s is missing", what, path)
		}
	}
	w.kept(what)
}

func (w *world) kept(what string) {
	w.t.Helper()
	all := w.all()
	for id, content := range w.files {
		if got, ok := all[id]; !ok || got != content {
			w.t.Errorf("%s: %q is lost", what, content)
		}
	}
	entries, err := os.ReadDir(w.journals())
	must(w.t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "swap-") {
			w.t.Errorf("%s: %s is left beside the journals", what, e.Name())
		}
	}
}

// clean fails the test if a work directory or a journal is left.
func (w *world) clean(what string) {
	w.t.Helper()
	must(w.t, filepath.WalkDir(w.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (strings.HasPrefix(e.Name(), layout.SwapPrefix) || strings.HasSuffix(e.Name(), ".json")) {
			w.t.Errorf("%s: %s is left", what, path)
		}
		return err
	}))
}

// guarded reports whether a database can be neither opened nor made.
func (w *world) guarded(rel string) bool {
	w.t.Helper()
	path := filepath.Join(w.app(), rel)
	text, err := os.Readlink(path)
	if err != nil || !strings.HasPrefix(text, layout.SwapPrefix) {
		return false
	}
	if f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); !errors.Is(err, fs.ErrNotExist) {
		w.t.Errorf("%s: a database was made through the guard: %v", rel, err)
		f.Close()
	}
	return true
}

// mixed fails the test when a database lies beside what is not its own, or without what is.
func (w *world) mixed(what string) {
	w.t.Helper()
	now := w.tree(w.app())
	for _, m := range w.sc.members {
		main, ok := now[m.target]
		if !ok || w.guarded(m.target) {
			continue
		}
		var state tree
		for _, st := range []tree{w.old, w.new} {
			if st[m.target].id == main.id {
				state = st
			}
		}
		if state == nil {
			w.t.Errorf("%s: %s is a stranger", what, m.target)
			continue
		}
		for _, tr := range []tree{now, state} {
			for path := range tr {
				if db, ok := sqlitedb.SidecarOf(path); ok && db == m.target && now[path] != state[path] {
					w.t.Errorf("%s: %s has %+v as %s, its own is %+v", what, m.target, now[path], path, state[path])
				}
			}
		}
	}
}
