package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"lifeboat/internal/environ"
)

// An attack is a store that somebody wrote who means harm, with digests that are right: see recovery/testdata/forge.py, which
// knows nothing of this program. By says who must refuse it; "text" is one that is legal, and whose text must not reach a terminal as it is.
type attack struct{ Name, By string }

// forgeStores makes the stores, and returns their directory.
func forgeStores(t *testing.T) (dir string, attacks []attack) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skipf("NOT CHECKED: hostile stores on %s", runtime.GOOS)
	}
	dir = t.TempDir()
	cmd := exec.Command("python3", filepath.Join("recovery", "testdata", "forge.py"), dir)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("forge stores (this needs python3 and zstd): %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "attacks.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &attacks); err != nil || len(attacks) < 100 {
		t.Fatalf("%d attacks: %v", len(attacks), err)
	}
	return dir, attacks
}

// A victim is somebody who runs commands against one store.
type victim struct {
	t    *testing.T
	home string
}

// run runs a command, and holds what it says to what may reach a terminal, and to be JSON where that is wanted.
func (v *victim) run(args ...string) (code int, out string) {
	v.t.Helper()
	var stdout, stderr bytes.Buffer
	env := environ.Env{OS: "linux", Dir: v.home, UID: 1000, Now: time.Now, Getenv: func(name string) string {
		switch name {
		case "HOME":
			return v.home
		case "TMPDIR":
			return os.TempDir()
		}
		return ""
	}}
	code = run(context.Background(), append([]string{"lifeboat"}, args...), env, &stdout, &stderr)
	isJSON := args[len(args)-1] == "--json"
	for name, text := range map[string]string{"standard output": stdout.String(), "standard error": stderr.String()} {
		if name == "standard output" && args[0] == "cat" && !isJSON {
			continue // the content is what was asked for
		}
		if !utf8.ValidString(text) {
			v.t.Errorf("%q: %s is not UTF-8: %q", args, name, text)
		}
		for _, r := range text {
			if r != '\n' && !unicode.IsPrint(r) {
				v.t.Errorf("%q: %U on %s: %q", args, r, name, text)
				break
			}
		}
		// Forged text begins no line that could be taken for one of the program's.
		if !isJSON && strings.Contains("\n"+text, "\nFAKE") {
			v.t.Errorf("%q: a forged line on %s:\n%s", args, name, text)
		}
	}
	if isJSON {
		dec := json.NewDecoder(&stdout)
		if err := dec.Decode(new(any)); err != nil {
			v.t.Errorf("%q: no JSON: %v", args, err)
		} else if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
			v.t.Errorf("%q: more than one document: %v", args, err)
		}
	}
	switch code {
	case codeOK, codeFailed, codeIncomplete, codeIntegrity, codeDrill, codeRefused, codeNoSnapshot, codeNoSpace, codeUsage:
	default:
		v.t.Errorf("%q: exit code %d\n%s", args, code, stderr.String())
	}
	return code, stdout.String() + stderr.String()
}

// TestHostileStores runs every command that reads a store against stores of every kind that no honest writer makes. None may succeed at what it promises, write
// outside of where it was told to, leave anything in its target, or pass text of the store to the terminal as it is.
func TestHostileStores(t *testing.T) {
	dir, attacks := forgeStores(t)
	if testing.Short() {
		t.Log("NOT ALL: -short runs one attack in five")
	}
	exhaustive := os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != ""
	if !exhaustive {
		t.Log("NOT ALL: of two stores in three, no command is run with --json as well; LIFEBOAT_TEST_EXHAUSTIVE=1 runs all")
	}
	const stamp = "20260102T030405Z"
	const most = 600 << 20 // bytes; the bounds of the format allow a head of 64 MiB, and JSON takes some times as much
	outside, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var commands atomic.Int64
	t.Run("each", func(t *testing.T) {
		for i, a := range append([]attack{{"honest", ""}}, attacks...) {
			if testing.Short() && i%5 != 0 && a.By != "text" {
				continue
			}
			t.Run(a.Name, func(t *testing.T) {
				t.Parallel()
				home := t.TempDir()
				v := &victim{t, home}
				store := filepath.Join(dir, a.Name, "store")
				for _, f := range kit() {
					if err := os.WriteFile(filepath.Join(store, f.Name), f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				before := contents(t, store)
				target := filepath.Join(home, "target")
				at := func(args ...string) (int, string) {
					commands.Add(1)
					if exhaustive || i%3 == 0 {
						commands.Add(1)
						v.run(append(slices.Clone(args), "--remote", store, "--app", "forged", "--json")...)
					}
					return v.run(append(slices.Clone(args), "--remote", store, "--app", "forged")...)
				}
				refused := a.By != "" && a.By != "text"

				at("list")
				at("show", stamp)
				at("ls", stamp)
				at("ls", "-l", stamp)
				at("ls", stamp, "data/dir")
				at("cat", stamp, "data/plain")
				at("cat", stamp, "data/hard")
				if code, out := at("validate", stamp); refused && code == codeOK && a.By != "lost" {
					t.Errorf("validate finds nothing\n%s", out)
				}
				code, out := at("validate", stamp, "--read-data", "--scratch", t.TempDir())
				if refused && code != codeIntegrity && code != codeFailed || !refused && strings.Contains(out, "BAD  "+stamp) {
					t.Errorf("validate --read-data: %d\n%s", code, out)
				}
				at("validate", "--all", "--read-data-subset", "1/1")
				code, out = v.run("restore", stamp, "--remote", store, "--app", "forged", "--target", target)
				if _, err := os.Lstat(target); refused && (code == codeOK || !errors.Is(err, fs.ErrNotExist)) || !refused && code != codeOK {
					t.Errorf("restore: %d, target %v\n%s", code, err, out)
				}
				v.run("restore", stamp, "--remote", store, "--app", "forged", "--target", target+"2", "--only", "data", "--json")
				v.run("restore", stamp, "--remote", store, "--app", "forged", "--target", target+"3", "--except", "data/plain", "--quiet")
				// Copies are byte for byte what they were, or there is none.
				if code, _ := v.run("pull", stamp, "--remote", store, "--app", "forged", "--store", filepath.Join(home, "pulled")); code == codeOK {
					code, _ := v.run("validate", stamp, "--store", filepath.Join(home, "pulled"), "--app", "forged", "--read-data")
					if refused && code == codeOK {
						t.Error("what was pulled is said to be whole")
					}
				}
				os.CopyFS(filepath.Join(home, "mine"), os.DirFS(store))
				v.run("push", "--app", "forged", "--store", filepath.Join(home, "mine"), "--remote", filepath.Join(home, "pushed"), "--json")
				// What is not what it should be does not pass a drill. Its evidence goes into the copy.
				for _, how := range []string{"--no-scratch", "--scratch=" + t.TempDir()} {
					code, out := v.run("drill", stamp, "--remote", filepath.Join(home, "mine"), "--app", "forged", "--store", filepath.Join(home, "none"), how)
					if refused && code == codeOK || !refused && a.By == "" && code != codeOK {
						t.Errorf("drill %s: %d\n%s", how, code, out)
					}
				}
				v.run("status", "--remote", filepath.Join(home, "mine"), "--app", "forged", "--store", filepath.Join(home, "none"))
				commands.Add(8)

				if after := contents(t, store); after != before {
					t.Errorf("the store was changed:\n%s\n%s", before, after)
				}
				entries, err := os.ReadDir(home)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					switch e.Name() {
					case "target", "target2", "target3", "pulled", "mine", "pushed":
					default:
						t.Errorf("%s was written", e.Name())
					}
				}
			})
		}
	})
	if now, err := os.ReadDir(dir); err != nil || len(now) != len(outside) {
		t.Errorf("%d entries beside the stores, and %d before: %v", len(now), len(outside), err)
	}
	var after runtime.MemStats
	if runtime.ReadMemStats(&after); after.Sys > most {
		t.Errorf("%d MiB were taken from the system", after.Sys>>20)
	}
	t.Logf("%d attacks, %d commands, %d MiB of memory at most", len(attacks), commands.Load(), after.Sys>>20)
}

// contents lists all that is below a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		list.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
