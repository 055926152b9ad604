// Package environ holds what a process learns from the machine around it, as one value: the system, the
// user, the working directory and the environment variables. Code that decides by them takes an [Env],
// so that a test can say exactly what it runs in, and only main asks the real machine, by [Current].
package environ

import (
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Env is the surroundings of one process.
type Env struct {
	OS     string              // as runtime.GOOS
	UID    int                 // effective user number; -1 where the system has none
	Dir    string              // working directory, absolute; "" when it is gone
	Getenv func(string) string // value of an environment variable, "" when it is not set
	Now    func() time.Time    // the machine's clock, which may be wrong
}

// Current returns the surroundings of this process.
func Current() Env {
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	return Env{OS: runtime.GOOS, UID: os.Geteuid(), Dir: dir, Getenv: os.Getenv, Now: time.Now}
}

// Root reports whether the process may do everything, on systems that know such a user.
func (e Env) Root() bool { return e.UID == 0 && e.OS != "windows" }

// Home returns the user's home directory, or "" when the environment names none. A relative one is not
// believed.
func (e Env) Home() string {
	if e.OS == "windows" {
		return e.AbsVar("USERPROFILE")
	}
	return e.AbsVar("HOME")
}

// AbsVar returns the value of a variable that holds an absolute path, and "" for one that is not set or
// relative, as the XDG Base Directory Specification asks for its own variables.
func (e Env) AbsVar(name string) string {
	value := e.Getenv(name)
	if !filepath.IsAbs(value) {
		return ""
	}
	return filepath.Clean(value)
}

// Abs returns path made absolute against the working directory.
func (e Env) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.Dir, path)
}

// TempDir returns the directory for temporary files, as os.TempDir does.
func (e Env) TempDir() string {
	if dir := e.Getenv("TMPDIR"); dir != "" && e.OS != "windows" {
		return e.Abs(dir)
	}
	return os.TempDir()
}

// CacheDir returns the user's directory for what can be made again, or "" when the environment names none: $XDG_CACHE_HOME or ~/.cache,
// on macOS ~/Library/Caches, on Windows %LOCALAPPDATA%.
func (e Env) CacheDir() string {
	below := func(dir string, names ...string) string {
		if dir == "" {
			return ""
		}
		return filepath.Join(append([]string{dir}, names...)...)
	}
	switch e.OS {
	case "windows":
		return below(e.AbsVar("LOCALAPPDATA"), "cache")
	case "darwin":
		return below(e.Home(), "Library", "Caches")
	}
	if dir := e.AbsVar("XDG_CACHE_HOME"); dir != "" {
		return dir
	}
	return below(e.Home(), ".cache")
}
