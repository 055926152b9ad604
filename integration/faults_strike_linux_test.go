package integration_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lifeboat/integration/strike"
)

// exhaustive makes the tests of faults go through every point there is, which takes many minutes.
const exhaustive = "LIFEBOAT_TEST_EXHAUSTIVE"

// points returns which of n points a test goes to: all, or about so many, evenly spread, the same in every run.
func points(t *testing.T, n, few int) []int {
	t.Helper()
	if testing.Short() {
		few = (few + 9) / 10
	}
	stride := max(1, n/few)
	if os.Getenv(exhaustive) != "" {
		stride = 1
	}
	first := stride / 2
	if stride > 1 {
		t.Logf("%d points of %d, each %d. from %d; %s=1 goes to every one", (n-first+stride-1)/stride, n, stride, first, exhaustive)
	}
	var list []int
	for at := first; at < n; at += stride {
		list = append(list, at)
	}
	return list
}

// A blow is what happens to a program at a call.
type blow struct {
	name    string
	verdict strike.Verdict
	lasts   bool // and at each later one that needs space
	few     int  // about how many points are enough
}

var blows = []blow{
	{"EIO before", strike.Verdict{Fail: syscall.EIO}, false, 2},
	{"EIO after", strike.Verdict{Fail: syscall.EIO, After: true}, false, 2},
	{"disk full from there on", strike.Verdict{Fail: syscall.ENOSPC}, true, 2},
	{"kill -9", strike.Verdict{Kill: true}, false, 12},
	{"Ctrl-C", strike.Verdict{Signal: syscall.SIGINT}, false, 3},
	{"SIGTERM", strike.Verdict{Signal: syscall.SIGTERM}, false, 1},
}

// inARow is how many times the program is killed before it may come to its end: what a kill leaves is there at the next.
func (b blow) inARow() int {
	if b.verdict.Kill && os.Getenv(exhaustive) == "" {
		return 3
	}
	return 1
}

// needsSpace are the calls that fail on a full disk.
var needsSpace = []string{"write", "pwrite64", "openat", "mkdirat", "linkat", "symlinkat", "fallocate", "copy_file_range", "sendfile"}

// goroutineTrace is how a panic looks.
var goroutineTrace = regexp.MustCompile(`(?m)^(panic:|goroutine \d+|fatal error:)`)

// tells reports whether output has a message for a person and nothing that is none.
func tells(output string) bool {
	return (strings.Contains(output, "lifeboat: ") || strings.Contains(output, "warning: ")) && !goroutineTrace.MatchString(output)
}

// struck runs the command of a scene and deals the blow at one of the calls by which it changes something in its world. It returns how
// many there were.
func (s scene) struck(w *world, b blow, at int) (e ending, calls int) {
	w.t.Helper()
	var where strike.Call
	res, err := strike.Run(strike.Program{Path: lifeboatBinary(w.t), Args: s.args(w), Env: w.env, Dir: w.root, Judge: func(c strike.Call) strike.Verdict {
		if !c.Writes || !slices.ContainsFunc(c.Paths, func(p string) bool { return strings.HasPrefix(p, w.root+"/") }) {
			return strike.Verdict{}
		}
		calls++
		switch {
		case calls-1 == at:
			where = c
		case !b.lasts || calls-1 < at || at < 0:
			return strike.Verdict{}
		}
		if b.lasts && !slices.Contains(needsSpace, c.Name) {
			return strike.Verdict{}
		}
		if b.verdict.Fail != 0 && cannotClean(c, b.verdict.After) {
			e.mayLitter = true
		}
		return b.verdict
	}})
	check(w.t, err)
	e.code, e.killed, e.output = res.Code, res.Killed != 0, res.Stdout+res.Stderr
	if w.t.Failed() {
		return e, calls
	}
	w.blow = fmt.Sprintf("%s at call %d, %s; exit code %d, output:\n%s", b.name, at, strings.ReplaceAll(where.String(), w.root, "…"), res.Code, e.output)
	return e, calls
}

// Whatever call fails, wherever the program is killed or interrupted: nothing is listed that does not validate, success is not reported
// for less, nothing is left that the next run does not remove, and the next run succeeds.
func TestStruck(t *testing.T) {
	if !strike.Supported {
		t.Skip("NOT CHECKED on this processor: system calls that fail, kills and signals at each of them")
	}
	source := newFaultSource(t)
	y := &tally{}
	t.Run("scenes", func(t *testing.T) {
		for _, s := range scenes() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, source)
				s.setup(w)
				w.save()
				_, calls := s.struck(w, blow{}, -1)
				s.done(w)
				for _, b := range blows {
					t.Run(b.name, func(t *testing.T) {
						w := *w
						w.t = t
						list := points(t, calls, b.few)
						for i, at := range list {
							if i%b.inARow() == 0 {
								w.reset()
							}
							e, _ := s.struck(&w, b, at)
							said(t, e)
							b.fits(&w, e)
							outcome := s.aftermath(&w, e)
							if (i+1)%b.inARow() == 0 || i == len(list)-1 {
								s.recovers(&w)
							}
							y.add(s.name+", "+b.name, outcome)
							if t.Failed() {
								t.Fatalf("that was with %s", w.blow)
							}
						}
					})
				}
			})
		}
	})
	t.Logf("misses: 0 unless the test failed\n%s", y)
}

// cannotClean reports whether a failure keeps the program from leaving nothing: what cannot be removed stays, and what is made though it is said
// not to be is not known.
func cannotClean(c strike.Call, after bool) bool {
	return strings.HasPrefix(c.Name, "unlink") || c.Name == "rmdir" || after && slices.Contains([]string{"openat", "mkdirat"}, c.Name)
}

// fits checks that the exit code is one that the blow may have.
func (b blow) fits(w *world, e ending) {
	w.t.Helper()
	var codes []int
	switch {
	case b.verdict.Kill:
		codes = []int{-1, 0} // what an earlier kill has left is done, so that there are fewer calls
	case b.verdict.Signal != 0:
		codes = []int{0, 130}
	case b.lasts:
		codes = []int{0, 15}
	default:
		codes = []int{0, 1, 14}
	}
	if !slices.Contains(codes, e.code) {
		w.t.Errorf("exit code %d, want one of %d", e.code, codes)
	}
	if e.code == 130 && !strings.Contains(e.output, "interrupted; nothing is left half-done") {
		w.t.Errorf("interrupted, and does not say so")
	}
}
