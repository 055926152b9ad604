// Package integration_test runs the real program against a real S3 server, with real applications writing all the
// while.
package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// writerDir makes the test binary the sample application, working in the directory that it names.
const writerDir = "LIFEBOAT_INTEGRATION_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		os.Exit(beApplication(dir))
	}
	if path := os.Getenv(holderOf); path != "" {
		os.Exit(beHolder(path))
	}
	if os.Getenv(measure) != "" {
		os.Exit(beMeasure())
	}
	code := miniotest.Main{M: m}.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// beApplication writes until its input ends. It prints each hundredth commit, and at the end how many there were.
func beApplication(dir string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	seed, _ := strconv.ParseUint(os.Getenv(writerDir+"_SEED"), 10, 64)
	commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{Seed: seed, Pause: -1}, func(n int) {
		if n == 1 || n%100 == 0 {
			fmt.Println(n)
		}
	})
	fmt.Println(commits)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// An application is a process that writes to its state.
type application struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.Closer
	errs    bytes.Buffer
	commits atomic.Int64
	read    chan struct{} // closed when its output ended
	first   chan struct{} // closed after its first commit
}

func startApplication(t *testing.T, dir string, seed int) *application {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &application{t: t, cmd: exec.Command(self), read: make(chan struct{}), first: make(chan struct{})}
	a.cmd.Env = append(os.Environ(), writerDir+"="+dir, fmt.Sprintf("%s_SEED=%d", writerDir, seed))
	a.cmd.Stderr = &a.errs
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.in = in
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); a.cmd.Process.Kill(); a.cmd.Wait() })
	go func() {
		defer close(a.read)
		once := sync.OnceFunc(func() { close(a.first) })
		for lines := bufio.NewScanner(out); lines.Scan(); once() {
			n, _ := strconv.ParseInt(lines.Text(), 10, 64)
			a.commits.Store(n)
		}
		once()
	}()
	<-a.first
	return a
}

// stop ends the application and returns how many transactions it committed. An error that it got fails the test.
func (a *application) stop() int64 {
	a.t.Helper()
	a.in.Close()
	<-a.read
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the application got an error: %v: %s", err, a.errs.String())
	}
	return a.commits.Load()
}

// binary is the real program, built once.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func lifeboatBinary(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		binary.dir, binary.err = os.MkdirTemp("", "lifeboat-integration-*")
		if binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "lifeboat")
		if runtime.GOOS == "windows" {
			binary.path += ".exe"
		}
		out, err := exec.Command("go", "build", "-o", binary.path, "lifeboat").CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("build lifeboat: %w: %s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// A machine is where lifeboat runs: a home directory of its own, so a local store of its own, and credentials.
type machine struct {
	t    *testing.T
	home string
	env  []string
}

func newMachine(t *testing.T, server *miniotest.Server) *machine {
	t.Helper()
	home := t.TempDir()
	env := os.Environ()
	if server != nil {
		env = append(env, server.Env()...)
	}
	return &machine{t, home, append(env, "HOME="+home, "XDG_STATE_HOME="+filepath.Join(home, "state"), "STATE_DIRECTORY="+filepath.Join(home, "lifeboat"))}
}

// command returns a lifeboat command that is not started.
func (m *machine) command(args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(lifeboatBinary(m.t), args...)
	cmd.Env = m.env
	cmd.Dir = m.home
	return cmd
}

// run runs a command and returns what it printed and its exit code.
func (m *machine) run(args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	cmd := m.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed, and decodes its JSON into v unless that is nil.
func (m *machine) must(v any, args ...string) {
	m.t.Helper()
	if v != nil {
		args = append(args, "--json")
	}
	out, errs, code := m.run(args...)
	if code != 0 {
		m.t.Fatalf("lifeboat %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(out), v); err != nil {
			m.t.Fatalf("lifeboat %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
