//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/environ"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/remote"
)

// A week is a machine that is backed up each day to two remotes, by a clock of its own.
type week struct {
	*wireWorld
	t   *testing.T
	now time.Time
}

// newWeek begins eight days ago: a store takes no time that is ahead of its clock.
func newWeek(t *testing.T, proxy *miniotest.Proxy, bucket, config string) *week {
	w := &week{(&wire{proxy: proxy, bucket: bucket}).world(t), t, time.Now().Add(-8 * 24 * time.Hour).Truncate(time.Second)}
	w.write("lifeboat.yaml", fmt.Sprintf(config, bucket, bucket))
	return w
}

func (w *week) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command, which must end with an exit code, and decodes its document.
func (w *week) run(code int, doc any, args ...string) (stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	env := environ.Current()
	env.Dir, env.Getenv, env.Now = w.dir, func(name string) string { return w.env[name] }, func() time.Time { return w.now }
	if doc != nil {
		args = append(args, "--json")
	}
	if got := run(context.Background(), append([]string{"lifeboat"}, args...), env, &out, &errs); got != code {
		w.t.Fatalf("lifeboat %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	if doc != nil {
		if err := json.Unmarshal(out.Bytes(), doc); err != nil {
			w.t.Fatalf("lifeboat %s: %v", strings.Join(args, " "), err)
		}
	}
	return errs.String()
}

// day changes the application and backs it up.
func (w *week) day(n int, bytes int64, code int) (report backupReport) {
	w.t.Helper()
	w.now = w.now.Add(24 * time.Hour)
	snaptest.WriteFile(w.t, filepath.Join(w.dir, "app", "data"), bytes, snaptest.Random, uint64(n))
	w.run(code, &report, "backup", "--prune")
	return report
}

type listDoc struct {
	Snapshots []listing
	Remotes   []remoteState
}

func (w *week) list(code int, args ...string) (doc listDoc, stderr string) {
	w.t.Helper()
	stderr = w.run(code, &doc, append([]string{"list"}, args...)...)
	return doc, stderr
}

// at returns how many snapshots a place has.
func (l listDoc) at(place string) (n int) {
	for _, s := range l.Snapshots {
		for _, p := range s.Places {
			if p == place {
				n++
			}
		}
	}
	return n
}

// onceEach fails the test if an archive was stored more often than once.
func onceEach(t *testing.T, proxy *miniotest.Proxy, below string) (archives int) {
	t.Helper()
	sent := map[string]int{}
	for _, r := range proxy.Requests() {
		if r.Method == http.MethodPut && r.Status == http.StatusOK && strings.Contains(r.Path, below+"/archives/") {
			sent[r.Path]++
		}
	}
	for path, n := range sent {
		if n > 1 {
			t.Errorf("%s was sent %d times", path, n)
		}
	}
	return len(sent)
}

// These share a server.
func TestRemotes(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	t.Run("away for a week", func(t *testing.T) { awayForAWeek(t, proxy) })
	t.Run("requests of commands", func(t *testing.T) { requestsOfCommands(t, proxy) })
	t.Run("requests of a listing", func(t *testing.T) { listRequests(t, proxy) })
}

// A remote is away for a week of daily backups, while the other one is pruned. Nothing that it lacks goes meanwhile, and the first backup
// after that gives it all of it, each archive once.
func awayForAWeek(t *testing.T, proxy *miniotest.Proxy) {
	for name, test := range map[string]struct {
		local string
		bytes int64 // that change each day
		days  int   // that b is away
		here  int   // snapshots in the local store in the end
		prune bool
	}{
		"with room":          {"{keep: 1}", 300_000, 6, 7, true},
		"only at the others": {"{keep: 1, spool_max: 8MiB}", 9 << 20, 2, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := proxy.Bucket(t)
			w := newWeek(t, proxy, bucket, "app: app\nsources: [{path: app}]\nlocal: "+test.local+`
remotes:
  - {url: "s3://%s/a", name: a, keep: {daily: 3}}
  - {url: "s3://%s/b", name: b, keep: {daily: 30}}
`)
			if report := w.day(0, test.bytes, 0); len(report.Remotes) != 2 || report.Remotes[1].Behind != 0 || report.Remotes[1].Got != 1 {
				t.Errorf("the first backup: %+v", report.Remotes)
			}
			left := w.now
			proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
				if strings.HasPrefix(r.URL.Path, "/"+bucket+"/b/") || strings.HasPrefix(r.URL.Query().Get("prefix"), "b/") {
					return miniotest.Action{Fail: miniotest.Before, Status: http.StatusForbidden, Code: "AccessDenied"}
				}
				return miniotest.Action{}
			})
			t.Cleanup(func() { proxy.Inject(nil) })
			for n := 1; n <= test.days; n++ {
				report := w.day(n, test.bytes, codeRemote)
				b := report.Remotes[1]
				if b.Behind != n || b.Answered || b.Reached == nil || !b.Reached.Equal(left) || b.AwaySince == nil || !b.AwaySince.Equal(left.Add(24*time.Hour)) {
					t.Fatalf("day %d: %+v", n, b)
				}
				if test.prune {
					w.run(codeRemote, &struct{}{}, "prune")
				}
			}
			l, _ := w.list(codeRemote)
			if b := l.Remotes[1]; b.Behind != test.days || b.Answered || !b.Reached.Equal(left) {
				t.Errorf("list says %+v", b)
			}
			if a := l.Remotes[0]; a.Behind != 0 || !a.Answered || !a.Reached.Equal(w.now) || test.prune && a.Snapshots != 3 {
				t.Errorf("list says %+v", a)
			}
			if text := w.run(codeRemote, nil, "list"); !strings.Contains(text, fmt.Sprintf("b: %d snapshots behind, last reached %s ago; the next backup, or lifeboat push, sends them\n", test.days, age(int64(test.days)*24*3600))) {
				t.Errorf("list says %s", text)
			}
			if n := l.at("local"); n != test.here {
				t.Errorf("%d snapshots in the local store", n)
			}

			proxy.Inject(nil)
			if l, _ := w.list(0); l.Remotes[1].Behind != test.days || !l.Remotes[1].Answered || l.Remotes[1].Snapshots != 1 {
				t.Errorf("list says %+v", l.Remotes[1])
			}
			proxy.Reset()
			report := w.day(test.days+1, test.bytes, 0)
			if b := report.Remotes[1]; b.Behind != 0 || b.Got != test.days+1 || !b.Reached.Equal(w.now) || b.AwaySince != nil {
				t.Errorf("the backup says %+v", b)
			}
			if n := onceEach(t, proxy, "b"); n < 2*(test.days+1) { // data and tables of each day
				t.Errorf("%d archives were sent", n)
			}
			l, _ = w.list(0)
			if n := l.at("b"); n != test.days+2 {
				t.Errorf("b has %d snapshots", n)
			}
			if n := l.at("local"); n > 1 {
				t.Errorf("the local store has %d snapshots", n)
			}
			w.run(0, nil, "validate", "--all", "--read-data", "--store", "none", "--remote", "s3://"+bucket+"/b")
		})
	}
}

// A listing of a bucket is one request, and a small one for the marker and for each snapshot that was not read before, here or on the machine
// without a local store.
func listRequests(t *testing.T, proxy *miniotest.Proxy) {
	bucket := proxy.Bucket(t)
	w := newWeek(t, proxy, bucket, "app: app\nsources: [{path: app}]\nlocal: {keep: 1}\nremotes: [{url: \"s3://%s/a\", name: a}]\n#%s\n")
	const days = 4
	for n := range days {
		w.quiet(n)
	}
	w.run(0, nil, "pin", "latest")
	count := func(args ...string) (lists, gets, others int) {
		t.Helper()
		proxy.Reset()
		l, _ := w.list(0, args...)
		if len(l.Snapshots) < days || !l.Snapshots[days-1].Pinned || l.Remotes[0].Behind != 0 {
			t.Errorf("list %s: %+v", args, l)
		}
		for _, r := range proxy.Requests() {
			switch {
			case r.Method == http.MethodGet && r.Query.Get("list-type") == "2":
				lists++
				if after := r.Query.Get("start-after"); after != "a/archives0" {
					t.Errorf("a listing after %q: of archives, too?", after)
				}
			case r.Method == http.MethodGet && r.Received < 10_000:
				gets++
			default:
				others++
				t.Errorf("list %s asks for %s", args, r)
			}
		}
		return lists, gets, others
	}
	for _, test := range []struct {
		name string
		args []string
		want [3]int
	}{
		{"the first time", nil, [3]int{1, 1 + days - 1, 0}}, // the newest is here
		{"the second time", nil, [3]int{1, 0, 0}},
		{"without a local store", []string{"--store", "none"}, [3]int{1, 1 + days, 0}},
		{"without a local store, the second time", []string{"--store", "none"}, [3]int{1, 0, 0}},
		{"with --frees", []string{"--store", "none", "--frees"}, [3]int{1, 2 * days, 0}}, // each head, and its table of archives
		{"with --frees, the second time", []string{"--store", "none", "--frees"}, [3]int{1, 0, 0}},
	} {
		if lists, gets, others := count(test.args...); [3]int{lists, gets, others} != test.want {
			t.Errorf("%s: %d listings, %d small reads, %d others, want %d", test.name, lists, gets, others, test.want)
		}
	}
	w.quiet(days)
	w.run(0, nil, "pin", "latest")
	if lists, gets, _ := count("--store", "none"); lists != 1 || gets != 1 {
		t.Errorf("with one more: %d listings, %d small reads", lists, gets)
	}

	// What was kept and is damaged is read again; what the bucket lists in another size is not taken for what it was.
	kept, _ := filepath.Glob(filepath.Join(w.dir, ".cache", "lifeboat", "*"))
	if len(kept) != 2*days+2 {
		t.Fatalf("%d things are kept", len(kept))
	}
	for _, path := range kept {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0x40
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if lists, gets, _ := count("--store", "none"); lists != 1 || gets != days+2 {
		t.Errorf("with everything damaged: %d listings, %d small reads", lists, gets)
	}
	l, _ := w.list(0, "--store", "none")
	key := "a/manifests/" + l.Snapshots[1].ID + ".json.zst"
	store, err := remote.Open(t.Context(), remote.Config{URL: "s3://" + bucket, Getenv: func(name string) string { return w.env[name] }})
	if err == nil {
		err = layout.Store{Store: store}.PutSmall(t.Context(), key, []byte("cut"), remote.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := w.list(0, "--store", "none"); l.Snapshots[1].State != "unreadable" {
		t.Errorf("a manifest that was cut: %+v", l.Snapshots[1])
	}
}

// quiet is a day on which next to nothing changes.
func (w *week) quiet(n int) {
	w.t.Helper()
	w.now = w.now.Add(24 * time.Hour)
	w.write("app/one", fmt.Sprint(n))
	w.run(0, nil, "backup")
}
