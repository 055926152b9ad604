package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lifeboat/integration/strike"
	"lifeboat/internal/layout"
)

// A restored is a world with an old state, over which the snapshot that it has is restored in place.
type restored struct {
	*world
	old    oldState
	stamp  string
	ledger *ledger // nil from when a program ran that it was not told of

	before, fresh string // what stateOf says of the old state and of the new one
	given, played string // what besideOf says of the old state as it was found, and when its log was played into it
	tally         *tally
}

// exchanging are the calls by which names change, and by which that is made durable.
var exchanging = []string{"rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "symlink", "symlinkat", "fsync", "fdatasync", "syncfs"}

// never is a step that no command comes to.
const never = 1 << 30

// struck runs a command that is killed right before its at-th step. It returns the steps that it came to.
func (x *restored) struck(at int, args ...string) (steps []string, res *strike.Result) {
	x.t.Helper()
	return x.struckWhen(func(n int, _ string) bool { return n == at }, args...)
}

// struckWhen runs a command that is killed right before the first step of which dies says so.
func (x *restored) struckWhen(dies func(n int, step string) bool, args ...string) (steps []string, res *strike.Result) {
	x.t.Helper()
	dead := false
	res, err := strike.Run(strike.Program{Path: lifeboatBinary(x.t), Args: args, Env: x.env, Dir: x.root, Judge: func(c strike.Call) strike.Verdict {
		ours := slices.ContainsFunc(c.Paths, func(p string) bool { return strings.HasPrefix(p, x.root+"/") })
		if !c.Writes || !ours {
			return strike.Verdict{}
		}
		if slices.Contains(exchanging, c.Name) {
			steps = append(steps, strings.ReplaceAll(c.String(), x.root, "…"))
			dead = dead || dies(len(steps)-1, steps[len(steps)-1])
		}
		if !dead && x.ledger != nil {
			x.ledger.next(c)
		}
		return strike.Verdict{Kill: dead}
	}})
	check(x.t, err)
	if x.ledger != nil {
		if res.Code == 0 {
			x.ledger.settled(theEnd)
		}
		for _, fault := range x.ledger.faults {
			x.t.Errorf("a power cut: %s", fault)
		}
		x.ledger.faults = nil
	}
	return steps, res
}

func (x *restored) reset() {
	x.t.Helper()
	x.world.reset()
	x.ledger = newLedger(x.root)
}

// changes returns those of the steps of a command before which the disk looks different from how it looked at the step before.
func changes(steps []string) (list []int) {
	for i := range steps {
		if i == 0 || !strings.HasPrefix(steps[i-1], "f") && !strings.HasPrefix(steps[i-1], "syncfs(") {
			list = append(list, i)
		}
	}
	return list
}

// A way is a command that leads out of a restore that was cut.
type way struct {
	name string
	args []string
}

var (
	restoreLatest = []string{"restore", "latest", "--app", "app", "--confirm-service-stopped"}
	resume        = way{"restore --resume", []string{"restore", "--resume", "--if-needed", "--app", "app"}}
	undo          = way{"undo", []string{"undo", "--app", "app", "--confirm-service-stopped", "--no-pre-snapshot"}}
	ways          = []way{resume, undo}
)

// A half is what is half done: nothing, a restore, or its undo.
type half string

const (
	halfNothing half = ""
	halfRestore half = "restore"
	halfUndo    half = "undo"
)

// halfOf returns what a command says is half done.
func (x *restored) halfOf(said string) half {
	x.t.Helper()
	const cut = "was cut in the middle"
	if !strings.Contains(said, cut) {
		return halfNothing
	}
	is := halfRestore
	begins := "a restore of " + x.stamp + ", begun "
	if strings.Contains(said, "an undo of the restore of ") {
		is, begins = halfUndo, "an undo of the restore of "+x.stamp+", begun "
	}
	for _, part := range []string{begins, cut + ": part of what is in place is old, and part is new",
		"with the service stopped, lifeboat restore --resume completes it, and lifeboat undo puts back what was there"} {
		if !strings.Contains(said, part) {
			x.t.Errorf("a command says that something is half done, but not %q:\n%s", part, said)
		}
	}
	return is
}

// look fails the test unless what is there is the old state, the new one, or what every command says is half done.
func (x *restored) look(turn int) (is half, state string) {
	x.t.Helper()
	state = stateOf(x.world)
	_, said := x.run("list", "--app", "app")
	is = x.halfOf(said)
	command := []string{"create", x.path("seed"), "--app", "app"}
	if is != halfNothing && turn%2 == 1 {
		command = restoreLatest
	}
	code, said := x.run(command...)
	if is == halfNothing && code != 0 {
		x.t.Errorf("a backup when nothing is half done: exit code %d\n%s", code, said)
	}
	if is != halfNothing && (code != 8 || x.halfOf(said) != is) {
		x.t.Errorf("%s when a %s is half done: exit code %d\n%s", command[0], is, code, said)
	}
	if is == halfNothing {
		x.ledger = nil
	}
	if is == halfNothing && state != x.before && state != x.fresh {
		x.tally.add(x.old.name, "MIX")
		x.t.Errorf("a mix, and nobody says so:\n%s", state)
	}
	if is == halfNothing && state == x.fresh {
		x.nothingBeside()
	}
	return is, state
}

// nothingBeside fails the test if there is anything beside the new database, as it would be of the old one.
func (x *restored) nothingBeside() {
	x.t.Helper()
	if found, _ := filepath.Glob(x.path("live", "app.db-*")); len(found) > 0 {
		x.t.Errorf("beside the new database lies %q", found)
	}
}

// leave takes a way out of what look has found, and fails the test unless it leads where it should and says so.
func (x *restored) leave(w way, is half, state string) (steps []string) {
	x.t.Helper()
	beside := besideOf(x.world)
	var got int
	var said string
	if x.ledger == nil {
		got, said = x.run(w.args...)
	} else {
		var res *strike.Result
		steps, res = x.struck(never, w.args...)
		got, said = res.Code, res.Stdout+res.Stderr
	}
	after := stateOf(x.world)
	want, code, says := x.before, 0, ""
	outcome := "old before, old after"
	switch {
	case is == halfRestore && w.name == resume.name:
		want, says, outcome = x.fresh, "completed the restore of "+x.stamp+"; lifeboat undo puts back what was there, until ", "half done, then new"
	case is == halfUndo && w.name == resume.name:
		says, outcome = "completed the undo of the restore of "+x.stamp+": what was there before is back", "half undone, then old"
	case is != halfNothing:
		says, outcome = "undone: what was there before "+x.stamp+" was restored is back", "half "+map[half]string{halfRestore: "done", halfUndo: "undone"}[is]+", then old"
	case state == x.fresh && w.name == resume.name:
		want, outcome = x.fresh, "new before, new after"
	case state == x.fresh:
		says, outcome = "undone: what was there before "+x.stamp+" was restored is back", "new, then old"
	case w.name == undo.name:
		code, says = 8, "there is nothing to undo: no restore in place is kept"
	}
	if got != code || !strings.Contains(said, says) || says == "" && said != "" {
		x.t.Errorf("%s: exit code %d, not %d with %q\n%s", w.name, got, code, says, said)
	}
	if after != want {
		x.t.Errorf("%s leads to\n%s\nnot to\n%s", w.name, after, want)
	}
	switch now := besideOf(x.world); {
	case want == x.fresh:
		x.nothingBeside()
	case is == halfNothing && state == x.before:
		if now != beside {
			x.t.Errorf("%s of nothing has changed\n%s\nto\n%s", w.name, beside, now)
		}
	case now != x.played:
		x.t.Errorf("after %s the old database and what lies beside it is\n%s\nnot\n%s", w.name, now, x.played)
	}
	if _, said := x.run("list", "--app", "app"); x.halfOf(said) != halfNothing {
		x.t.Errorf("it is still called half done:\n%s", said)
	}
	x.tally.add(x.old.name+", "+w.name, outcome)
	return steps
}

// A cut is a command that is killed, with all that comes before it.
type cut struct {
	name  string
	steps []string                         // of the whole command
	from  int                              // the first step that is about the exchange
	few   int                              // at how many of those from there on it is killed, unless at all
	make  func(at int)                     // makes the world in which it was killed right before a step
	found func(at int, is half, st string) // says whether what is there then may be so
}

// follow goes through the steps of a command, all, or some that all old states together spread over it: it is killed there, and either way
// out is taken; and that one is killed too, and taken up by one or the other.
func (x *restored) follow(number int, c cut, all bool) {
	for i, w := range ways {
		points := make([]int, 0, len(c.steps))
		if all {
			for at := range c.steps {
				points = append(points, at)
			}
		} else {
			stride := max(1, (len(c.steps)-c.from+c.few-1)/c.few)
			if c.from > 0 {
				points = append(points, (number*7+i*11)%c.from) // most likely before the intent
			}
			for at := c.from + (number*len(ways)+i)*stride/(len(oldStates())*len(ways)); at < len(c.steps); at += stride {
				points = append(points, at)
			}
		}
		looksNew := changes(c.steps)
		whole := 0 // steps of the way out, when it is not cut
		for turn, at := range points {
			here := fmt.Sprintf("kill -9 at step %d of %s, %s", at, c.name, c.steps[at])
			var steps []string
			cutAgain := func(k int, then way) {
				x.leg(fmt.Sprintf("%s; kill -9 at step %d of %s; %s", here, k, w.name, then.name), func() {
					_, res := x.struck(k, w.args...)
					x.tally.add(x.old.name+", "+w.name+" cut again", fmt.Sprintf("killed %t", res.Killed == syscall.SIGKILL))
					_, said := x.run("list", "--app", "app")
					is, state := x.halfOf(said), stateOf(x.world)
					if want := map[string]string{resume.name: x.fresh, undo.name: x.before}[w.name]; is == halfNothing && state != want && state != x.before {
						x.t.Errorf("%s has ended in\n%s", w.name, state)
					}
					if is == halfNothing && then.name == resume.name {
						x.ledger = nil // it does nothing; if a power cut brings an older journal back, it is half done once more
					}
					x.leave(then, is, state)
				})
			}
			var is half
			x.leg(here+"; "+w.name, func() {
				c.make(at)
				var state string
				is, state = x.look(turn)
				c.found(at, is, state)
				if is == halfNothing || all || whole == 0 {
					steps = x.leave(w, is, state)
				}
			})
			switch {
			case is == halfNothing:
			case all && slices.Contains(looksNew, at):
				for _, k := range changes(steps) {
					x.leg(here, func() { c.make(at) })
					cutAgain(k, ways[k%2])
				}
			case steps != nil:
				whole = len(steps)
			default:
				cutAgain((turn*(whole/3+1)+number*5+i)%whole, ways[(turn+number)%2])
			}
		}
	}
}

// leg does a part of a test, and ends the test there if it fails.
func (x *restored) leg(what string, do func()) {
	x.t.Helper()
	do()
	if x.t.Failed() {
		x.t.Fatalf("that was with %s", what)
	}
}

// A restore in place, killed at any step, leaves the old state, the new one, or one that every command calls half done, and that
// restore --resume makes the new one and undo the old one; so does an undo of a restore that is done. Never is there a mix that nobody tells of,
// and never could a power cut at that moment take what it must not.
func TestKilledInPlace(t *testing.T) {
	if !strike.Supported {
		t.Skip("NOT CHECKED on this processor: kills at each step of a restore in place")
	}
	all := os.Getenv(exhaustive) != ""
	if !all {
		t.Logf("NOT ALL: some steps of each; %s=1 kills at each", exhaustive)
	}
	var came tally
	t.Run("each", func(t *testing.T) {
		for number, old := range oldStates() {
			t.Run(old.name, func(t *testing.T) {
				t.Parallel()
				x := newRestored(t, old, &came)
				x.follow(number, x.cutRestore(), all)
				x.follow(number, x.cutUndo(), all)
			})
		}
	})
	t.Logf("\n%s", &came)
}

// newRestored makes a world with an old state, and what follow needs to know of it.
func newRestored(t *testing.T, old oldState, came *tally) *restored {
	t.Helper()
	x := &restored{world: newWorld(t, nil), old: old, tally: came}
	check(t, os.MkdirAll(x.path("live", "files", "deep"), 0o755))
	check(t, fill(x.path("live", "app.db"), "PRAGMA journal_mode=WAL").Close())
	for name, content := range map[string]string{"registry.json": `{"first": true}`, "files/a": "first", "files/deep/b": "the same"} {
		check(t, os.WriteFile(x.path("live", name), []byte(content), 0o644))
	}
	x.must("create", "db="+x.path("live", "app.db"), "registry="+x.path("live", "registry.json"), "files="+x.path("live", "files"), "--app", "app")
	stamps := x.manifests(x.path("store"))
	if len(stamps) != 1 {
		t.Fatalf("the snapshots are %q", stamps)
	}
	x.stamp, _, _ = strings.Cut(stamps[0], "-")
	x.fresh = stateOf(x.world)
	old.make(x.world)
	check(t, os.Mkdir(x.path("seed"), 0o755)) // there is something to back up, whatever became of the rest
	x.save()
	x.before, x.given = stateOf(x.world), besideOf(x.world)
	if x.before == x.fresh {
		t.Fatal("the old state is the new one")
	}
	return x
}

// whole runs a command to its end, which must lead to a state, and proves that the ledger has judged its moves.
func (x *restored) whole(want string, args ...string) (steps []string) {
	x.t.Helper()
	steps, res := x.struck(never, args...)
	if after := stateOf(x.world); res.Code != 0 || after != want {
		x.t.Fatalf("without a kill: exit code %d\n%s%s\n%s", res.Code, res.Stdout, res.Stderr, after)
	}
	// The old database, the directory and the other file, and for each of them the new one.
	comes, goes := 3, 3
	if x.before == "" && want == x.fresh {
		goes = 0
	} else if x.before == "" {
		comes = 0
	}
	if l := x.ledger; l.laid < comes || l.left < goes || l.journaled < 2 {
		x.t.Errorf("%d moves into place, %d out of it and %d journals were judged:\n%s", l.laid, l.left, l.journaled, strings.Join(steps, "\n"))
	}
	return steps
}

// cutRestore is a restore over the old state.
func (x *restored) cutRestore() cut {
	t := x.t
	t.Helper()
	x.reset()
	steps := x.whole(x.fresh, restoreLatest...)
	x.nothingBeside()
	first := slices.IndexFunc(steps, func(s string) bool { return strings.Contains(s, "…/store/restores/") })
	isMove := func(step string) bool {
		return strings.HasPrefix(step, "rename") && (strings.Contains(step, "(…/live/app.db,") || strings.HasSuffix(step, ", …/live/app.db)"))
	}
	moves := slices.IndexFunc(steps, isMove)
	if first < 0 || moves < first || len(steps)-first < 15 {
		t.Fatalf("only these steps were found:\n%s", strings.Join(steps, "\n"))
	}
	t.Logf("%d steps, of which %d after the first move:\n%s", len(steps), len(steps)-moves, strings.Join(steps[first:], "\n"))

	x.reset()
	x.struckWhen(func(_ int, step string) bool { return isMove(step) }, restoreLatest...)
	if x.before != "" { // else what is there is a guard
		x.played = besideOf(x.world)
		if state := stateOf(x.world); state != x.before {
			t.Fatalf("right before the first move there is\n%s\nnot\n%s", state, x.before)
		}
	}
	if x.old.kept && x.played != x.given {
		t.Fatalf("what lies beside the old database was touched:\n%s\nwas\n%s", x.played, x.given)
	}
	playing, playedBy := moves, 0
	for i, s := range steps[:moves] {
		if strings.Contains(s, "…/live/app.db") {
			playing, playedBy = min(playing, i), i+1
		}
	}
	return cut{"restore", steps, max(first, moves-2), 2, func(at int) {
		x.reset()
		x.struck(at, restoreLatest...)
	}, func(at int, is half, state string) {
		t.Helper()
		if is != halfNothing || state != x.before {
			return
		}
		now := besideOf(x.world)
		if at < playing && now != x.given || at >= playedBy && at >= playing && now != x.played {
			t.Errorf("the old database and what lies beside it is\n%s\nfound was\n%s\nmade of it was\n%s", now, x.given, x.played)
		}
		swaps, _ := filepath.Glob(x.path(layout.SwapPrefix + "*"))
		inLive, _ := filepath.Glob(x.path("live", layout.SwapPrefix+"*"))
		if swaps = append(swaps, inLive...); len(swaps) > 0 {
			t.Errorf("left behind by a restore that changed nothing, after the next command: %q", swaps)
		}
	}}
}

// cutUndo is an undo of a restore that is done.
func (x *restored) cutUndo() cut {
	x.t.Helper()
	done := func() {
		x.reset()
		x.must(restoreLatest...)
	}
	done()
	steps := x.whole(x.before, undo.args...)
	from := slices.IndexFunc(steps, func(s string) bool { return strings.Contains(s, "…/store/restores/") })
	if from < 0 || len(steps)-from < 10 {
		x.t.Fatalf("only these steps were found:\n%s", strings.Join(steps, "\n"))
	}
	x.t.Logf("%d steps of undo:\n%s", len(steps), strings.Join(steps[from:], "\n"))
	if now := besideOf(x.world); now != x.played {
		x.t.Errorf("the old database and what lies beside it is\n%s\nnot\n%s", now, x.played)
	}
	return cut{"undo", steps, from, 2, func(at int) {
		done()
		x.struck(at, undo.args...)
	}, func(at int, is half, state string) {
		x.t.Helper()
		if is == halfRestore {
			x.t.Error("a restore is called half done that was done when its undo began")
		}
		if now := besideOf(x.world); is == halfNothing && state == x.before && now != x.played {
			x.t.Errorf("the old database and what lies beside it is\n%s\nnot\n%s", now, x.played)
		}
	}}
}
