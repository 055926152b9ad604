package integration_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lifeboat/integration/strike"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
)

// An oldState is what a restore in place finds.
type oldState struct {
	name string
	make func(w *world)
}

func oldStates() []oldState {
	mutate := func(w *world, pragma string) {
		db, err := sqlitedb.OpenApp(w.path("live", "app.db"))
		check(w.t, err)
		db.SetMaxOpenConns(1)
		for _, q := range []string{pragma, "UPDATE t SET a = 'mutated'", "INSERT INTO t VALUES ('since')"} {
			_, err := db.Exec(q)
			check(w.t, err)
		}
		check(w.t, os.WriteFile(w.path("live", "registry.json"), []byte(`{"mutated": true}`), 0o644))
		check(w.t, os.WriteFile(w.path("live", "files", "a"), []byte("mutated"), 0o644))
		crashed := w.path("crashed")
		check(w.t, os.Mkdir(crashed, 0o755))
		names, err := filepath.Glob(w.path("live", "app.db*"))
		check(w.t, err)
		for _, name := range names { // as they lie when the process dies here
			data, err := os.ReadFile(name)
			check(w.t, err)
			check(w.t, os.WriteFile(filepath.Join(crashed, filepath.Base(name)), data, 0o644))
		}
		check(w.t, db.Close())
		for _, name := range names {
			os.Remove(name)
			check(w.t, os.Rename(filepath.Join(crashed, filepath.Base(name)), name))
		}
		check(w.t, os.Remove(crashed))
	}
	return []oldState{
		{"nothing", func(w *world) { check(w.t, os.RemoveAll(w.path("live"))) }},
		{"at rest", func(w *world) { mutate(w, "PRAGMA journal_mode=DELETE") }},
		{"crashed, with a log", func(w *world) { mutate(w, "PRAGMA journal_mode=WAL") }},
		{"with a spent journal", func(w *world) { mutate(w, "PRAGMA journal_mode=PERSIST") }},
		{"corrupt", func(w *world) {
			mutate(w, "PRAGMA journal_mode=DELETE")
			check(w.t, os.WriteFile(w.path("live", "app.db"), []byte(strings.Repeat("no database ", 500)), 0o644))
			check(w.t, os.WriteFile(w.path("live", "app.db-wal"), []byte("no log"), 0o644))
		}},
	}
}

// stateOf says what is at the targets: the bytes of every file, and of a database what a program would read in it.
func stateOf(w *world) string {
	w.t.Helper()
	state := map[string]string{}
	filepath.WalkDir(w.path("live"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if strings.HasPrefix(e.Name(), layout.SwapPrefix) {
			return fs.SkipDir
		}
		rel, _ := filepath.Rel(w.root, path)
		switch {
		case e.IsDir():
			if rel != "live" { // whose being there says nothing
				state[rel] = "directory"
			}
		case strings.HasPrefix(e.Name(), "app.db-"):
		case e.Name() == "app.db":
			state[rel] = contentOf(w, path)
		default:
			data, err := os.ReadFile(path)
			state[rel] = fmt.Sprintf("%q %v", data, err)
		}
		return nil
	})
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(&b, "%s: %s\n", name, state[name])
	}
	return b.String()
}

// contentOf reads a copy of a database with all that lies beside it, as the next program would.
func contentOf(w *world, path string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	names, err := filepath.Glob(path + "*")
	check(w.t, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "unreadable: " + filepath.Base(name)
		}
		check(w.t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o644))
	}
	db, err := sqlitedb.OpenApp(filepath.Join(dir, "app.db"))
	if err != nil {
		data, err := os.ReadFile(path)
		return fmt.Sprintf("no database, %q %v", data[:min(len(data), 100)], err)
	}
	defer db.Close()
	var n, mutated int
	if err := db.QueryRow("SELECT count(*), coalesce(sum(a IN ('mutated', 'since')), 0) FROM t").Scan(&n, &mutated); err != nil {
		return "no database"
	}
	return fmt.Sprintf("%d rows, %d of them mutated", n, mutated)
}

// exchanging are the calls by which names change, and by which that is made durable.
var exchanging = []string{"rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "symlink", "symlinkat", "fsync", "fdatasync", "syncfs"}

// killedInPlace runs a command that is killed right before its at-th step, or not if that is negative. It returns the steps.
func killedInPlace(w *world, at int, args ...string) (steps []string, res *strike.Result) {
	w.t.Helper()
	res, err := strike.Run(strike.Program{Path: lifeboatBinary(w.t), Args: args, Env: w.env, Dir: w.root, Judge: func(c strike.Call) strike.Verdict {
		ours := slices.ContainsFunc(c.Paths, func(p string) bool { return strings.HasPrefix(p, w.root+"/") })
		if !c.Writes || !ours || !slices.Contains(exchanging, c.Name) {
			return strike.Verdict{}
		}
		steps = append(steps, strings.ReplaceAll(c.String(), w.root, "…"))
		return strike.Verdict{Kill: len(steps)-1 == at}
	}})
	check(w.t, err)
	return steps, res
}

const halfDone = "was cut in the middle"

// A restore in place, killed at any step, leaves the old state, the new one, or one that every command calls half done, and that
// restore --resume makes the new one and undo the old one. Never is there a mix that nobody tells of.
func TestKilledInPlace(t *testing.T) {
	if !strike.Supported {
		t.Skip("NOT CHECKED on this processor: kills at each step of a restore in place")
	}
	all := os.Getenv(exhaustive) != ""
	if !all {
		t.Logf("NOT ALL: some steps of each; %s=1 kills at each", exhaustive)
	}
	var mu sync.Mutex
	table := map[string]map[string]int{}
	count := func(row, outcome string) {
		mu.Lock()
		defer mu.Unlock()
		if table[row] == nil {
			table[row] = map[string]int{}
		}
		table[row][outcome]++
	}
	restore := []string{"restore", "latest", "--app", "app", "--confirm-service-stopped"}
	undo := []string{"undo", "--app", "app", "--confirm-service-stopped", "--no-pre-snapshot"}
	resume := []string{"restore", "--resume", "--if-needed", "--app", "app"}
	t.Run("each", func(t *testing.T) {
		for number, old := range oldStates() {
			t.Run(old.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				check(t, os.MkdirAll(w.path("live", "files", "deep"), 0o755))
				check(t, fill(w.path("live", "app.db"), "PRAGMA journal_mode=WAL").Close())
				for name, content := range map[string]string{"registry.json": `{"first": true}`, "files/a": "first", "files/deep/b": "the same"} {
					check(t, os.WriteFile(w.path("live", name), []byte(content), 0o644))
				}
				w.must("create", "db="+w.path("live", "app.db"), "registry="+w.path("live", "registry.json"), "files="+w.path("live", "files"), "--app", "app")
				fresh := stateOf(w)
				old.make(w)
				check(t, os.Mkdir(w.path("seed"), 0o755)) // there is something to back up, whatever became of the rest
				w.save()
				before := stateOf(w)
				if before == fresh {
					t.Fatal("the old state is the new one")
				}

				steps, res := killedInPlace(w, -1, restore...)
				if after := stateOf(w); res.Code != 0 || after != fresh {
					t.Fatalf("without a kill: exit code %d\n%s%s\n%s", res.Code, res.Stdout, res.Stderr, after)
				}
				first := slices.IndexFunc(steps, func(s string) bool { return strings.Contains(s, "…/store/restores/") })
				moves := slices.IndexFunc(steps, func(s string) bool { return strings.HasPrefix(s, "rename") && strings.Contains(s, "…/live/app.db)") })
				if moves < 0 {
					moves = slices.IndexFunc(steps, func(s string) bool { return strings.HasPrefix(s, "rename") && strings.Contains(s, "…/live/") })
				}
				if first < 0 || moves < 0 || len(steps)-first < 15 {
					t.Fatalf("only these steps were found:\n%s", strings.Join(steps, "\n"))
				}
				t.Logf("%d steps, of which %d after the first move:\n%s", len(steps), len(steps)-moves, strings.Join(steps[first:], "\n"))
				synced(t, steps, moves)

				for i, way := range []struct {
					name string
					args []string
					want string
				}{{"restore --resume", resume, fresh}, {"undo", undo, before}} {
					step := 1
					if !all {
						step = max(1, (len(steps)-moves)/4)
					}
					points := []int{first + number + i} // most likely before the intent
					for at := max(first, moves-2) + (number+i)%step; at < len(steps); at += step {
						points = append(points, at)
					}
					if all {
						points = points[:0]
						for at := range steps {
							points = append(points, at)
						}
					}
					for _, at := range points {
						w.reset()
						w.t = t
						_, res := killedInPlace(w, at, restore...)
						row := old.name + ", " + way.name
						state := stateOf(w)
						_, said := w.run("list", "--app", "app")
						half := strings.Contains(said, halfDone)
						code, refusal := w.run("create", w.path("seed"), "--app", "app")
						if !half && code != 0 {
							t.Errorf("a backup when nothing is half done: exit code %d\n%s", code, refusal)
						}
						if half && (code != 8 || !strings.Contains(refusal, halfDone)) {
							t.Errorf("a backup of a half-done state: exit code %d\n%s", code, refusal)
						}
						if !half && state != before && state != fresh {
							count(row, "MIXES")
							t.Errorf("a mix, and nobody says so:\n%s", state)
						}
						swaps, _ := filepath.Glob(w.path(layout.SwapPrefix + "*"))
						inLive, _ := filepath.Glob(w.path("live", layout.SwapPrefix+"*"))
						if swaps = append(swaps, inLive...); !half && state == before && len(swaps) > 0 {
							t.Errorf("left behind by a restore that changed nothing, after the next command: %q", swaps)
						}
						if half { // and the way out of it is cut too
							again, _ := killedInPlace(w, (at*7)%20, way.args...)
							count(row, fmt.Sprintf("cut again: %v", len(again) == (at*7)%20+1))
						}
						code, out := w.run(way.args...)
						after := stateOf(w)
						switch {
						case half:
							count(row, "half done, then whole")
							if code != 0 && !(way.name == "undo" && code == 8) || after != way.want { // which may have been done when it was cut
								t.Errorf("%s: exit code %d\n%s\n%s", way.name, code, out, after)
							}
						case state == before:
							count(row, "old")
							if after != before || way.name == "undo" && code != 8 {
								t.Errorf("%s on the old state: exit code %d\n%s\n%s", way.name, code, out, after)
							}
						default:
							count(row, "new")
							if code != 0 || after != way.want {
								t.Errorf("%s on the new state: exit code %d\n%s\n%s", way.name, code, out, after)
							}
						}
						if _, said := w.run("list", "--app", "app"); strings.Contains(said, halfDone) {
							t.Errorf("it is still called half done:\n%s", said)
						}
						if t.Failed() {
							t.Fatalf("that was with kill -9 (%v) at step %d, %s", res.Killed == syscall.SIGKILL, at, steps[min(at, len(steps)-1)])
						}
					}
				}
			})
		}
	})
	for _, row := range slices.Sorted(maps.Keys(table)) {
		t.Logf("%-40s %v, mixes: %d", row, table[row], table[row]["MIXES"])
	}
}

// synced proves from the order of the calls that nothing is moved into place before its data and the intent are durable.
func synced(t *testing.T, steps []string, moves int) {
	t.Helper()
	last := func(what string) int {
		for i := moves - 1; i >= 0; i-- {
			if strings.Contains(steps[i], what) {
				return i
			}
		}
		return -1
	}
	data, intent := last("syncfs"), last("…/store/restores")
	if data < 0 {
		data = last("fsync(…/" + "live")
	}
	if data < 0 {
		t.Errorf("what is staged was not made durable before the first move:\n%s", strings.Join(steps[:moves+1], "\n"))
	}
	if intent < 0 || !strings.HasPrefix(steps[intent], "fsync") {
		t.Errorf("the directory of the journal was not made durable before the first move:\n%s", strings.Join(steps[:moves+1], "\n"))
	}
}
