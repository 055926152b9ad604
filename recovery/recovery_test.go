package recovery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/recovery"
	"lifeboat/recovery/recoverytest"
)

const stores = "../testdata/stores"

// snapshots are all that the stores hold which testdata/make_stores.py wrote.
var snapshots = []struct {
	store, stamp string
	code         int // of a recovery without damage
}{
	{"full", "20260102T030405Z", 0},
	{"incremental", "20260105T020000Z", 0},
	{"incremental", "20260106T020000Z", 0}, // a removed one, whose archives are still there
	{"incremental", "20260107T020000Z", 0},
	{"incremental", "20260108T020000Z", 3}, // incomplete since it was taken
	{"incremental", "20260109T020000Z", 0},
}

func storeDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(stores, name, "store"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func expected(t *testing.T, store, stamp string) recoverytest.Expected {
	t.Helper()
	return recoverytest.ReadExpected(t, filepath.Join(stores, store, stamp+".expected.json"))
}

// eachScript runs a test with each of the two programs.
func eachScript(t *testing.T, test func(t *testing.T, script recoverytest.Script)) {
	t.Helper()
	recoverytest.Need(t)
	for _, script := range recoverytest.Scripts() {
		t.Run(string(script), func(t *testing.T) {
			t.Parallel()
			test(t, script)
		})
	}
}

// mustMatch fails unless a directory is exactly what was expected.
func mustMatch(t *testing.T, script recoverytest.Script, e recoverytest.Expected, dir string) {
	t.Helper()
	xattrs := script == recoverytest.Python
	if xattrs && !recoverytest.SupportsXattrs(t.TempDir()) {
		t.Log("NOT CHECKED: extended attributes, which the file system of the temporary directory does not keep")
		xattrs = false
	}
	missing, wrong := e.Compare(dir, xattrs)
	for _, name := range missing {
		t.Errorf("%q is missing", name)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

func TestRecover(t *testing.T) {
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, s := range snapshots {
			t.Run(s.stamp, func(t *testing.T) {
				t.Parallel()
				dest := filepath.Join(recoverytest.TempDir(t), "new", "dest")
				r := recoverytest.Run(t, script, storeDir(t, s.store), s.stamp, dest)
				if r.Code != s.code {
					t.Fatalf("exit code %d, want %d\n%s%s", r.Code, s.code, r.Stdout, r.Stderr)
				}
				mustMatch(t, script, expected(t, s.store, s.stamp), dest)
				if s.code == 3 && !strings.Contains(r.Stderr, "permission denied") {
					t.Errorf("does not say why the snapshot is incomplete:\n%s", r.Stderr)
				}
				if !strings.Contains(r.Stdout, ".sqlite") {
					t.Errorf("does not say where the database is:\n%s", r.Stdout)
				}
			})
		}
	})
}

func TestStampForms(t *testing.T) {
	id := expected(t, "full", "20260102T030405Z").ID
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, c := range []struct {
			store, stamp string
			code         int
		}{
			{"full", id, 0},
			{"full", id[:25], 0},
			{"full", "2", 0},
			{"incremental", "20260", 13}, // several
			{"full", "20260103", 13},     // none
			{"full", "2026*", 64},
			{"full", "$(touch here)", 64},
			{"full", "../x", 64},
			{"full", "", 64},
		} {
			dest := filepath.Join(recoverytest.TempDir(t), "dest")
			r := recoverytest.Run(t, script, storeDir(t, c.store), c.stamp, dest)
			if r.Code != c.code {
				t.Errorf("%q: exit code %d, want %d\n%s", c.stamp, r.Code, c.code, r.Stderr)
			}
			if _, err := os.Lstat(dest); c.code != 0 && !os.IsNotExist(err) {
				t.Errorf("%q: left %s behind", c.stamp, dest)
			}
		}
	})
}

func TestList(t *testing.T) {
	lists := map[recoverytest.Script]string{}
	for _, script := range recoverytest.Scripts() {
		r := recoverytest.Run(t, script, storeDir(t, "incremental"), "", "")
		if r.Code != 0 || r.Stderr != "" {
			t.Fatalf("%s: exit code %d\n%s", script, r.Code, r.Stderr)
		}
		table, _, _ := strings.Cut(r.Stdout, "\n\n")
		lists[script] = table
	}
	if lists[recoverytest.Shell] != lists[recoverytest.Python] {
		t.Errorf("the programs do not list the same:\n%s\n%s", lists[recoverytest.Shell], lists[recoverytest.Python])
	}
	for _, s := range snapshots[1:] {
		if id := expected(t, s.store, s.stamp).ID; !strings.Contains(lists[recoverytest.Shell], id[:29]) {
			t.Errorf("%s is not listed:\n%s", id, lists[recoverytest.Shell])
		}
	}
	if !strings.Contains(lists[recoverytest.Shell], "incomplete") || !strings.Contains(lists[recoverytest.Shell], "removed") {
		t.Errorf("states are not listed:\n%s", lists[recoverytest.Shell])
	}
}

func TestRefusesADirectoryThatIsNotEmpty(t *testing.T) {
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		dest := t.TempDir()
		file := filepath.Join(dest, ".hidden")
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dest, file} {
			if r := recoverytest.Run(t, script, storeDir(t, "full"), "2026", d); r.Code != 8 {
				t.Errorf("%s: exit code %d, want 8\n%s", d, r.Code, r.Stderr)
			}
		}
		if got, err := os.ReadDir(dest); err != nil || len(got) != 1 {
			t.Errorf("the directory was changed: %v %v", got, err)
		}
	})
}

func TestNoStore(t *testing.T) {
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		r := recoverytest.Run(t, script, t.TempDir(), "2026", filepath.Join(t.TempDir(), "dest"))
		if r.Code != 10 {
			t.Errorf("exit code %d, want 10\n%s", r.Code, r.Stderr)
		}
	})
}

// TestAwkwardDestination: a relative DIR that looks like an option, below the store itself.
func TestAwkwardDestination(t *testing.T) {
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		store := copyStore(t, "full")
		r := recoverytest.Run(t, script, store, "2026", "-x y/'z\\n")
		if r.Code != 0 {
			t.Fatalf("exit code %d\n%s", r.Code, r.Stderr)
		}
		mustMatch(t, script, expected(t, "full", "20260102T030405Z"), filepath.Join(store, "-x y", "'z\\n"))
	})
}

func TestPrivilegedBits(t *testing.T) {
	honest := filepath.Join(forge(t), "setuid", "store")
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for env, want := range map[string]os.FileMode{
			"LIFEBOAT_PRIVILEGED=":  0o755 | os.ModeSticky,
			"LIFEBOAT_PRIVILEGED=1": 0o755 | os.ModeSticky | os.ModeSetuid,
		} {
			dest := filepath.Join(recoverytest.TempDir(t), "dest")
			r := recoverytest.Run(t, script, honest, "2026", dest, env)
			info, err := os.Stat(filepath.Join(dest, "data", "plain"))
			if err != nil || r.Code != 0 {
				t.Fatalf("exit code %d, %v\n%s", r.Code, err, r.Stderr)
			}
			if info.Mode() != want {
				t.Errorf("%s: mode %v, want %v", env, info.Mode(), want)
			}
			if said := strings.Contains(r.Stderr, "setuid"); said == (info.Mode()&os.ModeSetuid != 0) {
				t.Errorf("%s: says about it: %s", env, r.Stderr)
			}
		}
	})
}

func TestFiles(t *testing.T) {
	files := recovery.Files()
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		if strings.Contains(string(f.Data), "\r") || !strings.HasSuffix(string(f.Data), "\n") {
			t.Errorf("%s: has other line ends than \\n", f.Name)
		}
	}
	if got := strings.Join(names, " "); got != "RECOVER.md recover.sh recover.py" {
		t.Errorf("files are %s", got)
	}
	for i := range files[0].Data {
		files[0].Data[i] = 0
	}
	if recovery.Files()[0].Data[0] == 0 {
		t.Error("a caller can change the embedded page")
	}
}
