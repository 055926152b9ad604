package recovery_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/recovery/recoverytest"
)

// copyStore returns a copy of a store in testdata that may be damaged.
func copyStore(t *testing.T, name string) string {
	t.Helper()
	dir := recoverytest.TempDir(t)
	if err := os.CopyFS(dir, os.DirFS(storeDir(t, name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// archives returns the archives of a store.
func archives(t *testing.T, store string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(store, "archives", "*.tar.zst"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives in %s: %v", store, err)
	}
	return names
}

// holdsTables tells whether an archive holds pieces of the tables.
func holdsTables(t *testing.T, archive string) bool {
	t.Helper()
	tar, err := exec.Command("zstd", "-dcq", archive).Output()
	if err != nil {
		t.Fatalf("unpack %s: %v", archive, err)
	}
	return bytes.HasPrefix(tar, []byte(".lifeboat/pieces/"))
}

// damages are what may happen to an object.
var damages = []struct {
	name string
	do   func(data []byte) []byte // nil: remove
}{
	{"first byte flipped", flip(0)},
	{"byte flipped at a third", flip(1.0 / 3)},
	{"byte flipped in the middle", flip(0.5)},
	{"last byte flipped", flip(0.9999999)},
	{"cut in the middle", func(data []byte) []byte { return data[:len(data)/2] }},
	{"last byte cut", func(data []byte) []byte { return data[:len(data)-1] }},
	{"emptied", func([]byte) []byte { return []byte{} }},
	{"a byte too much", func(data []byte) []byte { return append(data, 0) }},
	{"removed", nil},
}

func flip(at float64) func([]byte) []byte {
	return func(data []byte) []byte {
		data = bytes.Clone(data)
		data[int(at*float64(len(data)))] ^= 0x10
		return data
	}
}

// harm applies a damage to a file.
func harm(t *testing.T, file string, do func([]byte) []byte) {
	t.Helper()
	if do == nil {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, do(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// mustSurvive runs a program on a damaged store: it must fail with code 4 and name the objects; whatever it wrote must
// be right; and it must name every file that is missing, unless it names a piece of the table that listed the file.
func mustSurvive(t *testing.T, script recoverytest.Script, store string, e recoverytest.Expected, objects ...string) (missing []string) {
	t.Helper()
	parent := recoverytest.TempDir(t)
	dest := filepath.Join(parent, "dest")
	r := recoverytest.Run(t, script, store, e.ID[:16], dest)
	if r.Code != 4 {
		t.Fatalf("exit code %d, want 4\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	for _, object := range objects {
		if !strings.Contains(r.Stderr, object) {
			t.Errorf("%s is not named:\n%s", object, r.Stderr)
		}
	}
	if strings.Contains(r.Stderr, " of the files table") {
		e = withoutDirectories(e)
	}
	missing, wrong := e.Compare(dest, false)
	for _, w := range wrong {
		t.Error(w)
	}
	if lost := strings.Count(r.Stderr, "LOST     "); lost != len(missing) && !strings.Contains(r.Stderr, " of the files table") {
		t.Errorf("%d files are missing, %d are named:\n%q\n%s", len(missing), lost, missing, r.Stderr)
	}
	onlyDest(t, parent)
	return missing
}

// withoutDirectories knows nothing of the attributes of directories: those whose line is lost are made all the same.
func withoutDirectories(e recoverytest.Expected) recoverytest.Expected {
	e.Files = slices.Clone(e.Files)
	for i, f := range e.Files {
		if f.Type == "directory" {
			e.Files[i] = recoverytest.File{Path: f.Path, Raw: f.Raw, Type: f.Type}
		}
	}
	return e
}

// onlyDest fails when a program left anything beside dest, or its workshop in it.
func onlyDest(t *testing.T, parent string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "dest" {
			t.Errorf("%s was written outside of DIR", e.Name())
		}
	}
	if _, err := os.Lstat(filepath.Join(parent, "dest", ".lifeboat-recover")); !os.IsNotExist(err) {
		t.Errorf("the workshop was left behind: %v", err)
	}
}

func TestDamagedArchives(t *testing.T) {
	e := expected(t, "full", "20260102T030405Z")
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, original := range archives(t, storeDir(t, "full")) {
			name := filepath.Base(original)
			t.Run(name[:8], func(t *testing.T) {
				t.Parallel()
				for i, d := range damages {
					if script == recoverytest.Shell && i%4 != 0 {
						continue // it is slow, and hashes whole archives: where they are damaged is nothing to it
					}
					store := copyStore(t, "full")
					harm(t, filepath.Join(store, "archives", name), d.do)
					missing := mustSurvive(t, script, store, e, "archives/"+name)
					if t.Failed() {
						t.Fatalf("when: %s", d.name)
					}
					if d.name == "removed" && len(missing) == 0 {
						t.Error("nothing is missing without the archive")
					}
				}
			})
		}
	})
}

func TestDamagedManifest(t *testing.T) {
	e := expected(t, "full", "20260102T030405Z")
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		for _, d := range damages {
			store := copyStore(t, "full")
			key := "manifests/" + e.ID + ".json.zst"
			harm(t, filepath.Join(store, key), d.do)
			dest := filepath.Join(t.TempDir(), "dest")
			r := recoverytest.Run(t, script, store, e.ID[:16], dest)
			want := 4
			if d.do == nil {
				want = 13
			}
			if r.Code != want || (want == 4 && !strings.Contains(r.Stderr, key)) {
				t.Errorf("%s: exit code %d, want %d\n%s", d.name, r.Code, want, r.Stderr)
			}
			if _, err := os.Lstat(dest); !os.IsNotExist(err) {
				t.Errorf("%s: something was written: %v", d.name, err)
			}
			if want == 4 {
				if r := recoverytest.Run(t, script, store, "", ""); !strings.Contains(r.Stdout, "DAMAGED") {
					t.Errorf("%s: is not listed as damaged:\n%s", d.name, r.Stdout)
				}
			}
		}
	})
}

// TestSwappedObjects: every object is valid, and under the wrong name.
func TestSwappedObjects(t *testing.T) {
	e := expected(t, "full", "20260102T030405Z")
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		names := archives(t, storeDir(t, "full"))
		for i := range names[1:] {
			store := copyStore(t, "full")
			a := filepath.Join(store, "archives", filepath.Base(names[i]))
			b := filepath.Join(store, "archives", filepath.Base(names[i+1]))
			for _, move := range [][2]string{{a, a + ".x"}, {b, a}, {a + ".x", b}} {
				if err := os.Rename(move[0], move[1]); err != nil {
					t.Fatal(err)
				}
			}
			// Without the tables, nobody looks at the other.
			objects := []string{filepath.Base(a), filepath.Base(b)}
			if holdsTables(t, names[i]) {
				objects = objects[:1]
			} else if holdsTables(t, names[i+1]) {
				objects = objects[1:]
			}
			mustSurvive(t, script, store, e, objects...)
		}
	})
	eachScript(t, func(t *testing.T, script recoverytest.Script) {
		store := copyStore(t, "incremental")
		one, two := expected(t, "incremental", "20260105T020000Z").ID, expected(t, "incremental", "20260107T020000Z").ID
		data, err := os.ReadFile(filepath.Join(store, "manifests", two+".json.zst"))
		if err != nil {
			t.Fatal(err)
		}
		harm(t, filepath.Join(store, "manifests", one+".json.zst"), func([]byte) []byte { return data })
		if r := recoverytest.Run(t, script, store, one, filepath.Join(t.TempDir(), "dest")); r.Code != 4 {
			t.Errorf("exit code %d, want 4\n%s", r.Code, r.Stderr)
		}
	})
}

// TestLostArchivesOfIncrements removes each archive in turn from a store whose last snapshot leans on many: what is
// missing is data, maps, pieces of the tables, or nothing that this snapshot needs.
func TestLostArchivesOfIncrements(t *testing.T) {
	e := expected(t, "incremental", "20260109T020000Z")
	recoverytest.Need(t)
	for i, original := range archives(t, storeDir(t, "incremental")) {
		name := filepath.Base(original)
		t.Run(name[:8], func(t *testing.T) {
			t.Parallel()
			store := copyStore(t, "incremental")
			harm(t, filepath.Join(store, "archives", name), nil)
			dest := filepath.Join(recoverytest.TempDir(t), "dest")
			if r := recoverytest.Run(t, recoverytest.Python, store, e.ID, dest); r.Code == 0 {
				mustMatch(t, recoverytest.Python, e, dest) // it was not needed
				return
			}
			missing := mustSurvive(t, recoverytest.Python, store, e, name)
			if i%7 != 0 {
				return // recover.sh needs seconds for each
			}
			if got := mustSurvive(t, recoverytest.Shell, store, e, name); !slices.Equal(got, missing) {
				t.Errorf("recover.sh misses %q, recover.py %q", got, missing)
			}
		})
	}
}
