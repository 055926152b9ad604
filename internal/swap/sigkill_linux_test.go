package swap_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"lifeboat/internal/swap"
)

// The test binary runs itself as a process that commits a swap and is killed. These variables say so, and where.
const (
	victimRoot = "LIFEBOAT_SWAP_TEST_ROOT"
	victimStep = "LIFEBOAT_SWAP_TEST_STEP"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(victimRoot); root != "" {
		os.Exit(victim(root))
	}
	os.Exit(m.Run())
}

// victim commits what the test has staged, and kills itself at a step.
func victim(root string) int {
	n, err := strconv.Atoi(os.Getenv(victimStep))
	if err != nil {
		return 3
	}
	swaps, err := swap.List(filepath.Join(root, "journals"))
	if err != nil || len(swaps) != 1 {
		return 4
	}
	s := swaps[0]
	i := 0
	s.SetStep(func(string) error {
		if i++; i > n {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		}
		return nil
	})
	var members []swap.Member
	for i, m := range scenes[len(scenes)-1].members {
		parent := filepath.Join(root, "app")
		if i == 1 {
			parent = filepath.Join(parent, "other")
		}
		members = append(members, swap.Member{Target: filepath.Join(root, "app", m.target), Database: m.database,
			Staged: filepath.Join(s.Work(parent), "new", fmt.Sprint(i), "staged")})
	}
	if err := s.Commit(members); err != nil {
		fmt.Println(err)
		return 5
	}
	return 0
}

// The real thing: a process that is killed at every step of a commit.
func TestProcessIsKilled(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	dir := fastDir(t)
	kills := 0
	for n, more := 0, true; more; n++ {
		for _, undo := range []bool{false, true} {
			what := fmt.Sprintf("killed at %d, undo: %t", n, undo)
			w := newWorld(t, &scenes[len(scenes)-1], filepath.Join(dir, fmt.Sprint(n, undo)))
			w.begin(never)
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), victimRoot+"="+w.root, victimStep+"="+strconv.Itoa(n))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				kills++
			} else if more = false; err != nil {
				t.Fatalf("%s: %v\n%s", what, err, out)
			}
			w.mixed(what)
			w.finish(what, undo)
			removeAll(w.root)
		}
	}
	t.Logf("%d processes were killed", kills)
	if kills < 30 {
		t.Error("those are too few")
	}
}
