//go:build unix

package snapshot_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sampleapp"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// writerVariable names the directory of the application that this program is to be, instead of a test.
const writerVariable = "LIFEBOAT_TEST_WRITER"

func TestMain(m *testing.M) {
	for variable, run := range map[string]func(string) error{writerVariable: work, memoryVariable: useMemory, bankVariable: runBank} {
		if value := os.Getenv(variable); value != "" {
			if err := run(value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	runtime.GOMAXPROCS(min(snaptest.MostProcessors, runtime.NumCPU()))
	os.Exit(m.Run())
}

// work is the application, in a process of its own, until its input ends. It says each time that it has committed 50 more.
func work(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	_, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{}, func(n int) {
		if n%50 == 0 {
			fmt.Println(n)
		}
	})
	return err
}

// Captures of an application that another process writes to all the while: each is whole.
func TestLiveApplication(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	must(t, sampleapp.Create(t.Context(), dir, 1))
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), writerVariable+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	progress := bufio.NewScanner(stdout)
	working := func() {
		t.Helper()
		if !progress.Scan() {
			t.Fatalf("the application ended: %v\n%s", cmd.Wait(), &stderr)
		}
	}
	captures := 20
	if testing.Short() || underRace {
		captures = 4
		t.Logf("%d captures only", captures)
	}
	last := int64(0)
	for i := range captures {
		working()
		local := snaptest.Local(t)
		opts := snapshot.Options{Stamp: manifest.StampOf(snaptest.Stamp.Time().Add(time.Duration(i) * time.Second))}
		res := snaptest.Take(t, local, opts, snaptest.Directory("app", dir))
		working()
		if res.Head.State != manifest.Complete || res.Head.ProblemCount > 0 || res.Head.Consistency.Level == manifest.Fuzzy {
			t.Errorf("capture %d: state %s, %+v, problems %+v", i, res.Head.State, res.Head.Consistency, res.Head.Problems)
		}
		target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
		report, err := sampleapp.Verify(t.Context(), filepath.Join(target, "app"))
		if err != nil {
			t.Fatalf("capture %d: %v", i, err)
		}
		if report.Transfers <= last {
			t.Errorf("capture %d has %d transfers, the one before %d", i, report.Transfers, last)
		}
		last = report.Transfers
	}
	must(t, stdin.Close())
	for progress.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the application got an error: %v\n%s", err, &stderr)
	}
	if _, err := sampleapp.Verify(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// A capture of an application that is stopped leaves no trace: no byte, no time, no file.
func TestQuietApplication(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	must(t, sampleapp.Create(t.Context(), dir, 1))
	before := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("app", dir))
	same(t, before, snaptest.Walk(t, dir), 0)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	same(t, before, snaptest.Walk(t, filepath.Join(target, "app")), 0)
}
