//go:build unix

package integration_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// While a backup runs, whoever wants to write to its local store is refused or waits, and whoever reads is served.
func TestBesideABackup(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	remote := "s3://" + bucket + "/app"
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 6); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, proxy.Server)
	m.must(nil, "backup", app, "--remote", remote)

	arrived, released := make(chan struct{}, 100), make(chan struct{})
	proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			arrived <- struct{}{}
			<-released
		}
		return miniotest.Action{}
	})
	first := m.start("backup", app, "--remote", remote)
	<-arrived // all is captured and sent, but for the manifest
	for _, args := range [][]string{
		{"backup", app, "--remote", remote}, {"create", app, "--app", "app"}, {"push", "--remote", remote}, {"pull", "latest", "--remote", remote},
	} {
		out, errs, code := m.run(args...)
		if code != 11 || !strings.Contains(errs, "in use by process") {
			t.Errorf("%s beside a backup: exit code %d\n%s%s", args[0], code, out, errs)
		}
	}
	waiting := m.start("create", app, "--app", "app", "--wait", "10m")
	var l struct{ Snapshots []struct{ Places []string } }
	m.must(&l, "list", "--remote", remote)
	if len(l.Snapshots) != 2 || len(l.Snapshots[0].Places) != 2 || len(l.Snapshots[1].Places) != 1 {
		t.Errorf("while the second is sent, list shows %+v", l.Snapshots)
	}
	m.must(nil, "validate", "--all", "--read-data", "--remote", remote)
	for _, place := range []string{remote, ""} {
		args := []string{"restore", "latest", "--app", "app", "--target", filepath.Join(t.TempDir(), "r")}
		if place != "" {
			args = append(args, "--remote", place)
		}
		m.must(nil, args...)
	}
	close(released)
	first.ends(0)
	waiting.ends(0)
	m.must(nil, "validate", "--all", "--read-data", "--remote", remote)
}

// Two machines begin with one remote at the same time, and go on with it. Neither disturbs the other, and what both have sent is whole.
func TestTwoMachinesOneRemote(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 7); err != nil {
		t.Fatal(err)
	}
	both := func(t *testing.T, server *miniotest.Server, remote string) {
		one, two := newMachine(t, server), newMachine(t, server)
		for range 3 {
			a := one.start("backup", app, "--app", "app", "--remote", remote)
			b := two.start("backup", app, "--app", "app", "--remote", remote)
			a.ends(0)
			b.ends(0)
		}
		var l struct{ Snapshots []struct{ State string } }
		third := newMachine(t, server)
		third.must(&l, "list", "--remote", remote)
		if len(l.Snapshots) != 6 {
			t.Errorf("%d snapshots, want 6", len(l.Snapshots))
		}
		third.must(nil, "validate", "--all", "--read-data", "--remote", remote)
		target := filepath.Join(third.home, "r")
		third.must(nil, "restore", "latest", "--remote", remote, "--target", target)
		if _, err := sampleapp.Verify(t.Context(), filepath.Join(target, "app")); err != nil {
			t.Error(err)
		}
	}
	t.Run("directory", func(t *testing.T) { both(t, nil, filepath.Join(t.TempDir(), "remote", "app")) })
	t.Run("bucket", func(t *testing.T) {
		server := miniotest.Start(t)
		both(t, server, "s3://"+server.Bucket(t)+"/app")
	})
}

// A restore reads from the local store while backups drop old copies from it. What goes there is taken from the remote.
func TestRestoreWhileCopiesAreDropped(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 8); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, nil)
	remote := filepath.Join(t.TempDir(), "remote")
	m.must(nil, "backup", app, "--app", "app", "--remote", remote)
	for range 4 {
		backup := m.start("backup", app, "--app", "app", "--remote", remote)
		target := filepath.Join(t.TempDir(), "r")
		restore := m.start("restore", "latest", "--app", "app", "--remote", remote, "--target", target)
		restore.ends(0)
		backup.ends(0)
		if _, err := sampleapp.Verify(t.Context(), filepath.Join(target, "app")); err != nil {
			t.Error(err)
		}
	}
}
