package recovery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/recovery/recoverytest"
)

// fetcher is a command as an operator would write it, which also keeps a list of what was asked for.
const fetcher = `f() { printf '%s\n' "$1" >>"$FETCH_LOG"; cat "$FETCH_STORE/$1"; }; f`

func TestFetch(t *testing.T) {
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, s := range []struct{ store, stamp string }{
			{"full", "20260102T030405Z"},
			{"incremental", "20260109T020000Z"},
			{"incremental", "20260106T020000Z"}, // in removed/
		} {
			e := expected(t, s.store, s.stamp)
			parent := recoverytest.TempDir(t)
			dest := filepath.Join(parent, "dest")
			log := filepath.Join(t.TempDir(), "log")
			r := recoverytest.Run(t, script, "", e.ID, dest,
				"LIFEBOAT_FETCH="+fetcher, "FETCH_LOG="+log, "FETCH_STORE="+storeDir(t, s.store))
			if r.Code != 0 {
				t.Fatalf("exit code %d\n%s", r.Code, r.Stderr)
			}
			mustMatch(t, script, e, dest)
			onlyDest(t, parent)
			fetchedOnce(t, script, log)
		}
	})
}

// fetchedOnce fails when recover.py fetched an object twice. recover.sh keeps one archive at a time, and may.
func fetchedOnce(t *testing.T, script recoverytest.Script, log string) {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range strings.Fields(string(data)) {
		if seen[key] && script == recoverytest.Python {
			t.Errorf("%s was fetched twice", key)
		}
		seen[key] = true
	}
}

func TestFetchFails(t *testing.T) {
	e := expected(t, "full", "20260102T030405Z")
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, c := range []struct {
			name, command, stamp string
			code                 int
			said                 string
		}{
			{"no full ID", fetcher, "20260102T030405Z", 64, "full ID"},
			{"list", fetcher, "", 64, "LIFEBOAT_FETCH"},
			{"always fails", "false", e.ID, 13, e.ID},
			{"writes, then fails", `f() { cat "$FETCH_STORE/$1"; false; }; f`, e.ID, 13, e.ID},
			{"writes nothing", "true", e.ID, 4, e.ID},
			{"writes too much", `f() { yes; }; f`, e.ID, 4, e.ID},
			{"no archives", `f() { case $1 in archives/*) exit 1;; esac; cat "$FETCH_STORE/$1"; }; f`, e.ID, 4, "archives/"},
			{"archives cut", `f() { cat "$FETCH_STORE/$1" | case $1 in archives/*) head -c 100;; *) cat;; esac; }; f`, e.ID, 4, "archives/"},
		} {
			parent := recoverytest.TempDir(t)
			dest := filepath.Join(parent, "dest")
			if c.stamp == "" {
				dest = ""
			}
			r := recoverytest.Run(t, script, "", c.stamp, dest,
				"LIFEBOAT_FETCH="+c.command, "FETCH_LOG="+os.DevNull, "FETCH_STORE="+storeDir(t, "full"))
			if r.Code != c.code || !strings.Contains(r.Stderr, c.said) {
				t.Errorf("%s: exit code %d, want %d\n%s", c.name, r.Code, c.code, r.Stderr)
			}
			if _, wrong := e.Compare(filepath.Join(parent, "dest"), false); len(wrong) > 0 {
				t.Errorf("%s: %q", c.name, wrong)
			}
			onlyDest(t, parent)
		}
	})
}
