package localstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/environ"
	"lifeboat/localstore"
)

func env(goos string, uid int, vars map[string]string) environ.Env {
	return environ.Env{OS: goos, UID: uid, Dir: os.TempDir(), Getenv: func(k string) string { return vars[k] }}
}

func TestDir(t *testing.T) {
	base := t.TempDir()
	home, other := filepath.Join(base, "home"), filepath.Join(base, "other")
	type vars = map[string]string
	for _, tt := range []struct {
		name string
		goos string
		uid  int
		vars vars
		want string // "" for ErrNoPlace
	}{
		{"service", "linux", 1000, vars{"STATE_DIRECTORY": other, "HOME": home}, other},
		{"root service", "linux", 0, vars{"STATE_DIRECTORY": other}, other},
		{"service with several", "linux", 0, vars{"STATE_DIRECTORY": other + "/:" + home}, other},
		{"service without any", "linux", 0, vars{"STATE_DIRECTORY": ""}, "/var/lib/lifeboat/vw"},
		{"root", "linux", 0, vars{"HOME": home, "XDG_STATE_HOME": other}, "/var/lib/lifeboat/vw"},
		{"root without HOME", "linux", 0, nil, "/var/lib/lifeboat/vw"},
		{"root on a Mac", "darwin", 0, vars{"HOME": home}, "/var/lib/lifeboat/vw"},
		{"user", "linux", 1000, vars{"HOME": home}, filepath.Join(home, ".local/state/lifeboat/vw")},
		{"user with XDG", "freebsd", 1000, vars{"HOME": home, "XDG_STATE_HOME": other}, filepath.Join(other, "lifeboat/vw")},
		{"XDG without HOME", "linux", 1000, vars{"XDG_STATE_HOME": other}, filepath.Join(other, "lifeboat/vw")},
		{"XDG is relative", "linux", 1000, vars{"HOME": home, "XDG_STATE_HOME": "state"}, filepath.Join(home, ".local/state/lifeboat/vw")},
		{"user without HOME", "linux", 1000, nil, ""},
		{"HOME is relative", "linux", 1000, vars{"HOME": "."}, ""},
		{"Mac", "darwin", 501, vars{"HOME": home, "XDG_STATE_HOME": other}, filepath.Join(home, "Library/Application Support/lifeboat/vw")},
		{"Mac without HOME", "darwin", 501, nil, ""},
		{"Windows", "windows", -1, vars{"LOCALAPPDATA": other, "USERPROFILE": home}, filepath.Join(other, "lifeboat/vw")},
		{"Windows without LOCALAPPDATA", "windows", -1, vars{"USERPROFILE": home}, filepath.Join(home, "AppData/Local/lifeboat/vw")},
		{"Windows without anything", "windows", -1, vars{"HOME": home}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := localstore.Dir("vw", env(tt.goos, tt.uid, tt.vars))
			if tt.want == "" {
				if !errors.Is(err, localstore.ErrNoPlace) {
					t.Errorf("Dir = %q, %v; want ErrNoPlace", got, err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("Dir = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestDirRefuses(t *testing.T) {
	home := map[string]string{"HOME": t.TempDir()}
	for _, app := range []string{"", ".", "..", "../x", "a/b", `a\b`, "A", "-x"} {
		if got, err := localstore.Dir(app, env("linux", 1000, home)); err == nil {
			t.Errorf("Dir(%q) = %q, want an error", app, got)
		}
	}
	relative := map[string]string{"STATE_DIRECTORY": "state", "HOME": home["HOME"]}
	if got, err := localstore.Dir("vw", env("linux", 1000, relative)); err == nil {
		t.Errorf("Dir with a relative STATE_DIRECTORY = %q, want an error", got)
	}
}

func TestKnown(t *testing.T) {
	state := t.TempDir()
	e := env("linux", 1000, map[string]string{"XDG_STATE_HOME": state})
	if got := localstore.Known(e); got != nil {
		t.Errorf("Known without any store = %q", got)
	}
	write := func(text string, elem ...string) {
		t.Helper()
		path := filepath.Join(append([]string{state}, elem...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, app := range []string{"vw", "blog", "notes.db"} {
		dir, err := localstore.Dir(app, e)
		if err != nil {
			t.Fatal(err)
		}
		write(`{"app":"`+app+`"}`, mustRel(t, state, dir), "lifeboat.json")
	}
	write("", "lifeboat", "empty", "lock")
	write("", "lifeboat", "file")
	write("{}", "lifeboat", "Not A Name", "lifeboat.json")
	if diff := cmp.Diff([]string{"blog", "notes.db", "vw"}, localstore.Known(e)); diff != "" {
		t.Errorf("Known (-want +got):\n%s", diff)
	}

	for marker, want := range map[string][]string{
		`{"format":"lifeboat/1","app":"vw"}`: {"vw"}, `{"app":"../x"}`: nil, `{"app":`: nil, ``: nil,
	} {
		write(marker, "service", "lifeboat.json")
		service := env("linux", 0, map[string]string{"STATE_DIRECTORY": filepath.Join(state, "service")})
		if diff := cmp.Diff(want, localstore.Known(service)); diff != "" {
			t.Errorf("Known of a service with the marker %q (-want +got):\n%s", marker, diff)
		}
	}
	for _, vars := range []map[string]string{nil, {"HOME": os.DevNull}, {"STATE_DIRECTORY": "relative"}, {"STATE_DIRECTORY": os.DevNull}} {
		if got := localstore.Known(env("linux", 1000, vars)); got != nil {
			t.Errorf("Known with %v = %q", vars, got)
		}
	}
}

func mustRel(t *testing.T, base, path string) string {
	t.Helper()
	rel, err := filepath.Rel(base, path)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}
