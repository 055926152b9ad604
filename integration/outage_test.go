//go:build unix

package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
)

// writeSources makes n files of 300 kB that do not compress, and returns them as PATH arguments: each is a source, and so has an archive
// of its own.
func writeSources(t *testing.T, n int) (args []string) {
	t.Helper()
	dir := t.TempDir()
	r := rand.NewChaCha8([32]byte{7})
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("part%d", i))
		data := make([]byte, 300_000)
		r.Read(data)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	return args
}

// A running is a command that has been started.
type running struct {
	*exec.Cmd
	t        *testing.T
	out, err output
}

// An output can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (m *machine) start(args ...string) *running {
	m.t.Helper()
	r := &running{Cmd: m.command(args...), t: m.t}
	r.Stdout, r.Stderr = &r.out, &r.err
	if err := r.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { r.Process.Kill(); r.Wait() })
	return r
}

// ends waits for the end of the command and fails unless it has the exit code.
func (r *running) ends(code int) {
	r.t.Helper()
	r.Wait()
	if got := r.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("%s: exit code %d, want %d\n%s%s", r.Args[1:], got, code, &r.out, &r.err)
	}
}

// until waits for a condition, as long as the command runs.
func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	for !ok() {
		if r.Process.Signal(syscall.Signal(0)) != nil || isZombie(r.Process.Pid) {
			r.Wait()
			r.t.Fatalf("%s ended before %s\n%s%s", r.Args[1:], what, &r.out, &r.err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isZombie reports that a child has ended. Where there is no /proc, the time limit of the test has to tell.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

func isArchiveRequest(r *http.Request, method string) bool {
	return r.Method == method && strings.Contains(r.URL.Path, "/archives/")
}

// The server goes away in the middle of the work, and comes back. Nothing is lost, and the command succeeds.
func TestOutageInTheMiddle(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	remote := "s3://" + proxy.Bucket(t) + "/app"
	sources := writeSources(t, 4)
	m := newMachine(t, proxy.Server)
	outage := func(method string, lasts time.Duration, args ...string) *running {
		t.Helper()
		var n atomic.Int64
		gone, back := make(chan struct{}), make(chan error, 1)
		proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
			if isArchiveRequest(r, method) && n.Add(1) == 2 {
				close(gone)
				return miniotest.Action{Fail: miniotest.Before}
			}
			return miniotest.Action{}
		})
		go func() {
			<-gone
			proxy.Down()
			time.Sleep(lasts) // not timed: the command waits much longer than this
			back <- proxy.Up()
		}()
		r := m.start(append(args, "--remote", remote, "--app", "app")...)
		r.ends(0)
		proxy.Inject(nil)
		select {
		case <-gone:
			if err := <-back; err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s: there was no outage", args)
		}
		return r
	}
	r := outage(http.MethodPut, 4*time.Second, append([]string{"backup"}, sources...)...)
	for _, want := range []string{"does not answer: cannot connect to", "trying again for up to 14m5", "answers again, after"} {
		if !strings.Contains(r.err.String(), want) {
			t.Errorf("a backup through an outage does not say %q:\n%s", want, &r.err)
		}
	}
	m.must(nil, "validate", "--read-data", "--remote", remote, "--app", "app")
	target := filepath.Join(m.home, "restored")
	outage(http.MethodGet, 300*time.Millisecond, "restore", "latest", "--target", target, "--store", filepath.Join(m.home, "none"))
	for i, source := range sources {
		want, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("part%d", i)
		if got, err := os.ReadFile(filepath.Join(target, name, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is restored as %d bytes, %v", name, len(got), err)
		}
	}
	outage(http.MethodGet, 300*time.Millisecond, "pull", "latest", "--store", filepath.Join(m.home, "pulled"))
	m.must(nil, "validate", "--read-data", "--store", filepath.Join(m.home, "pulled"))

	other := "s3://" + proxy.Bucket(t) + "/app"
	remote = other
	outage(http.MethodPut, 300*time.Millisecond, "push")
	m.must(nil, "validate", "--read-data", "--remote", other, "--app", "app")
}

// A remote that is down when a backup begins holds up nothing: the snapshot is taken, and sent when the remote is back.
func TestRemoteDownAtStart(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	remote := "s3://" + proxy.Bucket(t) + "/app"
	sources := writeSources(t, 2)
	m := newMachine(t, proxy.Server)
	backup := append([]string{"backup", "--remote", remote, "--app", "app"}, sources...)
	m.must(nil, backup...)
	proxy.Down()

	manifests := filepath.Join(m.home, "lifeboat", "manifests")
	before, err := filepath.Glob(filepath.Join(manifests, "*"))
	if err != nil || len(before) != 1 {
		t.Fatalf("manifests %q, %v", before, err)
	}
	r := m.start(backup...)
	r.until("the snapshot was taken", func() bool {
		now, _ := filepath.Glob(filepath.Join(manifests, "*.json.zst"))
		return len(now) == 2
	})
	if err := proxy.Up(); err != nil {
		t.Fatal(err)
	}
	r.ends(0)
	if !strings.Contains(r.err.String(), "going on without") {
		t.Errorf("it does not say that it goes on without the remote:\n%s", &r.err)
	}
	var l struct{ Snapshots []struct{ Places []string } }
	m.must(&l, "list", "--remote", remote, "--app", "app")
	for _, s := range l.Snapshots {
		if s.Places[len(s.Places)-1] == "local" {
			t.Errorf("a snapshot is only at %q", s.Places)
		}
	}

	// One that does not come back is reported, and the next push sends what it lacks. One that nobody knows is reported too, without
	// waiting for a quarter of an hour.
	proxy.Down()
	if out, errs, code := m.run(append(backup, "--retry-for", "1s")...); code != 14 || !strings.Contains(errs, "lacks this snapshot") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	unknown := append([]string{"backup", "--remote", remote + "-typo", "--app", "app"}, sources...)
	if out, errs, code := m.run(unknown...); code != 14 || !strings.Contains(errs, "is the server running") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if err := proxy.Up(); err != nil {
		t.Fatal(err)
	}
	var p struct{ Pushed []struct{ Stamp string } }
	m.must(&p, "push", "--remote", remote, "--app", "app")
	if len(p.Pushed) != 2 {
		t.Errorf("pushed %v, want the two snapshots of the outage", p.Pushed)
	}
	m.must(nil, "validate", "--read-data", "--all", "--remote", remote, "--app", "app")

	// Ctrl-C ends the waiting.
	proxy.Down()
	r = m.start("push", "--remote", remote, "--app", "app")
	r.until("it waited", func() bool { return strings.Contains(r.err.String(), "trying again for up to") })
	r.Process.Signal(os.Interrupt)
	r.ends(130)
	if err := proxy.Up(); err != nil {
		t.Fatal(err)
	}
}

// Whatever cuts a push or a backup, and however often, no archive that the remote has is sent again.
func TestNothingIsSentTwice(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	client := proxy.Client(t)
	const parts = 6
	sources := writeSources(t, parts)
	for _, command := range []string{"push", "backup"} {
		t.Run(command, func(t *testing.T) {
			bucket := proxy.Bucket(t)
			m := newMachine(t, proxy.Server)
			args := []string{"push", "--app", "app", "--remote", "s3://" + bucket + "/app"}
			if command == "push" {
				m.must(nil, append([]string{"create", "--app", "app"}, sources...)...)
			} else {
				args[0] = "backup"
				args = append(args, sources...)
			}
			there := func() map[string]bool {
				keys := map[string]bool{}
				for o := range client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
					if o.Err != nil {
						t.Fatal(o.Err)
					}
					if strings.Contains(o.Key, "/archives/") {
						keys["/"+bucket+"/"+o.Key] = true
					}
				}
				return keys
			}
			check := func(had map[string]bool) {
				t.Helper()
				for _, r := range proxy.Requests() {
					if r.Method == http.MethodPut && had[r.Path] {
						t.Errorf("%s was there, and %d bytes of it were sent again", r.Path, r.Sent)
					}
				}
			}
			cuts := 0
			for cuts = 0; cuts < 2*parts; cuts++ {
				had := there()
				proxy.Inject(nil)
				proxy.Reset()
				var r *running
				var started sync.WaitGroup
				started.Add(1)
				var puts atomic.Int64
				// In turn, the archive that the cut meets has not arrived, or has, unbeknown to the sender.
				fail := []miniotest.Fail{miniotest.Before, miniotest.After}[cuts%2]
				cutAt := int64(1 + cuts%3)
				proxy.Inject(func(_ int, req *http.Request) miniotest.Action {
					if !isArchiveRequest(req, http.MethodPut) || puts.Add(1) < cutAt {
						return miniotest.Action{}
					}
					started.Wait()
					if fail == miniotest.Before {
						r.Process.Kill()
					} else {
						// The body arrives before the process dies.
						body, _ := io.ReadAll(req.Body)
						req.Body = io.NopCloser(bytes.NewReader(body))
						time.AfterFunc(0, func() { r.Process.Kill() })
					}
					return miniotest.Action{Fail: fail}
				})
				r = m.start(args...)
				started.Done()
				r.Wait()
				check(had)
				if r.ProcessState.ExitCode() == 0 {
					break // there was too little left to cut
				}
			}
			proxy.Inject(nil)
			proxy.Reset()
			had := there()
			m.must(nil, args...)
			check(had)
			m.must(nil, "validate", "--read-data", "--app", "app", "--remote", "s3://"+bucket+"/app")
			if n := len(there()); n < parts || cuts < 3 {
				t.Errorf("%d archives after %d cuts", n, cuts)
			}
			t.Logf("%s: %d cuts, %d archives", command, cuts, len(there()))
		})
	}
}

// A limited transfer moves the same bytes as one that is not.
func TestLimitedTransfer(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	sources := writeSources(t, 2)
	m := newMachine(t, proxy.Server)
	m.must(nil, append([]string{"create", "--app", "app"}, sources...)...)
	transfer := func(limits ...string) map[string]int64 {
		remote := []string{"--app", "app", "--remote", "s3://" + proxy.Bucket(t) + "/app"}
		proxy.Reset()
		m.must(nil, append(append([]string{"push"}, remote...), limits...)...)
		target := filepath.Join(t.TempDir(), "r")
		none := []string{"--store", filepath.Join(m.home, "none"), "--target", target}
		if len(limits) > 0 {
			none = append(none, "--limit-download", limits[1])
		}
		m.must(nil, append(append([]string{"restore", "latest"}, remote...), none...)...)
		moved := map[string]int64{}
		for _, r := range proxy.Requests() {
			if _, name, ok := strings.Cut(r.Path, "/archives/"); ok {
				moved[r.Method+" "+name] += r.Sent + r.Received
			}
		}
		return moved
	}
	fast, slow := transfer(), transfer("--limit-upload", "800K")
	if diff := cmp.Diff(fast, slow); diff != "" || len(fast) < 6 {
		t.Errorf("%d archives came and went; those that were limited differ:\n%s", len(fast), diff)
	}
}
