package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lifeboat/internal/config"
	"lifeboat/internal/environ"
)

// machine is a made-up machine below one temporary directory.
type machine struct {
	*testing.T
	dir  string
	vars map[string]string
	env  environ.Env
}

func newMachine(t *testing.T) *machine {
	dir := t.TempDir()
	m := &machine{T: t, dir: dir, vars: map[string]string{}}
	m.vars["HOME"] = filepath.Join(dir, "home")
	m.env = environ.Env{
		OS: "linux", UID: os.Geteuid(), Dir: filepath.Join(dir, "work"),
		Getenv: func(k string) string { return m.vars[k] },
	}
	return m
}

// write makes a configuration that names its application, and returns its path.
func (m *machine) write(app string, elem ...string) string {
	m.Helper()
	path := filepath.Join(append([]string{m.dir}, elem...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("app: "+app+"\n"), 0o644); err != nil {
		m.Fatal(err)
	}
	return path
}

// want loads the configuration and compares the application.
func (m *machine) want(file, app string) {
	m.Helper()
	c, err := config.Load(file, m.env)
	if err != nil {
		m.Errorf("Load(%q): %v", file, err)
		return
	}
	if c.App != app {
		m.Errorf("Load(%q) read %q of %q, want %q", file, c.App, c.File, app)
	}
}

func TestLoadOrder(t *testing.T) {
	if _, err := os.Stat("/etc/lifeboat/lifeboat.yaml"); err == nil {
		t.Skip("NOT CHECKED: the search order; this machine has /etc/lifeboat/lifeboat.yaml")
	}
	m := newMachine(t)
	m.want("", "")
	m.write("mac", "home", "Library", "Application Support", "lifeboat", "lifeboat.yaml")
	m.want("", "")
	m.write("user", "home", ".config", "lifeboat", "lifeboat.yaml")
	m.want("", "user")
	m.vars["XDG_CONFIG_HOME"] = filepath.Join(m.dir, "xdg")
	m.want("", "")
	m.write("xdg", "xdg", "lifeboat", "lifeboat.yaml")
	m.want("", "xdg")
	m.vars["XDG_CONFIG_HOME"] = "relative"
	m.want("", "user")
	m.write("here", "work", "lifeboat.yaml")
	m.want("", "here")
	m.vars["LIFEBOAT_CONFIG"] = m.write("variable", "variable.yaml")
	m.want("", "variable")
	m.want(m.write("flag", "flag.yaml"), "flag")
	m.want("../flag.yaml", "flag")

	m.env.OS = "darwin"
	delete(m.vars, "LIFEBOAT_CONFIG")
	m.env.Dir = ""
	m.want("", "mac")

	m.env.OS = "windows"
	m.vars["PROGRAMDATA"] = filepath.Join(m.dir, "ProgramData")
	m.write("all users", "ProgramData", "lifeboat", "lifeboat.yaml")
	if _, err := config.Load("", m.env); err == nil || !strings.Contains(err.Error(), "all users") {
		t.Errorf("the file of all users was not read: %v", err)
	}
	m.vars["APPDATA"] = filepath.Join(m.dir, "AppData")
	m.write("roaming", "AppData", "lifeboat", "lifeboat.yaml")
	m.want("", "roaming")
}

func TestLoadWithoutHome(t *testing.T) {
	if _, err := os.Stat("/etc/lifeboat/lifeboat.yaml"); err == nil {
		t.Skip("NOT CHECKED: loading without HOME; this machine has /etc/lifeboat/lifeboat.yaml")
	}
	m := newMachine(t)
	for _, home := range []string{"", os.DevNull, "/nonexistent"} {
		m.vars["HOME"] = home
		m.want("", "")
	}
}

func TestNamedFileMustBeThere(t *testing.T) {
	m := newMachine(t)
	m.write("here", "work", "lifeboat.yaml")
	if _, err := config.Load("missing.yaml", m.env); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing file = %v, want fs.ErrNotExist", err)
	}
	m.vars["LIFEBOAT_CONFIG"] = "missing.yaml"
	if _, err := config.Load("", m.env); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing file named by LIFEBOAT_CONFIG = %v, want fs.ErrNotExist", err)
	}
}

// A broken file must never be passed over for the next one.
func TestBrokenFileStopsTheSearch(t *testing.T) {
	m := newMachine(t)
	m.write("user", "home", ".config", "lifeboat", "lifeboat.yaml")
	m.write("Bad Name", "work", "lifeboat.yaml")
	var e *config.Error
	if _, err := config.Load("", m.env); !errors.As(err, &e) {
		t.Errorf("Load = %v, want the problems of the file", err)
	}
	path := filepath.Join(m.dir, "work", "lifeboat.yaml")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load("", m.env); err == nil {
		t.Errorf("Load with a directory in the file's place = %+v", c)
	}
}

func TestFileOfOthersIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT CHECKED: owners and modes, which Windows does not have")
	}
	refused := func(m *machine, want string) {
		m.Helper()
		if c, err := config.Load("", m.env); err == nil || !strings.Contains(err.Error(), want) {
			m.Errorf("Load = %+v, %v; want an error with %q in it", c, err, want)
		}
	}
	setup := func(t *testing.T) (*machine, string) {
		m := newMachine(t)
		m.write("user", "home", ".config", "lifeboat", "lifeboat.yaml")
		return m, m.write("here", "work", "lifeboat.yaml")
	}

	t.Run("writable", func(t *testing.T) {
		m, path := setup(t)
		for mode, want := range map[fs.FileMode]string{0o664: "0664", 0o646: "0646", 0o666: "chmod go-w " + path} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			refused(m, want)
			m.want("lifeboat.yaml", "here") // who names it, means it
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		m.want("", "here")
	})
	t.Run("owner", func(t *testing.T) {
		m, path := setup(t)
		owner := os.Geteuid()
		if owner == 0 {
			m.env.UID = 4242
			m.want("", "here") // root's files are trusted
			owner = 4343
			if err := os.Chown(path, owner, -1); err != nil {
				t.Fatal(err)
			}
		}
		m.env.UID = owner
		m.want("", "here")
		m.env.UID = owner + 1
		refused(m, "--config "+path)
		m.env.UID = 0
		refused(m, "--config "+path)
	})
	t.Run("link", func(t *testing.T) {
		m, path := setup(t)
		target := m.write("target", "elsewhere.yaml")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		m.want("", "target")
		if err := os.Chmod(target, 0o666); err != nil {
			t.Fatal(err)
		}
		refused(m, "chmod go-w")
		if err := os.Chmod(target, 0o644); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 {
			t.Skip("NOT CHECKED: a symlink that another user made; needs root")
		}
		if err := os.Lchown(path, 4343, -1); err != nil {
			t.Fatal(err)
		}
		refused(m, "belongs to user 4343")
	})
}
