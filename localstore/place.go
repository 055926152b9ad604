// Package localstore keeps the snapshots of one application on this machine. The store is a directory
// in the layout of every other store; what this package adds is where it lies ([Dir]), that one process
// at a time changes it ([Lock]), and that what a crash left behind is swept up ([Held.Sweep]).
package localstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/environ"
	"lifeboat/manifest"
)

// markerName is the object that every store has, and by which a directory is known as one.
const markerName = "lifeboat.json"

// maxMarker bounds what is read of a marker, in bytes.
const maxMarker = 64 << 10

// ErrNoPlace says that the environment names no place for a local store.
var ErrNoPlace = errors.New("no place for the local store: neither HOME nor STATE_DIRECTORY is set; give --store DIR")

// Dir returns the directory of an application's local store, which may not exist yet. It is
//
//   - $STATE_DIRECTORY, which systemd sets for a service with StateDirectory=; of several, the first;
//   - else, for root, /var/lib/lifeboat/<app>;
//   - else lifeboat/<app> in the user's state directory: $XDG_STATE_HOME or ~/.local/state, on macOS
//     ~/Library/Application Support, on Windows %LOCALAPPDATA%.
//
// It returns [ErrNoPlace] when the environment tells none of these.
func Dir(app string, env environ.Env) (string, error) {
	if err := manifest.CheckName(app); err != nil {
		return "", fmt.Errorf("place the local store: %w", err)
	}
	own, err := serviceDir(env)
	if own != "" || err != nil {
		return own, err
	}
	parent := parentDir(env)
	if parent == "" {
		return "", ErrNoPlace
	}
	return filepath.Join(parent, app), nil
}

// Known returns the applications that have a local store where [Dir] would place it, in ascending
// order. A directory counts when it holds the marker of a store. What can't be read is left out.
func Known(env environ.Env) []string {
	if own, err := serviceDir(env); own != "" || err != nil {
		if app := markedApp(own); app != "" {
			return []string{app}
		}
		return nil
	}
	parent := parentDir(env)
	if parent == "" {
		return nil
	}
	entries, _ := os.ReadDir(parent)
	var apps []string
	for _, e := range entries {
		if manifest.CheckName(e.Name()) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(parent, e.Name(), markerName)); err == nil {
			apps = append(apps, e.Name())
		}
	}
	return apps
}

// Closed returns a local store, or the directory of several, that is there and may not be read: where [Dir] would place one, or where
// those of root are. It is "" when there is none.
func Closed(env environ.Env) string {
	dir, err := serviceDir(env)
	if err != nil || dir == "" && (env.Root() || env.OS == "windows") {
		return ""
	}
	if dir == "" {
		dir = rootDir
	}
	if _, err := os.ReadDir(dir); errors.Is(err, fs.ErrPermission) {
		return dir
	}
	return ""
}

// rootDir is where the local stores of root are.
const rootDir = "/var/lib/lifeboat"

// serviceDir returns the first directory of $STATE_DIRECTORY, "" when it is not set. See
// systemd.exec(5).
func serviceDir(env environ.Env) (string, error) {
	dir := env.Getenv("STATE_DIRECTORY")
	if env.OS != "windows" { // where systemd is not, and a colon follows the drive
		dir, _, _ = strings.Cut(dir, ":")
	}
	if dir == "" {
		return "", nil
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("place the local store: STATE_DIRECTORY is %q, not an absolute path; give --store DIR", dir)
	}
	return filepath.Clean(dir), nil
}

// parentDir returns the directory in which each application has its own, "" when there is none.
func parentDir(env environ.Env) string {
	if env.Root() {
		return rootDir
	}
	state := env.AbsVar("XDG_STATE_HOME")
	elem := []string{".local", "state"}
	switch env.OS {
	case "windows":
		state = env.AbsVar("LOCALAPPDATA")
		elem = []string{"AppData", "Local"}
	case "darwin":
		state = ""
		elem = []string{"Library", "Application Support"}
	}
	if state == "" {
		if env.Home() == "" {
			return ""
		}
		state = filepath.Join(append([]string{env.Home()}, elem...)...)
	}
	return filepath.Join(state, "lifeboat")
}

// markedApp returns the application that the marker in dir names, "" when it names none.
func markedApp(dir string) string {
	f, err := os.Open(filepath.Join(dir, markerName))
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMarker))
	if err != nil {
		return ""
	}
	var marker struct {
		App string `json:"app"`
	}
	if json.Unmarshal(data, &marker) != nil || manifest.CheckName(marker.App) != nil {
		return ""
	}
	return marker.App
}
