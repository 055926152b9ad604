package localstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/localstore"
)

// TestMain is the test binary's main, and, when these variables are set, that of the processes which
// the tests start.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("LIFEBOAT_TEST_HOLD"); {
	case os.Getenv("LIFEBOAT_TEST_OUTLIVE") != "":
		fmt.Println("started")
		io.Copy(io.Discard, os.Stdin)
	case dir != "":
		hold(dir)
	default:
		os.Exit(m.Run())
	}
}

// hold takes the lock, starts a process that outlives this one, says so, and waits to be killed.
func hold(dir string) {
	if _, err := localstore.Lock(context.Background(), dir, "holder", 0); err != nil {
		fmt.Println(err)
		return
	}
	heir := exec.Command(os.Args[0])
	heir.Env = append(os.Environ(), "LIFEBOAT_TEST_OUTLIVE=1")
	heir.Stdin, heir.Stdout = os.Stdin, os.Stdout // both end with the test
	if err := heir.Start(); err != nil {
		fmt.Println(err)
		return
	}
	io.Copy(io.Discard, os.Stdin)
}

// startHolder starts a process that has the lock of dir, and a child of its own that has to do with
// nothing.
func startHolder(t *testing.T, dir string) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIFEBOAT_TEST_HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Process.Wait()
		stdin.Close()
		io.Copy(io.Discard, stdout) // until the heir, which has the other end, is gone
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "started\n" {
		t.Fatalf("the holder said %q, %v", line, err)
	}
	return cmd.Process
}

func mustLock(t *testing.T, dir string, wait time.Duration) *localstore.Held {
	t.Helper()
	h, err := localstore.Lock(context.Background(), dir, "lifeboat test", wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Release() })
	return h
}

func wantLocked(t *testing.T, dir string, wait time.Duration, pid int, command string) {
	t.Helper()
	h, err := localstore.Lock(context.Background(), dir, "", wait)
	var locked *localstore.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("Lock = %v, %v; want a LockedError", h, err)
	}
	if locked.PID != pid || locked.Command != command || locked.Dir != dir {
		t.Errorf("Lock = %+v, want process %d and command %q", locked, pid, command)
	}
	for _, want := range []string{dir, strconv.Itoa(pid), command} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message %q lacks %q", err, want)
		}
	}
}

func TestLockExcludes(t *testing.T) {
	dir := t.TempDir()
	first := mustLock(t, dir, 0)
	wantLocked(t, dir, 0, os.Getpid(), "lifeboat test")
	wantLocked(t, dir, 3*time.Millisecond, os.Getpid(), "lifeboat test")
	for range 2 {
		if err := first.Release(); err != nil {
			t.Fatal(err)
		}
	}
	second := mustLock(t, dir, 0)
	if err := first.Release(); err != nil { // is not the second's
		t.Fatal(err)
	}
	wantLocked(t, dir, 0, os.Getpid(), "lifeboat test")
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		t.Errorf("the lock file must stay: %v", err)
	}
}

func TestLockDiesWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		p := startHolder(t, dir)
		wantLocked(t, dir, 0, p.Pid, "holder")
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		if err := mustLock(t, dir, 0).Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockWaits(t *testing.T) {
	dir := t.TempDir()
	p := startHolder(t, dir)
	got := make(chan error, 1)
	go func() {
		h, err := localstore.Lock(context.Background(), dir, "waiter", time.Hour)
		if err == nil {
			err = h.Release()
		}
		got <- err
	}()
	wantLocked(t, dir, 0, p.Pid, "holder")
	p.Kill()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestLockCanceled(t *testing.T) {
	dir := t.TempDir()
	held := mustLock(t, dir, 0)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	go func() {
		_, err := localstore.Lock(ctx, dir, "", time.Hour)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v, want context.Canceled", err)
	}
	// This context ends while Lock waits.
	brief, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer stop()
	if _, err := localstore.Lock(brief, dir, "", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock = %v, want context.DeadlineExceeded", err)
	}
	held.Release()
	if _, err := localstore.Lock(ctx, dir, "", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock with a canceled context = %v", err)
	}
	mustLock(t, dir, 0)
}

// Each round reads a number and writes the next one; without the lock, rounds are lost.
func TestLockUnderContention(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "number")
	if err := os.WriteFile(path, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	const workers, rounds = 4, 10
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				h, err := localstore.Lock(context.Background(), dir, "", time.Hour)
				if err != nil {
					t.Error(err)
					return
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
				}
				n, _ := strconv.Atoi(string(data))
				time.Sleep(time.Millisecond)
				if err := os.WriteFile(path, []byte(strconv.Itoa(n+1)), 0o600); err != nil {
					t.Error(err)
				}
				if err := h.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if data, err := os.ReadFile(path); string(data) != strconv.Itoa(workers*rounds) {
		t.Errorf("after %d rounds: %s, %v", workers*rounds, data, err)
	}
}

func TestLockWithoutStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := localstore.Lock(context.Background(), dir, "", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lock = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lock made the directory: %v", err)
	}
}

// The record in the lock file is written by others and may be anything.
func TestLockOfAStranger(t *testing.T) {
	for record, want := range map[string]struct {
		pid     int
		command string
	}{
		"":                                  {},
		"\x00":                              {},
		"\x00{\"pid\":12":                   {},
		"\x00{\"pid\":-1,\"command\":\"\"}": {},
		"\x00" + `{"pid":12,"command":"a\u001b[31m\nb"}     `: {12, "a?[31m?b"},
		strings.Repeat("x", 10000):                            {},
	} {
		dir := t.TempDir()
		mustLock(t, dir, 0)
		f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if len(record) > 1 {
			if _, err := f.WriteAt([]byte(record[1:]), 1); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		_, err = localstore.Lock(context.Background(), dir, "", 0)
		var locked *localstore.LockedError
		if !errors.As(err, &locked) || locked.PID != want.pid || locked.Command != want.command {
			t.Errorf("Lock with the record %q = %+v, want %+v", record, err, want)
		}
	}
}

func TestLongCommand(t *testing.T) {
	dir := t.TempDir()
	command := strings.Repeat("\x01é", 1000)
	h, err := localstore.Lock(context.Background(), dir, command, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	_, err = localstore.Lock(context.Background(), dir, "", 0)
	var locked *localstore.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || !strings.HasPrefix(locked.Command, "?é?é") {
		t.Errorf("Lock = %+v", err)
	}
}
