//go:build unix

package snapshot_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// Patterns mean what git takes them to mean: random ones are held against git itself.
func TestExcludeAsGitDoes(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("patterns are compared with those of git, and there is none: install git")
	}
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 9))
	must(t, os.MkdirAll(filepath.Join(dir, "dir", "deep"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "dir", "z"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "dir", "deep", "z"), nil, 0o600))
	names := []string{"a", "b", "ab", "a.log", ".h", "a*", "[a]", "a b", "!a", "#a", `a\`, "dir", "deep"}
	dirs := []string{dir}
	for range 60 { // each directory has a file, since git knows no empty ones
		path := filepath.Join(dirs[random.IntN(len(dirs))], names[random.IntN(len(names))])
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if random.IntN(3) == 0 {
			must(t, os.Mkdir(path, 0o755))
			must(t, os.WriteFile(filepath.Join(path, "z"), nil, 0o600))
			dirs = append(dirs, path)
		} else {
			must(t, os.WriteFile(path, nil, 0o600))
		}
	}
	git(t, dir, "init", "-q")
	excluded := int64(0)
	sets := [][]string{{"dir/**", "!dir/z"}, {"/**", "!*/", "!z"}, {"**/dir/**", "!z"}, {"deep/", "!deep/z"}, {"*", "!*/", "!*.log"}}
	for range rounds {
		sets = append(sets, randomPatterns(random))
	}
	for _, patterns := range sets {
		file := filepath.Join(t.TempDir(), "patterns")
		must(t, os.WriteFile(file, []byte(strings.Join(patterns, "\n")+"\n"), 0o600))
		var want []string
		for name := range bytes.SplitSeq(git(t, dir, "ls-files", "-z", "--others", "--exclude-from="+file), []byte{0}) {
			if len(name) > 0 {
				want = append(want, "d/"+string(name))
			}
		}
		src := snaptest.Directory("d", dir)
		parsed, err := snapshot.ParseExcludes(strings.Join(patterns, "\n"))
		must(t, err)
		src.Exclude = append([]string{"/.git/"}, parsed...)
		src.Exclude = append(src.Exclude, "/.git/") // no pattern takes it back in
		local := snaptest.Local(t)
		res := snaptest.Take(t, local, snapshot.Options{}, src)
		var got []string
		for f, err := range snaptest.Open(t, res.ID, local.Store).Files(t.Context()) {
			must(t, err)
			if f.Type == manifest.Regular {
				got = append(got, f.Path)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with the patterns %q, git and lifeboat leave out different files:\n%s", patterns, diff)
		}
		excluded += res.Head.Sources[0].Excluded - 1
	}
	t.Logf("%d sets of patterns, %d entries left out by both", len(sets), excluded)
	if excluded < int64(rounds) {
		t.Errorf("only %d entries were excluded: the patterns fit nothing", excluded)
	}
}

func git(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_DIR="+filepath.Join(dir, ".git"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return out
}

// randomPatterns returns some patterns that say something.
func randomPatterns(random *rand.Rand) (patterns []string) {
	parts := []string{"a", "b", "ab", "*.log", "*", "?", "a*", "[ab]", "[!a]", "[a-c]*", `a\*`, `\[a\]`, "**", "**", "dir", "deep", "z", ".*", "a?", `a\ b`, `\#a`, `\!a`, `a\\`}
	for range 1 + random.IntN(5) {
		var p []string
		for range 1 + random.IntN(3) {
			p = append(p, parts[random.IntN(len(parts))])
		}
		text := strings.Join(p, "/")
		if random.IntN(4) == 0 {
			text = "/" + text
		}
		if random.IntN(4) == 0 {
			text += "/"
		}
		if random.IntN(4) == 0 {
			text = "!" + text
		}
		patterns = append(patterns, text)
	}
	return patterns
}

// A database goes with its sidecars, whether it is taken or left out, and what only looks like a sidecar is a file.
func TestExcludedDatabases(t *testing.T) {
	dir := t.TempDir()
	database(t, filepath.Join(dir, "app.db"), 4096, true)
	database(t, filepath.Join(dir, "kept.db"), 4096, true)
	must(t, os.WriteFile(filepath.Join(dir, "notes"), []byte("no database"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "notes-wal"), []byte("no log"), 0o600))
	for _, test := range []struct {
		exclude  string
		want     []string
		excluded int64
	}{
		{"app.db", []string{"d", "d/kept.db", "d/notes", "d/notes-wal"}, 1},
		{"notes", []string{"d", "d/app.db", "d/kept.db", "d/notes-wal"}, 1},
		{"*-wal", []string{"d", "d/app.db", "d/kept.db", "d/notes"}, 1},
		{"*.db/", []string{"d", "d/app.db", "d/kept.db", "d/notes", "d/notes-wal"}, 0},
	} {
		local := snaptest.Local(t)
		src := snaptest.Directory("d", dir)
		src.Exclude = []string{test.exclude}
		res := snaptest.Take(t, local, snapshot.Options{}, src)
		if diff := cmp.Diff(test.want, paths(t, res.ID, local.Store)); diff != "" {
			t.Errorf("without %s: %s", test.exclude, diff)
		}
		if n := res.Head.Sources[0].Excluded; n != test.excluded {
			t.Errorf("without %s: %d entries are counted", test.exclude, n)
		}
	}
}

// A tag makes a directory a cache only if it has the signature.
func TestExcludeCaches(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"cache/sub", "not", "link"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, d, "file"), nil, 0o600))
	}
	tag := "Signature: 8a477f597d28d172789f06886806bc55"
	must(t, os.WriteFile(filepath.Join(dir, "cache", "CACHEDIR.TAG"), []byte(tag+"\n# by a test"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "not", "CACHEDIR.TAG"), []byte(tag[:30]), 0o600))
	must(t, os.Symlink("../cache/CACHEDIR.TAG", filepath.Join(dir, "link", "CACHEDIR.TAG")))
	for caches, want := range map[bool][]string{
		false: {"d", "d/cache", "d/cache/CACHEDIR.TAG", "d/cache/sub", "d/cache/sub/file", "d/link", "d/link/CACHEDIR.TAG", "d/link/file", "d/not", "d/not/CACHEDIR.TAG", "d/not/file"},
		true:  {"d", "d/cache", "d/cache/CACHEDIR.TAG", "d/link", "d/link/CACHEDIR.TAG", "d/link/file", "d/not", "d/not/CACHEDIR.TAG", "d/not/file"},
	} {
		local := snaptest.Local(t)
		src := snaptest.Directory("d", dir)
		src.ExcludeCaches = caches
		res := snaptest.Take(t, local, snapshot.Options{}, src)
		if diff := cmp.Diff(want, paths(t, res.ID, local.Store)); diff != "" {
			t.Errorf("%v: %s", caches, diff)
		}
	}
}

func TestParseExcludes(t *testing.T) {
	got, err := snapshot.ParseExcludes("\ufeff# comment\r\n\n*.log  \n" + `kept\ ` + "\n!x\r\n" + `\#y`)
	if diff := cmp.Diff([]string{"*.log", `kept\ `, "!x", `\#y`}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := snapshot.ParseExcludes("fine\n["); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a malformed pattern: %v", err)
	}
}
