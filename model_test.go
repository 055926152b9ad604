package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/environ"
	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
)

// A season is a machine over some weeks: an application that changes, backups of all kinds, two remotes of which one is away at times, prunes, removals,
// pins, and a memory of the last backup that is lost, damaged, or old. Time passes by making everything in the stores older.
type season struct {
	*machine
	random  *rand.Rand
	now     time.Time
	names   []string             // places: the local store, then the remotes
	away    bool                 // the second remote
	took    map[manifest.ID]tree // what each snapshot is to bring back
	needs   map[manifest.ID][]publish.Need
	done    map[string]int // what happened, by kind
	aside   []byte         // an old base
	history []string       // of commands
	exits   map[int]int    // of backups, by exit code
	lists   map[string]map[manifest.ID]bool
}

// A tree is files, by their paths in a snapshot, and the sums of their contents.
type tree map[string]string

func (s *season) chance(n, of int) bool { return s.random.IntN(of) < n }

// command runs a command, which must end with one of the exit codes.
func (s *season) command(codes []int, args ...string) int {
	s.t.Helper()
	s.out.Reset()
	s.err.Reset()
	env := environ.Env{OS: "linux", Dir: s.dir, UID: 1, Now: func() time.Time { return s.now }, Getenv: func(name string) string {
		return map[string]string{"HOME": s.dir, "TMPDIR": s.path("tmp")}[name]
	}}
	code := run(context.Background(), append([]string{"lifeboat"}, args...), env, &s.out, &s.err)
	s.history = append(s.history, fmt.Sprintf("%d %s", code, strings.Join(args, " ")))
	if !slices.Contains(codes, code) {
		s.fatalf("exit code %d\n%s%s", code, &s.out, &s.err)
	}
	return code
}

func (s *season) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf(format+"\nafter\n%s", append(args, strings.Join(s.history, "\n"))...)
}

// change changes the application.
func (s *season) change() {
	for _, source := range []string{"a", "b"} {
		if s.chance(1, 3) {
			continue
		}
		for range 1 + s.random.IntN(3) {
			name := fmt.Sprintf("%s/%d", source, s.random.IntN(6))
			switch s.random.IntN(5) {
			case 0:
				os.RemoveAll(s.path(name))
			case 1:
				os.Rename(s.path(name), s.path(fmt.Sprintf("%s/%d", source, s.random.IntN(6)))) // which may have nothing to rename
			case 2:
				if data, err := os.ReadFile(s.path(name)); err == nil && len(data) > 0 {
					data[s.random.IntN(len(data))]++
					s.write(name, string(data))
				}
			default:
				data := make([]byte, s.random.IntN(300_000))
				for i := range data {
					data[i] = byte(s.random.Uint32())
				}
				s.write(name, string(data))
			}
		}
	}
}

// read returns what is in directories.
func (s *season) read(root string, sources ...string) tree {
	s.t.Helper()
	all := tree{}
	for _, source := range sources {
		err := filepath.WalkDir(filepath.Join(root, source), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			rel, _ := filepath.Rel(root, path)
			all[rel] = fmt.Sprintf("%d %x", len(data), sha256.Sum256(data))
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// backup takes a snapshot in one way or another.
func (s *season) backup() {
	args := []string{"backup", "--json"}
	sources, small := []string{"a", "b"}, false
	switch s.random.IntN(9) {
	case 0:
		args, sources = append(args, "--only", "a"), []string{"a"}
	case 1:
		args, sources = append(args, "--except", "a"), []string{"b"}
	case 2:
		args = append(args, "--full")
	case 3:
		args = append(args, "--rehash")
	case 4:
		args, sources = append(args, "--only", "b", "--full"), []string{"b"}
	case 5:
		args, small = append(args, "--spool-max", "8MiB"), true // there may be more waiting than that
	case 6:
		args = append(args, "--prune")
	}
	codes := []int{0}
	if s.away {
		codes = []int{10}
	}
	if small {
		codes = append(codes, 15)
	}
	want := s.read(s.dir, sources...)
	code := s.command(codes, args...)
	s.exits[code]++
	if code == 15 {
		return
	}
	var doc struct {
		ID    string
		State string
	}
	if err := json.Unmarshal(s.out.Bytes(), &doc); err != nil || doc.State != "complete" {
		s.fatalf("%s: %v\n%s", doc.State, err, &s.err)
	}
	id, err := manifest.ParseID(doc.ID)
	if err != nil {
		s.fatalf("%v", err)
	}
	s.took[id] = want
	s.check()
	for i, name := range s.names[1:] {
		if there := s.lists[name][id]; there == (i == 1 && s.away) {
			s.fatalf("exit code %d, and %s has it: %v\n%s", code, name, there, &s.err)
		}
	}
}

// forget does something to what is remembered of the last backup.
func (s *season) forget() {
	base := s.path("state/base")
	data, err := os.ReadFile(base)
	if err != nil {
		return
	}
	switch s.random.IntN(4) {
	case 0:
		err = os.Remove(base)
	case 1:
		data[s.random.IntN(len(data))] ^= 4
		err = os.WriteFile(base, data, 0o600)
	case 2:
		err = os.WriteFile(base, data[:s.random.IntN(len(data))], 0o600)
	case 3:
		if s.aside != nil {
			err = os.WriteFile(base, s.aside, 0o600)
		}
		s.aside = data
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// any returns the stamp of a snapshot that was taken, whether it is there or not.
func (s *season) any() string {
	var ids []manifest.ID
	for id := range s.took {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, manifest.ID.Compare)
	if len(ids) == 0 {
		return "latest"
	}
	return string(ids[s.random.IntN(len(ids))].Stamp)
}

// pass lets time pass.
func (s *season) pass(d time.Duration) {
	s.now = s.now.Add(d)
	for _, name := range append(s.names, "away") {
		err := filepath.WalkDir(s.path(name), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			at := info.ModTime().Add(-d)
			return os.Chtimes(path, at, at)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
	}
}

// open opens a place, if it is there.
func (s *season) open(name string) (layout.Store, bool) {
	dir, err := remote.NewDir(s.path(name), remote.DirOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = os.Stat(s.path(name))
	return layout.Store{Store: dir}, err == nil
}

// check holds every place to what holds at every moment: what is listed is whole.
func (s *season) check() {
	s.t.Helper()
	s.lists = map[string]map[manifest.ID]bool{}
	for _, name := range append(s.names, "away") {
		store, ok := s.open(name)
		if !ok {
			continue
		}
		entries, err := store.Snapshots(s.t.Context())
		if err != nil {
			s.fatalf("%v", err)
		}
		s.lists[name] = map[manifest.ID]bool{}
		there := map[manifest.Hash]int64{}
		for a, err := range store.ListArchives(s.t.Context()) {
			if err != nil {
				s.fatalf("%v", err)
			}
			there[a.SHA256] = a.Size
		}
		for _, e := range entries {
			s.lists[name][e.ID] = true
			for _, need := range s.needsOf(e.ID, store) {
				if size, ok := there[need.SHA256]; !ok || size != need.Size {
					s.fatalf("%s, which %s lists, needs archive %s of %d bytes; it has %d", e.ID.Stamp, name, need.SHA256, need.Size, size)
				}
			}
		}
	}
}

// needsOf returns the archives that a snapshot needs. It is read once: its name says that it is the same everywhere.
func (s *season) needsOf(id manifest.ID, store layout.Store) []publish.Need {
	s.t.Helper()
	if list, ok := s.needs[id]; ok {
		return list
	}
	for need, err := range publish.Needs(s.t.Context(), snaptest.Open(s.t, id, store)) {
		if err != nil {
			s.fatalf("%s: %v", id, err)
		}
		s.needs[id] = append(s.needs[id], need)
	}
	return s.needs[id]
}

// step is one thing that happens.
func (s *season) step() {
	what := "backup"
	switch n := s.random.IntN(20); {
	case n < 8:
		s.change()
		s.backup()
	case n < 9:
		what = "forget"
		s.forget()
	case n < 12:
		what = "pass"
		s.pass(time.Duration(1+s.random.IntN(60)) * time.Hour)
	case n < 14:
		what = "prune"
		s.command(s.codes(), "prune", []string{"--keep-last=2", "--keep-daily=3", "--keep-within=30h"}[s.random.IntN(3)])
	case n < 15:
		what = "undo"
		s.command(append(s.codes(), 1, 4, 13), "prune", "--undo")
	case n < 16:
		what = "remove"
		s.command(append(s.codes(), 8, 13), "remove", s.any())
	case n < 17:
		what = "pin"
		s.command(append(s.codes(), 13), []string{"pin", "unpin"}[s.random.IntN(2)], s.any())
	case n < 18:
		what = "push"
		s.command(append(s.codes(), 4), "push")
	case n < 19:
		what = "pull"
		s.command(append(s.codes(), 13), "pull", s.any())
	default:
		what = "away"
		from, to := "second", "away"
		if s.away {
			from, to = to, from
		}
		if err := os.Rename(s.path(from), s.path(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		} else if err == nil {
			s.away = !s.away
		}
	}
	s.done[what]++
	s.check()
}

// codes are the exit codes of a command that goes to every remote.
func (s *season) codes() []int {
	if s.away {
		return []int{0, 10, 14}
	}
	return []int{0}
}

// Over a season, whatever happens, what is listed anywhere is whole at every moment, and in the end each snapshot brings back what was there when it was
// taken.
func TestSeason(t *testing.T) {
	seeds, steps := []uint64{1}, 70
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		steps = 300
		for seed := range uint64(40) {
			seeds = append(seeds, 2+seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &season{machine: newMachine(t), random: rand.New(rand.NewPCG(seed, 7)), now: time.Now().Add(-400 * 24 * time.Hour), names: []string{"state", "first", "second"},
				took: map[manifest.ID]tree{}, needs: map[manifest.ID][]publish.Need{}, done: map[string]int{}, exits: map[int]int{}}
			s.write("tmp/.keep", "")
			s.write("lifeboat.yaml", fmt.Sprintf("app: app\nsources: [{name: a, path: a}, {name: b, path: b}]\n"+
				"remotes: [{name: first, url: %s, keep: {last: 3}}, {name: second, url: %s, keep: {daily: 2}}]\nlocal: {dir: %s, keep: %d}\n",
				s.path("first"), s.path("second"), s.path("state"), seed%3))
			s.write("a/keep", "of a")
			s.write("b/keep", "of b")
			s.change()
			s.backup()
			for range steps {
				s.step()
			}
			t.Logf("%v; backups ended with %v", s.done, s.exits)
			restored := 0
			for _, name := range s.names {
				store, ok := s.open(name)
				for id := range s.lists[name] {
					if !ok {
						continue
					}
					snaptest.Validate(t, id, store)
					want := s.took[id]
					if want == nil {
						s.fatalf("nobody took %s", id)
					}
					target := snaptest.Restore(t, id, restore.Options{}, store)
					sources := []string{}
					for _, source := range []string{"a", "b"} {
						if _, err := os.Stat(filepath.Join(target, source)); err == nil {
							sources = append(sources, source)
						}
					}
					got := s.read(target, sources...)
					for path := range want {
						if got[path] != want[path] {
							s.fatalf("%s of %s from %s is %q, want %q", path, id.Stamp, name, got[path], want[path])
						}
					}
					if len(got) != len(want) {
						s.fatalf("%s from %s has %d files, want %d", id.Stamp, name, len(got), len(want))
					}
					restored++
				}
			}
			if restored == 0 {
				t.Error("nothing was left to restore")
			}
			t.Logf("restored %d snapshots", restored)
		})
	}
}
