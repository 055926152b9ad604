package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lifeboat/internal/environ"
)

// FileName is the name of the configuration file wherever it is looked for.
const FileName = "lifeboat.yaml"

// Load reads the configuration. If file (the value of --config) or the variable LIFEBOAT_CONFIG names
// one, that one; it must be there. Else the first that is there of lifeboat.yaml in the working
// directory, in lifeboat/ in the user's configuration directory, and in the system's. When there is
// none, the result is [Default].
//
// The file in the working directory is used only if it belongs to the user or to root and nobody else
// may write it, for a command may be run in a directory where others can put files; else Load fails
// rather than pass it over. Windows has no such check.
func Load(file string, env environ.Env) (*Config, error) {
	if file == "" {
		file = env.Getenv("LIFEBOAT_CONFIG")
	}
	if file != "" {
		return read(env.Abs(file), nil)
	}
	if env.Dir != "" {
		c, err := read(filepath.Join(env.Dir, FileName), trust(env))
		if !absent(err) {
			return c, err
		}
	}
	for _, dir := range []string{userDir(env), systemDir(env)} {
		if dir == "" {
			continue
		}
		c, err := read(filepath.Join(dir, "lifeboat", FileName), nil)
		if !absent(err) {
			return c, err
		}
	}
	return Default(), nil
}

// absent reports that there is no file; a parent that is no directory counts, as with HOME=/dev/null.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// read opens one file, asks check about it (before the open with the name's own record, after it with
// the opened file's, so that nothing can be exchanged between), and parses it.
func read(path string, check func(path string, info fs.FileInfo) error) (*Config, error) {
	if check != nil {
		info, err := os.Lstat(path)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := check(path, info); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	if check != nil {
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := check(path, info); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// trust returns the check of the file in the working directory.
func trust(env environ.Env) func(string, fs.FileInfo) error {
	return func(path string, info fs.FileInfo) error {
		link := info.Mode()&fs.ModeSymlink != 0
		if !link && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file: remove it, or name another with --config FILE", path)
		}
		uid, known := ownerOf(info)
		if !known {
			return nil
		}
		if uid != env.UID && uid != 0 {
			return fmt.Errorf("%s belongs to user %d, not to you, so it is not used: "+
				"read it, and if it is right, name it with --config %s", path, uid, path)
		}
		if perm := info.Mode().Perm(); !link && perm&0o022 != 0 {
			return fmt.Errorf("%s can be written by others (mode %04o), so it is not used: "+
				"read it, and if it is right, run chmod go-w %s", path, perm, path)
		}
		return nil
	}
}

// userDir returns the user's configuration directory, or "" when the environment tells none.
func userDir(env environ.Env) string {
	below := func(base string, elem ...string) string {
		if base == "" {
			return ""
		}
		return filepath.Join(append([]string{base}, elem...)...)
	}
	switch env.OS {
	case "windows":
		return env.AbsVar("APPDATA")
	case "darwin":
		return below(env.Home(), "Library", "Application Support")
	}
	if dir := env.AbsVar("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	return below(env.Home(), ".config")
}

// systemDir returns the configuration directory of the whole machine.
func systemDir(env environ.Env) string {
	if env.OS == "windows" {
		return env.AbsVar("PROGRAMDATA")
	}
	return "/etc"
}
