package sampleapp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/sampleapp"
)

// TestMain is the test binary's main, and, when the variable is set, that of a writer.
func TestMain(m *testing.M) {
	dir := os.Getenv("SAMPLEAPP_TEST_WRITE")
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends with the test
		stop()
	}()
	commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{}, func(commits int) {
		if commits%100 == 0 {
			fmt.Println(commits)
		}
	})
	fmt.Println("done", commits, err)
}

// writer is a process that runs Write.
type writer struct {
	*testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin io.Closer
}

func startWriter(t *testing.T, dir string) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAMPLEAPP_TEST_WRITE="+dir)
	cmd.Stderr = os.Stderr
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
		cmd.Wait()
	})
	return &writer{t, cmd, bufio.NewScanner(stdout), stdin}
}

// next waits until the writer committed another hundred, or is done, and returns what it says.
func (w *writer) next() string {
	w.Helper()
	if !w.lines.Scan() {
		w.Fatalf("the writer ended: %v", w.lines.Err())
	}
	return w.lines.Text()
}

// finish asks the writer to end and returns how many transactions it committed.
func (w *writer) finish() int64 {
	w.Helper()
	w.stdin.Close()
	for {
		line := w.next()
		if rest, ok := strings.CutPrefix(line, "done "); ok {
			var commits int64
			if n, err := fmt.Sscanf(rest, "%d <nil>", &commits); n != 1 || err != nil {
				w.Fatalf("the writer said %q", line)
			}
			return commits
		}
	}
}

func TestWrite(t *testing.T) {
	dir := create(t)
	before := verify(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	const want = 1203
	calls := 0
	commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{Pause: -1}, func(n int) {
		calls++
		if n != calls {
			t.Errorf("call %d said %d commits", calls, n)
		}
		if n == want {
			cancel()
		}
	})
	if err != nil || commits != want || calls != want {
		t.Fatalf("Write = %d, %v after %d calls; want %d", commits, err, calls, want)
	}
	after := verify(t, dir)
	if n := after.Transfers - before.Transfers; n != want {
		t.Errorf("%d transfers were added, want %d", n, want)
	}
	if n := after.Messages - before.Messages; n != (want+3)/4 {
		t.Errorf("%d messages were added, want %d", n, (want+3)/4)
	}
	if after.RegistryTransfers != before.Transfers+1000 {
		t.Errorf("the registry counts %d transfers, want %d", after.RegistryTransfers, before.Transfers+1000)
	}
	if n := len(digests(t, dir)); n != 8 {
		t.Errorf("Write left %d files, want 8", n)
	}
}

func TestWriteCanceledBefore(t *testing.T) {
	dir := create(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{}, nil); commits != 0 || err != nil {
		t.Errorf("Write = %d, %v; want nothing", commits, err)
	}
}

func TestWriteReportsErrors(t *testing.T) {
	empty := t.TempDir()
	if _, err := sampleapp.Write(t.Context(), empty, sampleapp.WriteOptions{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write without an application = %v, want fs.ErrNotExist", err)
	}
	if n := len(digests(t, empty)); n != 0 {
		t.Errorf("Write without an application made %d files", n)
	}

	dir := create(t)
	execute(t, dir, "app.db", "CREATE TRIGGER full AFTER INSERT ON messages WHEN NEW.id > 8010 BEGIN SELECT raise(ABORT, 'no more'); END")
	commits, err := sampleapp.Write(t.Context(), dir, sampleapp.WriteOptions{Pause: -1}, nil)
	if err == nil || !strings.Contains(err.Error(), "no more") || !strings.Contains(err.Error(), "after 40 commits") || commits != 40 {
		t.Errorf("Write = %d, %v; want 40 commits and the error", commits, err)
	}
	if r := verify(t, dir); r.Transfers != 2040 || r.Messages != 8010 {
		t.Errorf("the transaction that failed left something: %+v", r)
	}

	dir = create(t)
	if err := os.Remove(filepath.Join(dir, "registry.json")); err != nil {
		t.Fatal(err)
	}
	if commits, err := sampleapp.Write(t.Context(), dir, sampleapp.WriteOptions{Pause: -1}, nil); commits != 500 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write without a registry = %d, %v; want 500 and fs.ErrNotExist", commits, err)
	}
}

// Processes write at a time, one of them is killed, and at every look the application is whole: no
// writer gets an error, and what each counted is there.
func TestWritersAndKills(t *testing.T) {
	dir := create(t)
	before := verify(t, dir)
	first, second := startWriter(t, dir), startWriter(t, dir)
	counted := int64(0)
	for range 2 {
		victim := startWriter(t, dir)
		for range 2 {
			first.next()
			second.next()
			victim.next()
			counted += 100
			if r := verify(t, dir); r.RegistryTransfers > r.Transfers {
				t.Errorf("the registry counts %d transfers, the database %d", r.RegistryTransfers, r.Transfers)
			}
		}
		victim.cmd.Process.Kill()
		victim.cmd.Wait()
		verify(t, dir)
	}
	counted += first.finish() + second.finish()
	after := verify(t, dir)
	if n := after.Transfers - before.Transfers; n < counted {
		t.Errorf("%d transfers were added, and the writers counted at least %d", n, counted)
	}
	if _, err := os.Stat(filepath.Join(dir, "app.db-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the last writer left the log: %v", err)
	}
}
