package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/environ"
)

// A small disk, on which the local store lies, and the program as it is called.
type spoolWorld struct {
	t        *testing.T
	dir      string
	out, err bytes.Buffer
}

func newSpoolWorld(t *testing.T, bytes int) *spoolWorld {
	t.Helper()
	w := &spoolWorld{t: t, dir: t.TempDir()}
	for _, name := range []string{"small", "app", "tmp"} {
		if err := os.Mkdir(w.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, w.path("small"), bytes)
	return w
}

func (w *spoolWorld) path(name string) string { return filepath.Join(w.dir, name) }

func (w *spoolWorld) noise(name string, seed byte, bytes int) {
	w.t.Helper()
	data := make([]byte, bytes)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	if err := os.WriteFile(w.path(name), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command and fails unless it has the exit code.
func (w *spoolWorld) run(code int, args ...string) {
	w.t.Helper()
	w.out.Reset()
	w.err.Reset()
	env := environ.Env{OS: "linux", Dir: w.dir, UID: 1, Now: time.Now, Getenv: func(name string) string {
		return map[string]string{"HOME": w.dir, "TMPDIR": w.path("tmp")}[name]
	}}
	if got := run(context.Background(), append([]string{"lifeboat"}, args...), env, &w.out, &w.err); got != code {
		w.t.Fatalf("lifeboat %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &w.out, &w.err)
	}
}

// list returns where each snapshot is, newest last.
func (w *spoolWorld) list(args ...string) (places []string) {
	w.t.Helper()
	w.run(0, append([]string{"list", "--json"}, args...)...)
	var list struct {
		Snapshots []struct {
			Stamp  string
			Places []string
		}
	}
	if err := json.Unmarshal(w.out.Bytes(), &list); err != nil {
		w.t.Fatal(err)
	}
	byStamp := map[string]string{}
	var stamps []string
	for _, s := range list.Snapshots {
		byStamp[s.Stamp] = strings.Join(s.Places, " ")
		stamps = append(stamps, s.Stamp)
	}
	slices.Sort(stamps)
	for _, s := range stamps {
		places = append(places, byStamp[s])
	}
	return places
}

// A backup does not fail for space that only local copies need: those go that the remote has.
func TestLocalCopiesGiveWay(t *testing.T) {
	w := newSpoolWorld(t, 64<<20)
	args := []string{"backup", "app", "--store", "small/store", "--remote", "remote", "--app", "app"}
	for seed := range byte(3) {
		w.noise("app/file", seed, 24<<20)
		w.run(0, args...)
	}
	if !strings.Contains(w.err.String(), "space is short: dropped the local copy") {
		t.Errorf("it does not say that it dropped a copy:\n%s", &w.err)
	}
	if got := strings.Join(w.list("--store", "small/store", "--remote", "remote"), ", "); got != "remote, remote, local remote" {
		t.Errorf("the snapshots are at %s", got)
	}
	w.run(0, "validate", "--all", "--read-data", "--store", "small/store", "--remote", "remote")

	// What no remote has stays, and the backup fails; nothing of it is left, and it succeeds when there is a remote.
	w = newSpoolWorld(t, 64<<20)
	w.noise("app/file", 1, 24<<20)
	args = []string{"backup", "app", "--store", "small/store", "--app", "app"}
	w.run(0, args...)
	w.noise("app/file", 2, 24<<20)
	w.run(15, args...)
	if got := strings.Join(w.list("--store", "small/store"), ", "); got != "local" {
		t.Errorf("the snapshots are at %s", got)
	}
	w.run(0, append(args, "--remote", "remote")...)
	if got := strings.Join(w.list("--store", "small/store", "--remote", "remote"), ", "); got != "remote, local remote" && got != "local remote, remote" {
		t.Errorf("the snapshots are at %s", got)
	}
	w.run(0, "validate", "--all", "--read-data", "--store", "small/store", "--remote", "remote")
}

// A disk that becomes full while a snapshot is written, pulled, sent to a directory, or restored: exit code 15, and when there is space again,
// the same command succeeds.
func TestDiskThatIsFull(t *testing.T) {
	for name, args := range map[string][]string{
		"store":  {"backup", "app", "--store", "small/store", "--app", "app"},
		"remote": {"backup", "app", "--store", "store", "--remote", "small/remote", "--app", "app"},
		"push":   {"push", "--store", "before", "--remote", "small/remote", "--app", "app"},
		"pull":   {"pull", "latest", "--store", "small/store", "--remote", "before", "--app", "app"},
		"target": {"restore", "latest", "--remote", "before", "--target", "small/target", "--app", "app"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSpoolWorld(t, 24<<20)
			w.noise("app/file", 1, 8<<20)
			w.run(0, "create", "app", "--store", "before", "--app", "app")
			w.noise("small/filler", 2, 20<<20)
			w.run(15, args...)
			text := w.err.String()
			if !strings.Contains(text, w.path("small")) {
				t.Errorf("it does not name the place:\n%s", text)
			}
			if err := os.Remove(w.path("small/filler")); err != nil {
				t.Fatal(err)
			}
			if n := used(t, w.path("small")); n > 200<<10 {
				t.Errorf("%d bytes are left on the disk", n)
			}
			w.run(0, args...)
			if name != "target" {
				w.run(0, append([]string{"validate", "--read-data", "--app", "app"}, args[len(args)-4:len(args)-2]...)...)
			}
		})
	}
}

func used(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err == nil {
			n += fi.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
