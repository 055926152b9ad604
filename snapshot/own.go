package snapshot

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/internal/layout"
)

// ownAbove reports whether a path is one of the directories that are never captured, or lies in one.
func (t *take) ownAbove(path string) bool {
	for {
		if fi, err := os.Stat(path); err == nil && t.avoided(fi) {
			return true
		}
		parent := filepath.Dir(path)
		if parent == path {
			return false
		}
		path = parent
	}
}

func (t *take) avoided(fi fs.FileInfo) bool {
	return slices.ContainsFunc(t.avoid, func(a fs.FileInfo) bool { return os.SameFile(a, fi) })
}

// isScratch reports whether a directory is the one for temporary files of this capture.
func (t *take) isScratch(d *dir) bool {
	fi, err := os.Stat(t.scratch)
	return err == nil && os.SameFile(fi, d.info)
}

// own returns why a directory below a source is not captured: it is a store, of this backup or of another. A backup of backups would grow
// with each run; who wants one names the store as a source.
func (t *take) own(d *dir) string {
	switch {
	case t.avoided(d.info):
		return "lifeboat keeps its own files there"
	case isStore(d.root):
		return "it is a lifeboat store; to back it up all the same, name it as a source"
	}
	return ""
}

// isStore reports whether a directory has the marker of a store, of whatever format.
func isStore(dir *os.Root) bool {
	fi, err := dir.Lstat(layout.MarkerKey)
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, _, err := openSame(dir, layout.MarkerKey, sight{FileInfo: fi})
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := f.ReadAt(head, 0)
	var m layout.Marker
	return json.Unmarshal(head[:n], &m) == nil && strings.HasPrefix(m.Format, "lifeboat/") && m.ID != "" && m.App != ""
}
