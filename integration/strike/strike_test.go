package strike_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lifeboat/integration/strike"
)

// Each verdict has its effect, on a program that moves a file.
func TestRun(t *testing.T) {
	if !strike.Supported {
		t.Skip("NOT CHECKED: system calls that fail; that is for Linux on amd64")
	}
	mv, err := exec.LookPath("mv")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		verdict strike.Verdict
		code    int
		killed  syscall.Signal
		moved   bool
		says    string
	}{
		"let be":           {strike.Verdict{}, 0, 0, true, ""},
		"fail before":      {strike.Verdict{Fail: syscall.EIO}, 1, 0, false, "Input/output error"},
		"fail after":       {strike.Verdict{Fail: syscall.EIO, After: true}, 1, 0, true, "No such file"}, // it looks why
		"kill before":      {strike.Verdict{Kill: true}, -1, syscall.SIGKILL, false, ""},
		"kill after":       {strike.Verdict{Kill: true, After: true}, -1, syscall.SIGKILL, true, ""},
		"signal":           {strike.Verdict{Signal: syscall.SIGTERM}, -1, syscall.SIGTERM, true, ""},
		"signal that ends": {strike.Verdict{Signal: syscall.SIGKILL}, -1, syscall.SIGKILL, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			if err := os.WriteFile(from, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			res, err := strike.Run(strike.Program{Path: mv, Args: []string{"from", "to"}, Env: []string{"LC_ALL=C"}, Dir: dir, Judge: func(call strike.Call) strike.Verdict {
				if !strings.HasPrefix(call.Name, "rename") {
					return strike.Verdict{}
				}
				if !call.Writes || len(call.Paths) != 2 || call.Paths[0] != from || call.Paths[1] != to {
					t.Errorf("the call is %s", call)
				}
				return c.verdict
			}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = os.Stat(to)
			if res.Code != c.code || res.Killed != c.killed || !strings.Contains(res.Stderr, c.says) || (err == nil) != c.moved {
				t.Errorf("%+v, moved %v; want code %d, killed by %d, moved %v", res, err == nil, c.code, c.killed, c.moved)
			}
		})
	}
}

const (
	threads = 8
	files   = 20
)

// beThreads makes files from several threads.
func beThreads(dir string) {
	var all sync.WaitGroup
	for i := range threads {
		all.Go(func() {
			runtime.LockOSThread()
			for j := range files {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d", i, j)), []byte("x"), 0o600); err != nil {
					fmt.Println(err)
				}
			}
		})
	}
	all.Wait()
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("STRIKE_TEST_THREADS"); dir != "" {
		beThreads(dir)
		return
	}
	os.Exit(m.Run())
}

// The calls of all threads are counted, one fails at one of them, and what the program prints arrives.
func TestRunManyThreads(t *testing.T) {
	if !strike.Supported {
		t.Skip("NOT CHECKED: system calls that fail; that is for Linux on amd64")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writes := 0
	res, err := strike.Run(strike.Program{Path: self, Env: append(os.Environ(), "STRIKE_TEST_THREADS="+dir), Dir: dir, Judge: func(c strike.Call) strike.Verdict {
		if c.Name != "write" || !strings.HasPrefix(c.Paths[0], dir) {
			return strike.Verdict{}
		}
		if writes++; writes == threads*files/2 {
			return strike.Verdict{Fail: syscall.ENOSPC}
		}
		return strike.Verdict{}
	}})
	if err != nil || res.Code != 0 || writes != threads*files || strings.Count(res.Stdout, "no space left on device") != 1 {
		t.Errorf("%+v, %v; %d writes", res, err, writes)
	}
}
