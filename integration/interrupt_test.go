//go:build unix

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// A liveWorld is an application that is being written, a machine and a bucket.
type liveWorld struct {
	*machine
	proxy       *miniotest.Proxy
	app, remote string
	tmp         string
	writer      *application
}

func newLiveWorld(t *testing.T) *liveWorld {
	t.Helper()
	proxy := miniotest.Start(t).Proxy(t)
	w := &liveWorld{proxy: proxy, machine: newMachine(t, proxy.Server), app: filepath.Join(t.TempDir(), "app"), tmp: t.TempDir()}
	w.remote = "s3://" + proxy.Bucket(t) + "/app"
	w.env = append(w.env, "TMPDIR="+w.tmp)
	if err := sampleapp.Create(t.Context(), w.app, 9); err != nil {
		t.Fatal(err)
	}
	w.writer = startApplication(t, w.app, 9)
	return w
}

func (w *liveWorld) backup() *running {
	return w.start("backup", w.app, "--app", "app", "--remote", w.remote)
}

// sound fails the test unless all that is listed has all its archives, and the newest validates to the last byte.
func (w *liveWorld) sound() {
	w.t.Helper()
	for _, how := range []string{"--all", "--read-data"} {
		if out, errs, code := w.run("validate", how, "--app", "app", "--remote", w.remote); code != 0 && code != 10 {
			w.t.Errorf("validate %s: exit code %d\n%s%s", how, code, out, errs)
		}
	}
}

// recovers fails the test unless the next backup succeeds, comes back whole, and leaves nothing in the temporary directory.
func (w *liveWorld) recovers() {
	w.t.Helper()
	w.must(nil, "backup", w.app, "--app", "app", "--remote", w.remote)
	target := filepath.Join(w.t.TempDir(), "r")
	w.must(nil, "restore", "latest", "--app", "app", "--remote", w.remote, "--store", filepath.Join(w.home, "none"), "--target", target)
	if _, err := sampleapp.Verify(w.t.Context(), filepath.Join(target, "app")); err != nil {
		w.t.Error(err)
	}
	w.noLitter()
}

func (w *liveWorld) noLitter() {
	w.t.Helper()
	entries, _ := os.ReadDir(w.tmp)
	for _, e := range entries {
		w.t.Errorf("%s was left behind", e.Name())
	}
}

// atRequest sends a signal to a backup when it makes its request number n, which the server then sees or does not. It reports
// whether there was such a request.
func (w *liveWorld) atRequest(n int, sig syscall.Signal, seen bool) (r *running, came bool) {
	w.t.Helper()
	var process atomic.Pointer[os.Process]
	var hit atomic.Bool
	w.proxy.Reset()
	w.proxy.Inject(func(i int, _ *http.Request) miniotest.Action {
		if i != n {
			return miniotest.Action{}
		}
		hit.Store(true)
		for process.Load() == nil {
			time.Sleep(time.Millisecond)
		}
		process.Load().Signal(sig)
		if seen {
			return miniotest.Action{}
		}
		return miniotest.Action{Fail: miniotest.Before}
	})
	r = w.backup()
	process.Store(r.Process)
	r.Wait()
	w.proxy.Inject(nil)
	return r, hit.Load()
}

// A backup of a living application to a bucket is killed at its requests, and at any time.
func TestKilledBackupOfALiveApplication(t *testing.T) {
	w := newLiveWorld(t)
	few, times := 8, 4
	if testing.Short() {
		few, times = 2, 1
	}
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		few, times = 100, 50
	}
	w.must(nil, "backup", w.app, "--app", "app", "--remote", w.remote)
	requests := len(w.proxy.Requests())
	stride := max(1, requests/few)
	kills := 0
	for at := stride / 2; at < requests; at += stride {
		if _, came := w.atRequest(at, syscall.SIGKILL, kills%2 == 0); !came {
			break // later backups have less to do
		}
		w.sound()
		if kills++; kills%3 == 0 {
			w.recovers()
		}
	}
	late := 0
	for range times {
		after := rand.N(400 * time.Millisecond)
		r := w.backup()
		time.Sleep(after)
		r.Process.Kill()
		r.Wait()
		if r.ProcessState.ExitCode() == 0 {
			late++
		}
		w.sound()
	}
	w.recovers()
	w.writer.stop()
	t.Logf("killed at %d of %d requests, and %d times at a random moment, %d of them too late; misses 0 unless the test failed", kills, requests, times, late)
}

// A backup of a living application to a bucket is interrupted at its requests: it ends with exit code 130, leaves nothing, and says so.
func TestInterruptedBackupOfALiveApplication(t *testing.T) {
	w := newLiveWorld(t)
	w.must(nil, "backup", w.app, "--app", "app", "--remote", w.remote)
	interrupted, done := 0, 0
	for at := 1; ; at += 4 {
		r, came := w.atRequest(at, []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}[at%3], true)
		if !came {
			break
		}
		switch code := r.ProcessState.ExitCode(); {
		case code == 0:
			done++
		case code == 130 && strings.Contains(r.err.String(), "lifeboat: interrupted; nothing is left half-done"):
			interrupted++
		default:
			t.Errorf("at request %d: exit code %d\n%s", at, code, &r.err)
		}
		w.noLitter()
		w.sound()
	}
	w.recovers()
	w.writer.stop()
	t.Logf("interrupted %d times, done already %d times; misses 0 unless the test failed", interrupted, done)
}

// Ctrl-C ends a command that waits: for the lock of the local store, and for a server that is away.
func TestInterruptedWhileWaiting(t *testing.T) {
	w := newLiveWorld(t)
	held := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	w.proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			arrived <- struct{}{}
			<-held
		}
		return miniotest.Action{}
	})
	first := w.backup()
	<-arrived
	second := w.start("backup", w.app, "--app", "app", "--remote", w.remote, "--wait", "1h")
	second.until("it waits", func() bool { return strings.Contains(second.err.String(), "waiting up to") })
	second.Process.Signal(syscall.SIGINT)
	second.ends(130)
	close(held)
	first.ends(0)

	away := make(chan struct{}, 1000)
	w.proxy.Inject(func(int, *http.Request) miniotest.Action {
		away <- struct{}{}
		return miniotest.Action{Fail: miniotest.Before}
	})
	third := w.backup()
	for range 4 {
		<-away
	}
	third.Process.Signal(syscall.SIGINT)
	third.ends(130)
	w.proxy.Inject(nil)
	w.noLitter()
	w.recovers()
	w.writer.stop()
}

// The second Ctrl-C ends the process at once, whatever it waits for, and what it leaves goes with the next run.
func TestSecondInterrupt(t *testing.T) {
	w := newLiveWorld(t)
	w.must(nil, "backup", w.app, "--app", "app", "--remote", w.remote)
	// A fifo in the place of the terminal: the first Ctrl-C is told there, and nobody reads it.
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	errs, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	fill := make([]byte, 1<<20)
	errs.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := errs.Write(fill); err == nil {
		t.Fatal("the pipe takes everything")
	}
	cmd := w.command("validate", "--read-data", "--app", "app", "--remote", w.remote)
	cmd.Stderr = errs
	came := make(chan struct{}, 1000)
	w.proxy.Inject(func(int, *http.Request) miniotest.Action {
		came <- struct{}{}
		return miniotest.Action{Delay: time.Hour}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-came
	cmd.Process.Signal(syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-ended:
			if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGINT {
				t.Errorf("it ended with %s", fmt.Sprint(cmd.ProcessState))
			}
			w.proxy.Inject(nil)
			w.recovers()
			w.writer.stop()
			return
		case <-time.After(50 * time.Millisecond):
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
}
