package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/environ"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

// A machine is a directory with an application, and a clock that is set by hand.
type machine struct {
	t        *testing.T
	dir      string
	clock    func() time.Time
	out, err bytes.Buffer
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir(), clock: time.Now}
	m.write("app/x", "first")
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

func (m *machine) write(name, content string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// run runs a command, which must succeed.
func (m *machine) run(args ...string) {
	m.t.Helper()
	m.out.Reset()
	m.err.Reset()
	env := environ.Env{OS: "linux", Dir: m.dir, UID: 1, Now: m.clock, Getenv: func(name string) string {
		return map[string]string{"HOME": m.dir, "TMPDIR": m.dir}[name]
	}}
	if code := run(context.Background(), append([]string{"lifeboat"}, args...), env, &m.out, &m.err); code != 0 {
		m.t.Fatalf("lifeboat %s: exit code %d\n%s%s", strings.Join(args, " "), code, &m.out, &m.err)
	}
}

// backup takes a snapshot and returns its stamp.
func (m *machine) backup(args ...string) manifest.Stamp {
	m.t.Helper()
	m.run(append([]string{"backup", "app", "--app", "app", "--store", "store", "--json"}, args...)...)
	var doc struct{ Stamp manifest.Stamp }
	if err := json.Unmarshal(m.out.Bytes(), &doc); err != nil {
		m.t.Fatal(err)
	}
	return doc.Stamp
}

// latest returns what the file of the application is in the latest snapshot.
func (m *machine) latest(args ...string) string {
	m.t.Helper()
	m.run(append([]string{"cat", "latest", "app/x", "--app", "app", "--store", "store"}, args...)...)
	return m.out.String()
}

// A clock that was set back by less than a quarter of an hour, or where a remote knows better, leaves stamps in order. Else the snapshots of before are
// from the future until their time comes: they are said to be, are not the latest, and lose nothing. The clock of a directory is the true one.
func TestClockThatWentBack(t *testing.T) {
	real := time.Now()
	at := func(d time.Duration) func() time.Time { return func() time.Time { return real.Add(d) } }
	const day = 24 * time.Hour
	for _, tt := range []struct {
		from, to time.Duration
		remote   bool
		future   bool
	}{
		{10 * time.Minute, 0, false, false},
		{10 * time.Minute, 0, true, false},
		{day, 0, false, true},
		{day, 0, true, true},
		{365 * day, 0, true, true},
		{0, -day, true, false}, // the remote knows better
	} {
		t.Run(fmt.Sprintf("from %s to %s, remote %v", tt.from, tt.to, tt.remote), func(t *testing.T) {
			m := newMachine(t)
			var args []string
			if tt.remote {
				args = []string{"--remote", "bucket"}
			}
			m.clock = at(tt.from)
			first := m.backup(args...)
			m.clock = at(tt.to)
			m.write("app/x", "second")
			second := m.backup(args...)
			if tt.future != strings.Contains(m.err.String(), "1 snapshot is from the future, up to "+string(first)) {
				t.Errorf("it says\n%s", &m.err)
			}
			switch {
			case tt.future:
				if second < manifest.StampOf(m.clock()) || second >= first {
					t.Errorf("stamp %s after %s from the future", second, first)
				}
			case second <= first || tt.from > 0 && !second.Time().Equal(first.Time().Add(time.Second)):
				t.Errorf("stamp %s after %s", second, first)
			}
			if got := m.latest(args...); got != "second" {
				t.Errorf("the latest has %q", got)
			}
			m.write("app/x", "third")
			if third := m.backup(args...); third <= second {
				t.Errorf("stamp %s after %s", third, second)
			}
			if got := m.latest(args...); got != "third" {
				t.Errorf("the latest has %q", got)
			}
			m.run(append([]string{"validate", "--all", "--read-data", "--app", "app", "--store", "store"}, args...)...)

			m.clock = at(max(0, tt.from) + time.Minute) // its time has come
			m.write("app/x", "fourth")
			if fourth := m.backup(args...); fourth <= first {
				t.Errorf("stamp %s after %s", fourth, first)
			}
			if strings.Contains(m.err.String(), "future") || strings.Contains(m.err.String(), "same store") {
				t.Errorf("when its time has come, it says\n%s", &m.err)
			}
			if got := m.latest(args...); got != "fourth" {
				t.Errorf("the latest has %q", got)
			}
			m.run(append([]string{"cat", string(first), "app/x", "--app", "app", "--store", "store"}, args...)...)
			if m.out.String() != "first" {
				t.Errorf("%s has %q", first, &m.out)
			}
		})
	}
}

// When the remote does not answer and the last snapshot is nowhere else, stamps still go up.
func TestStampsGoUpWhereNothingIsListed(t *testing.T) {
	m := newMachine(t)
	m.write("lifeboat.yaml", "local: {keep: 0}\n")
	config := []string{"--config", m.path("lifeboat.yaml")}
	first := m.backup(append(config, "--remote", "bucket")...)
	real := time.Now()
	m.clock = func() time.Time { return real.Add(-5 * time.Minute) }
	if second := m.backup(config...); !second.Time().Equal(first.Time().Add(time.Second)) {
		t.Errorf("stamp %s after %s", second, first)
	}
}

// Another machine that sends to the same remote is named.
func TestAnotherMachine(t *testing.T) {
	m := newMachine(t)
	m.backup("--remote", "bucket")
	last := m.backup("--remote", "bucket")

	local, dir := snaptest.Local(t), t.TempDir()
	opts := snapshot.Options{Stamp: manifest.StampOf(last.Time().Add(2 * time.Second)), Host: manifest.Host{Name: "web-2\x1b[2J", OS: "linux", Arch: "amd64"}}
	res := snaptest.Take(t, local, opts, snaptest.Directory("app", dir))
	bucket, err := remote.NewDir(m.path("bucket"), remote.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	snap := snaptest.Open(t, res.ID, local.Store)
	if _, err := transfer.Copy(t.Context(), snap, []layout.Store{local.Store}, layout.Store{Store: bucket}, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	m.backup("--remote", "bucket")
	want := "another machine, web-2\\x1b[2J, writes to the same store: 1 snapshot, the newest " + string(opts.Stamp) + ", not seen when the last one was taken from here, " + string(last)
	if !strings.Contains(m.err.String(), want) {
		t.Errorf("it says\n%s\nwant\n%s", &m.err, want)
	}
	m.backup("--remote", "bucket")
	if strings.Contains(m.err.String(), "same store") {
		t.Errorf("it says again\n%s", &m.err)
	}
}
