package environ_test

import (
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/environ"
)

func env(goos string, uid int, vars map[string]string) environ.Env {
	return environ.Env{OS: goos, UID: uid, Dir: os.TempDir(), Getenv: func(k string) string { return vars[k] }}
}

func TestHome(t *testing.T) {
	abs := filepath.Join(os.TempDir(), "h")
	for _, tt := range []struct {
		goos string
		vars map[string]string
		want string
	}{
		{"linux", map[string]string{"HOME": abs}, abs},
		{"linux", map[string]string{"HOME": abs + "/./"}, abs},
		{"linux", map[string]string{"HOME": "relative"}, ""},
		{"linux", nil, ""},
		{"linux", map[string]string{"USERPROFILE": abs}, ""},
		{"windows", map[string]string{"USERPROFILE": abs, "HOME": "/other"}, abs},
	} {
		if got := env(tt.goos, 1000, tt.vars).Home(); got != tt.want {
			t.Errorf("Home on %s with %v = %q, want %q", tt.goos, tt.vars, got, tt.want)
		}
	}
}

func TestRoot(t *testing.T) {
	for _, tt := range []struct {
		goos string
		uid  int
		want bool
	}{{"linux", 0, true}, {"linux", 1000, false}, {"windows", -1, false}, {"windows", 0, false}} {
		if got := env(tt.goos, tt.uid, nil).Root(); got != tt.want {
			t.Errorf("Root of %d on %s = %v", tt.uid, tt.goos, got)
		}
	}
}

func TestAbs(t *testing.T) {
	e := env("linux", 0, nil)
	abs := filepath.Join(os.TempDir(), "x")
	for path, want := range map[string]string{
		"x": abs, "./a/../x": abs, abs: abs, abs + "/y/..": abs,
	} {
		if got := e.Abs(path); got != want {
			t.Errorf("Abs(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestCurrent(t *testing.T) {
	t.Setenv("LIFEBOAT_TEST_VARIABLE", "x")
	dir := t.TempDir()
	t.Chdir(dir)
	e := environ.Current()
	if e.Getenv("LIFEBOAT_TEST_VARIABLE") != "x" || e.UID != os.Geteuid() || !filepath.IsAbs(e.Dir) {
		t.Errorf("Current() = %+v", e)
	}
}
