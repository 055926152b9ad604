package formats_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/recovery/recoverytest"
)

// A chain of 30 snapshots, each leaning on those before: the recovery programs rebuild the first, one in the middle and the last, from a copy of the
// store, and the last through a command that fetches one object at a time.
func TestChainIsRecoveredWithoutLifeboat(t *testing.T) {
	recoverytest.Need(t)
	const length = 30
	m := newMachine(t)
	a := newLivingApp(t, m.path("app"))
	captured := map[int]map[string]string{}
	var ids []string
	for i := range length {
		if i > 0 {
			a.live(i)
		}
		var backup struct{ ID string }
		m.decode(m.run(0, "backup", "data=app/data", "db=app/db/app.sqlite", "--app", "app", "--remote", m.path("store"), "--json"), &backup)
		ids = append(ids, backup.ID)
		if i == 0 || i == length/2 || i == length-1 {
			captured[i] = treeOf(t, a.dir)
		}
	}
	var shown struct {
		Head struct {
			Archives struct{ Count int }
			Stats    struct {
				Bytes    int64 `json:"bytes"`
				NewBytes int64 `json:"new_bytes"`
			}
		}
	}
	m.decode(m.run(0, "show", ids[length-1], "--json", "--store", "none", "--remote", m.path("store")), &shown)
	if h := shown.Head; h.Archives.Count < 8 || h.Stats.NewBytes > h.Stats.Bytes/2 {
		t.Fatalf("the last snapshot is no end of a chain: it is in %d archives, %d of its %d bytes are new", h.Archives.Count, h.Stats.NewBytes, h.Stats.Bytes)
	}
	const fetch = `LIFEBOAT_FETCH=f() { cat "$FETCH_STORE/$1"; }; f`
	for _, script := range recoverytest.Scripts() {
		for i, want := range captured {
			t.Run(fmt.Sprintf("%s/%d", script, i), func(t *testing.T) {
				t.Parallel()
				mustRebuild(t, want, script, m.path("store"), ids[i])
			})
		}
		t.Run(string(script)+"/fetch", func(t *testing.T) {
			t.Parallel()
			mustRebuild(t, captured[length-1], script, "", ids[length-1], fetch, "FETCH_STORE="+m.path("store"))
		})
	}
}

func mustRebuild(t *testing.T, want map[string]string, script recoverytest.Script, store, id string, env ...string) {
	t.Helper()
	dest := filepath.Join(recoverytest.TempDir(t), "dest")
	if r := recoverytest.Run(t, script, store, id, dest, env...); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if diff := cmp.Diff(want, treeOf(t, dest)); diff != "" {
		t.Errorf("recover.%s %s (-captured +recovered):\n%s", script, id, diff)
	}
}

// treeOf describes everything below a directory, but for the directories in it themselves: those are not in every source.
func treeOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree := digests(t, dir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		name, relErr := filepath.Rel(dir, path)
		if strings.Contains(name, string(filepath.Separator)) {
			tree[name] += fmt.Sprint(" ", info.Mode(), " ", info.ModTime().UnixNano())
		}
		if err == nil {
			err = relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// A livingApp is a database and a directory that change from step to step, always in the same way.
type livingApp struct {
	t   testing.TB
	dir string
	sql func(statement string)
}

func newLivingApp(t testing.TB, dir string) *livingApp {
	t.Helper()
	a := &livingApp{t: t, dir: dir}
	a.must(os.MkdirAll(a.path("db"), 0o755))
	a.sql = sampleDatabase(t, a.path("db/app.sqlite"))
	a.write("data/scattered.bin", strings.Repeat("what changes here and there\n", 60000))
	a.write("data/log.txt", strings.Repeat("a line\n", 30000))
	a.write("data/flips", "a file, every other time")
	a.must(os.Symlink("log.txt", a.path("data/link")))
	for i := range 40 {
		a.write(fmt.Sprintf("data/small/%02d", i), fmt.Sprintf("file %d of many\n", i))
		a.write(fmt.Sprintf("data/large/%02d", i), strings.Repeat(fmt.Sprintf("file %d that may move\n", i), 4000))
	}
	return a
}

func (a *livingApp) path(name string) string { return filepath.Join(a.dir, filepath.FromSlash(name)) }

func (a *livingApp) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *livingApp) write(name, text string) {
	a.t.Helper()
	a.must(os.MkdirAll(filepath.Dir(a.path(name)), 0o755))
	a.must(os.WriteFile(a.path(name), []byte(text), 0o644))
}

// change writes to a file that is there.
func (a *livingApp) change(name string, flag int, off int64, text string) {
	a.t.Helper()
	f, err := os.OpenFile(a.path(name), os.O_WRONLY|flag, 0)
	a.must(err)
	defer f.Close()
	if flag&os.O_APPEND != 0 {
		_, err = f.WriteString(text)
	} else {
		_, err = f.WriteAt([]byte(text), off)
	}
	a.must(err)
}

// live is step i of its life.
func (a *livingApp) live(i int) {
	a.t.Helper()
	a.sql(fmt.Sprintf("UPDATE entry SET note = 'step %d' WHERE n %% 200 = %d", i, i*7%200))
	a.change("data/scattered.bin", 0, int64(i*5%25)<<16+100, fmt.Sprintf("step %02d", i))
	a.change("data/log.txt", os.O_APPEND, 0, strings.Repeat(fmt.Sprintf("line of step %d\n", i), 100))
	if i%3 == 0 {
		a.must(os.MkdirAll(a.path("data/moved"), 0o755))
		a.must(os.Rename(a.path(fmt.Sprintf("data/large/%02d", i)), a.path(fmt.Sprintf("data/moved/%02d", i))))
	}
	if i%4 == 0 {
		a.must(os.Remove(a.path(fmt.Sprintf("data/small/%02d", i))))
		a.write(fmt.Sprintf("data/new/%02d", i), "new\n")
	}
	a.must(os.RemoveAll(a.path("data/flips")))
	if i%2 == 0 {
		a.write("data/flips", fmt.Sprintf("a file again, in step %d", i))
	} else {
		a.write("data/flips/inside", fmt.Sprintf("in a directory, in step %d", i))
	}
}
