//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/durable"
	"lifeboat/internal/environ"
	"lifeboat/internal/snaptest"
)

// A wire is a command's way to a real S3 server on which requests come to harm.
type wire struct {
	proxy  *miniotest.Proxy
	bucket string
	n      int // of worlds so far
	mu     sync.Mutex
}

// A wireWorld is a local store, an application and a place in the bucket, each new.
type wireWorld struct {
	*wire
	dir    string
	remote string
	tree   map[string]snaptest.Entry
	env    map[string]string
}

func (w *wire) world(t *testing.T) *wireWorld {
	t.Helper()
	w.mu.Lock()
	w.n++
	n := w.n
	w.mu.Unlock()
	x := &wireWorld{wire: w, dir: t.TempDir(), remote: fmt.Sprintf("s3://%s/%d", w.bucket, n)}
	for name, text := range map[string]string{"app/one": strings.Repeat("one ", 500), "app/sub/two": "two"} {
		path := filepath.Join(x.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(x.dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	x.tree = snaptest.Walk(t, filepath.Join(x.dir, "app"))
	x.env = map[string]string{"HOME": x.dir, "STATE_DIRECTORY": filepath.Join(x.dir, "store"), "TMPDIR": filepath.Join(x.dir, "tmp")}
	for _, v := range w.proxyEnv() {
		name, value, _ := strings.Cut(v, "=")
		x.env[name] = value
	}
	return x
}

// proxyEnv is what leads to the server; nothing where there is none.
func (w *wire) proxyEnv() []string {
	if w.proxy == nil {
		return nil
	}
	return w.proxy.Env()
}

// run runs a command in this process.
func (x *wireWorld) run(args ...string) (code int, stderr string) {
	var errs bytes.Buffer
	code = x.runTo(io.Discard, &errs, args...)
	return code, errs.String()
}

// output runs a command in this process for what it prints.
func (x *wireWorld) output(args ...string) (stdout string, code int) {
	var out bytes.Buffer
	code = x.runTo(&out, io.Discard, args...)
	return out.String(), code
}

func (x *wireWorld) runTo(out, errs io.Writer, args ...string) int {
	env := environ.Current()
	env.Dir, env.Getenv = x.dir, func(name string) string { return x.env[name] }
	return run(context.Background(), append([]string{"lifeboat"}, args...), env, out, errs)
}

func (x *wireWorld) must(t *testing.T, args ...string) {
	t.Helper()
	if code, errs := x.run(args...); code != 0 {
		t.Errorf("lifeboat %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
}

func (x *wireWorld) target() string { return filepath.Join(x.dir, "parent", "target") }

// onlyRemote are the flags under which the local store does not count.
func (x *wireWorld) onlyRemote(args ...string) []string {
	return append(args, "--app", "app", "--remote", x.remote, "--store", filepath.Join(x.dir, "none"))
}

// back fails the test unless the newest snapshot comes back whole from one place.
func (x *wireWorld) back(t *testing.T, args ...string) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "target")
	x.must(t, append([]string{"restore", "latest", "--target", target}, args...)...)
	if !t.Failed() {
		x.same(t, filepath.Join(target, "app"))
	}
}

func (x *wireWorld) same(t *testing.T, dir string) {
	t.Helper()
	if d := snaptest.Diff(x.tree, snaptest.Walk(t, dir), 0); d != "" {
		t.Errorf("what came back is not what was there: %s", d)
	}
}

// clean fails the test if something is left that no command works on any more.
func (x *wireWorld) clean(t *testing.T) {
	t.Helper()
	snaptest.NoLitter(t, x.dir)
	snaptest.Empty(t, filepath.Join(x.dir, "tmp"))
	beside, _ := os.ReadDir(filepath.Dir(x.target()))
	for _, e := range beside {
		if e.Name() != "target" {
			t.Errorf("%s was left beside the target", e.Name())
		}
	}
}

// A wireScene is a command, and what it must have brought about when it reports success.
type wireScene struct {
	name  string
	setup func(t *testing.T, x *wireWorld)
	args  func(x *wireWorld) []string
	done  func(t *testing.T, x *wireWorld)
	reads bool // it changes nothing in the bucket, so that one world does for many runs
}

func wireScenes() []wireScene {
	backup := func(x *wireWorld) []string { return []string{"backup", "app", "--app", "app", "--remote", x.remote} }
	create := func(*wireWorld) []string { return []string{"create", "app", "--app", "app"} }
	inRemote := func(t *testing.T, x *wireWorld) { x.back(t, x.onlyRemote()...) }
	elsewhere := func(t *testing.T, x *wireWorld) {
		x.must(t, backup(x)...)
		if err := os.RemoveAll(filepath.Join(x.dir, "store")); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*testing.T, *wireWorld) {}
	scenes := []wireScene{
		{"first backup", nothing, backup, inRemote, false},
		{"later backup", func(t *testing.T, x *wireWorld) { x.must(t, backup(x)...); x.must(t, create(x)...) }, backup, inRemote, false},
		{"push", func(t *testing.T, x *wireWorld) { x.must(t, create(x)...) }, func(x *wireWorld) []string {
			return []string{"push", "--app", "app", "--remote", x.remote}
		}, inRemote, false},
		{"pull", elsewhere, func(x *wireWorld) []string { return []string{"pull", "latest", "--app", "app", "--remote", x.remote} },
			func(t *testing.T, x *wireWorld) { x.back(t, "--app", "app") }, true},
		{"restore", elsewhere, func(x *wireWorld) []string { return x.onlyRemote("restore", "latest", "--target", x.target()) },
			func(t *testing.T, x *wireWorld) { x.same(t, filepath.Join(x.target(), "app")) }, true},
		{"validate", elsewhere, func(x *wireWorld) []string { return x.onlyRemote("validate", "--read-data") }, nothing, true},
		{"list", elsewhere, func(x *wireWorld) []string { return x.onlyRemote("list") }, nothing, true},
	}
	if every, _ := everyRequest(); every { // else push and pull, of which it is made, are enough
		scenes = append(scenes, wireScene{"copy", elsewhere, func(x *wireWorld) []string { return x.onlyRemote("copy", "--to", x.remote+"-copy") }, func(t *testing.T, x *wireWorld) {
			x.back(t, "--app", "app", "--remote", x.remote+"-copy", "--store", filepath.Join(x.dir, "none"))
		}, false})
	}
	return scenes
}

// wireFaults are the ways in which a request comes to harm.
type wireFault struct {
	name   string
	action miniotest.Action
	lasts  bool // and so do all later ones
}

var wireFaults = []wireFault{
	{"connection cut before", miniotest.Action{Fail: miniotest.Before}, false},
	{"answer lost", miniotest.Action{Fail: miniotest.After}, false},
	{"500 before", miniotest.Action{Fail: miniotest.Before, Status: 500, Code: "InternalError"}, false},
	{"500 after", miniotest.Action{Fail: miniotest.After, Status: 500, Code: "InternalError"}, false},
	{"503 SlowDown", miniotest.Action{Fail: miniotest.Before, Status: 503, Code: "SlowDown"}, false},
	{"answer cut in the middle", miniotest.Action{Cut: 60}, false},
	{"upload cut in the middle", miniotest.Action{CutPut: 60}, false},
	{"connections cut from there on", miniotest.Action{Fail: miniotest.Before}, true},
	{"answers lost from there on", miniotest.Action{Fail: miniotest.After}, true},
	{"503 from there on", miniotest.Action{Fail: miniotest.Before, Status: 503, Code: "SlowDown"}, true},
}

var panicked = regexp.MustCompile(`(?m)^(panic:|goroutine \d+|fatal error:)`)

// Whatever becomes of one request, the command repeats it and succeeds. When requests go on failing, it ends with exit code 14 and one
// clear message, and says success only if all is done; what is listed validates, nothing is left behind, and the next run succeeds.
func TestRequestsFail(t *testing.T) {
	server := miniotest.Start(t)
	// Flags take these from the environment of the process, for all worlds.
	t.Setenv("LIFEBOAT_RETRY_FOR", "400ms")
	t.Setenv("LIFEBOAT_PROGRESS", "none")
	y := &wireTally{rows: map[string]int{}}
	var all errgroup.Group
	all.SetLimit(8) // they wait more than they work
	for _, s := range wireScenes() {
		for _, f := range wireFaults {
			all.Go(func() error {
				t.Run(s.name+", "+f.name, func(t *testing.T) {
					proxy := server.Proxy(t)
					s.struck(t, &wire{proxy: proxy, bucket: proxy.Bucket(t)}, f, y)
				})
				return nil
			})
		}
	}
	all.Wait()
	t.Log(y)
}

// everyRequest says whether each request comes to harm, or about so many of those of one command.
func everyRequest() (every bool, few int) { return os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "", 1 }

// struck runs the command until no request of it comes to harm any more.
func (s wireScene) struck(t *testing.T, w *wire, f wireFault, y *wireTally) {
	every, few := everyRequest()
	stride := 1
	var x *wireWorld
	for at := 0; ; at += stride {
		if x == nil || !s.reads {
			x = w.world(t)
			s.setup(t, x)
		}
		w.proxy.Reset()
		var hit atomic.Bool
		w.proxy.Inject(func(n int, r *http.Request) miniotest.Action {
			if n == at || f.lasts && n >= at {
				hit.Store(true)
				return f.action
			}
			return miniotest.Action{}
		})
		code, errs := x.run(s.args(x)...)
		requests := len(w.proxy.Requests())
		w.proxy.Inject(nil)
		if hit.Load() {
			y.add(s.name, f, code)
		}
		x.after(t, s, code, errs, f.lasts)
		if t.Failed() {
			t.Fatalf("that was request %d of %d; exit code %d\n%s", at, requests, code, errs)
		}
		if !hit.Load() {
			return
		}
		if at == 0 && !every {
			stride = max(1, requests/few)
			at = stride / 2
		}
	}
}

// A wireTally counts what came of faults, for the log.
type wireTally struct {
	mu   sync.Mutex
	rows map[string]int
	all  int
}

func (y *wireTally) add(scene string, f wireFault, code int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.rows[fmt.Sprintf("%-14s %-32s exit code %d", scene, f.name, code)]++
	y.all++
}

func (y *wireTally) String() string {
	var lines []string
	for row, n := range y.rows {
		lines = append(lines, fmt.Sprintf("%-64s %4d", row, n))
	}
	slices.Sort(lines)
	every, _ := everyRequest()
	return fmt.Sprintf("%d faults, each request: %v; misses 0 unless the test failed\n%s", y.all, every, strings.Join(lines, "\n"))
}

// after looks at the world after a command that came to harm, and runs it again.
func (x *wireWorld) after(t *testing.T, s wireScene, code int, errs string, lasts bool) {
	t.Helper()
	x.clean(t)
	switch {
	case code == 0:
		s.done(t, x)
	case code != codeRemote || !lasts:
		t.Errorf("exit code %d", code)
	case strings.Count(errs, "lifeboat: ")+strings.Count(errs, "warning: ") == 0 || panicked.MatchString(errs):
		t.Error("no clear message")
	}
	if _, err := os.Stat(x.target()); code != 0 && err == nil {
		t.Error("the target is there")
	}
	if s.reads {
		if err := os.RemoveAll(filepath.Join(x.dir, "store")); err != nil {
			t.Error(err)
		}
	} else if code, errs := x.run("validate", "--all", "--read-data", "--app", "app", "--remote", x.remote); code != 0 && code != codeNoStore {
		t.Errorf("what is listed does not validate: exit code %d\n%s", code, errs)
	}
	for again := code != 0; ; again = false {
		if again {
			x.must(t, s.args(x)...)
			s.done(t, x)
			x.clean(t)
		}
		if err := durable.RemoveAll(x.target()); err != nil {
			t.Error(err)
		}
		if !again {
			return
		}
	}
}
