package formats_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/recovery"
	"lifeboat/recovery/recoverytest"
)

const fixtures = "../fixtures/format1"

// goldens are the golden stores. The exit codes are those of commands that do all they can: 3, something is not in a snapshot; 4, a
// database in it is corrupt, as it was.
var goldens = []struct {
	name     string
	validate int
	restore  map[string]int // by the beginning of the stamp
	recover  map[string]int
}{
	{name: "full"},
	{name: "incremental"},
	{name: "maps"},
	{name: "removed"},
	{name: "marked", validate: 4, restore: map[string]int{"20261130T125155Z": 4}, recover: map[string]int{"20261130T125155Z": 3}},
	{name: "odd"},
	{name: "kinds"},
	{name: "growing"},
	{name: "drilled"},
}

// The golden stores are never written again. Whoever changes one breaks the promise that format 1 is frozen.
func TestGoldenStoresAreUntouched(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(fixtures, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		want[strings.TrimPrefix(name, "./")] = sum
	}
	got := digests(t, fixtures)
	delete(got, "SHA256SUMS")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("golden stores are not what they were (-SHA256SUMS +there). They are never changed or made again; see ../fixtures/README.md:\n%s", diff)
	}
	var stores []string
	for _, g := range goldens {
		stores = append(stores, g.name)
	}
	there, err := filepath.Glob(filepath.Join(fixtures, "*", "store"))
	if err != nil {
		t.Fatal(err)
	}
	for i, dir := range there {
		there[i] = filepath.Base(filepath.Dir(dir))
	}
	if slices.Sort(stores); !slices.Equal(stores, there) {
		t.Errorf("golden stores %q are there, and %q are tested", there, stores)
	}
}

// digests returns the SHA-256 of every file below a directory, and of where every symbolic link leads.
func digests(t testing.TB, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var data []byte
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			data = []byte("-> " + target)
		} else if data, err = os.ReadFile(path); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sum := sha256.Sum256(data)
		sums[filepath.ToSlash(name)] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// A golden store, copied to where it may be written to.
type golden struct {
	store    string
	expected map[string]recoverytest.Expected // by ID
	listed   []string                         // IDs
}

// copyGolden copies a golden store. What it holds is as old as it was when the store was kept: a snapshot was removed just now, and the rest is older
// than a prune has to wait for. Of the recovery kit, which one store has as it was, the others get today's.
func copyGolden(t testing.TB, m *machine, name string) golden {
	t.Helper()
	g := golden{store: m.path("store"), expected: map[string]recoverytest.Expected{}}
	if err := os.CopyFS(g.store, os.DirFS(filepath.Join(fixtures, name, "store"))); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(fixtures, name, "*.expected.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no expectations: %v", err)
	}
	for _, file := range files {
		e := recoverytest.ReadExpected(t, file)
		g.expected[e.ID] = e
	}
	if name != "full" {
		m.run(0, "recovery-kit", "--stores", "--store", "none", "--remote", g.store)
	}
	old := time.Now().Add(-60 * time.Hour)
	for key := range digests(t, g.store) {
		id, isRemoved := strings.CutPrefix(key, "removed/")
		if _, recoverable := g.expected[strings.TrimSuffix(id, ".json.zst")]; isRemoved && recoverable {
			continue
		}
		if err := os.Chtimes(filepath.Join(g.store, filepath.FromSlash(key)), old, old); err != nil {
			t.Fatal(err)
		}
		if name, ok := strings.CutPrefix(key, "manifests/"); ok {
			g.listed = append(g.listed, strings.TrimSuffix(name, ".json.zst"))
		}
	}
	slices.Sort(g.listed)
	return g
}

// Every command that reads reads every golden store, and gives what was captured; so do the recovery programs. None changes a byte.
func TestGoldenStores(t *testing.T) {
	recoverytest.Need(t)
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			g := copyGolden(t, m, c.name)
			before := digests(t, g.store)
			at := []string{"--store", "none", "--remote", g.store}
			if got := m.listed(g.store); !slices.Equal(got, g.listed) {
				t.Errorf("list has %q, want %q", got, g.listed)
			}
			m.run(c.validate, append(at, "validate", "--all", "--read-data")...)
			if pruned := m.prune(g.store); pruned != (amount{}) {
				t.Errorf("prune --dry-run would remove %+v", pruned)
			}
			for _, id := range g.listed {
				stamp := id[:16]
				m.run(0, append(at, "ls", id)...)
				var shown struct {
					ID   string `json:"id"`
					Head struct {
						Files struct{ Count int } `json:"files"`
					} `json:"head"`
				}
				m.decode(m.run(0, append(at, "show", id, "--json")...), &shown)
				if shown.ID != id || shown.Head.Files.Count != len(g.expected[id].Files) {
					t.Errorf("show %s: %+v", id, shown)
				}
				m.run(c.restore[stamp], append(at, "restore", id, "--target", m.path(stamp), "--privileged-metadata")...)
				mustMatch(t, "restore "+stamp, g.expected[id], m.path(stamp), true)
			}
			for id, e := range g.expected {
				for _, script := range recoverytest.Scripts() {
					dest := filepath.Join(recoverytest.TempDir(t), "dest")
					r := recoverytest.Run(t, script, g.store, id, dest, "LIFEBOAT_PRIVILEGED=1")
					if want := c.recover[id[:16]]; r.Code != want {
						t.Errorf("recover.%s %s: exit code %d, want %d\n%s", script, id, r.Code, want, r.Stderr)
					}
					mustMatch(t, "recover."+string(script)+" "+id[:16], e, dest, script == recoverytest.Python)
				}
			}
			if diff := cmp.Diff(before, digests(t, g.store)); diff != "" {
				t.Errorf("the store was changed by reading it:\n%s", diff)
			}
		})
	}
}

func (m *machine) decode(data []byte, into any) {
	m.t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		m.t.Fatalf("%v\n%s", err, data)
	}
}

// listed returns the IDs of the snapshots that list shows.
func (m *machine) listed(store string) (ids []string) {
	m.t.Helper()
	var list struct {
		Snapshots []struct{ ID string } `json:"snapshots"`
	}
	m.decode(m.run(0, "list", "--json", "--store", "none", "--remote", store), &list)
	for _, s := range list.Snapshots {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

// An amount is what a prune removes.
type amount struct {
	Go       int
	Archives int
	Bytes    int64
}

// prune returns what a prune that keeps every snapshot would remove.
func (m *machine) prune(store string) (a amount) {
	m.t.Helper()
	var out struct {
		Stores []struct {
			Snapshots     []struct{ Keep bool }
			FreedArchives int   `json:"freed_archives"`
			FreedBytes    int64 `json:"freed_bytes"`
		} `json:"stores"`
	}
	m.decode(m.run(0, "prune", "--keep-last", "99", "--dry-run", "--json", "--store", "none", "--remote", store), &out)
	if len(out.Stores) != 1 {
		m.t.Fatalf("prune speaks of %d stores", len(out.Stores))
	}
	s := out.Stores[0]
	for _, d := range s.Snapshots {
		if !d.Keep {
			a.Go++
		}
	}
	a.Archives, a.Bytes = s.FreedArchives, s.FreedBytes
	return a
}

// mustMatch fails unless a directory is exactly what was expected.
func mustMatch(t testing.TB, what string, e recoverytest.Expected, dir string, xattrs bool) {
	t.Helper()
	if xattrs && !recoverytest.SupportsXattrs(t.TempDir()) {
		t.Log("NOT CHECKED: extended attributes, which the file system of the temporary directory does not keep")
		xattrs = false
	}
	missing, wrong := e.Compare(dir, xattrs)
	for _, name := range missing {
		t.Errorf("%s: %q is missing", what, name)
	}
	for _, w := range wrong {
		t.Errorf("%s: %s", what, w)
	}
}

// The recovery kit that a golden store has is one that a store may have: today's, or one that was released.
func TestKitOfGoldenStoreIsKnown(t *testing.T) {
	for _, f := range recovery.Files() {
		data, err := os.ReadFile(filepath.Join(fixtures, "full", "store", f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); !bytes.Equal(data, f.Data) && !recovery.Released(f.Name, sum) {
			t.Errorf("%s was changed since stores of format 1 have it: its SHA-256 %x belongs to those in recovery.released", f.Name, sum)
		}
	}
}

// A new snapshot goes on where a golden store ends: it leans on its archives, and the store stays whole.
func TestGoldenStoresGoOn(t *testing.T) {
	recoverytest.Need(t)
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			g := copyGolden(t, m, c.name)
			last := g.listed[len(g.listed)-1]
			m.run(c.restore[last[:16]], "restore", last, "--store", "none", "--remote", g.store, "--target", m.path("app"), "--privileged-metadata")
			app, err := os.ReadDir(m.path("app"))
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"backup", "--app", "ledger", "--remote", g.store, "--takeover", "--json"}
			for _, source := range app {
				root := m.path("app/" + source.Name())
				if inside, err := os.ReadDir(root); err == nil && len(inside) == 1 && source.Name() != "data" {
					root = filepath.Join(root, inside[0].Name())
				}
				args = append(args, source.Name()+"="+root)
			}
			if _, err := os.Stat(m.path("app/data")); err == nil {
				if err := os.WriteFile(m.path("app/data/new.txt"), []byte("written by a later lifeboat\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var backup struct {
				ID    string
				Stats struct {
					Bytes    int64 `json:"bytes"`
					NewBytes int64 `json:"new_bytes"`
				}
			}
			m.decode(m.run(0, args...), &backup)
			if s := backup.Stats; s.NewBytes > s.Bytes/8+32<<10 {
				t.Errorf("of %d bytes, %d are new: it does not lean on what is there", s.Bytes, s.NewBytes)
			}
			m.run(0, "restore", backup.ID, "--store", "none", "--remote", g.store, "--target", m.path("again"), "--privileged-metadata")
			if diff := cmp.Diff(digests(t, m.path("app")), digests(t, m.path("again"))); diff != "" {
				t.Errorf("the new snapshot (-captured +restored):\n%s", diff)
			}
			m.run(c.validate, "validate", "--all", "--read-data", "--store", "none", "--remote", g.store)
			if got, want := m.listed(g.store), len(g.listed)+1; len(got) != want {
				t.Errorf("%d snapshots are listed, want %d", len(got), want)
			}
			before, after := digests(t, filepath.Join(fixtures, c.name, "store")), digests(t, g.store)
			maps.DeleteFunc(after, func(key, _ string) bool { return before[key] == "" })
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the store lost something:\n%s", diff)
			}
		})
	}
}
