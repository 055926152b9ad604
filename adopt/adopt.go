// Package adopt takes over the snapshots of the Python tool that lifeboat replaces, so that nobody loses history by moving over.
//
// That tool wrote each snapshot into a directory of its own, named by its time:
//
//	<backup directory>/snapshots/<stamp>/
//	    backup-metadata.json    when it was made, what is in it and how large that is
//	    db/<name>               the database, a copy made by SQLite's backup API
//	    config/<name>           the registry, a JSON file; not in each
//	    chroma/                 the vector store, as it is on disk; not in each
//
// Inspect looks at one and says everything that is wrong with it; Take makes it a snapshot of lifeboat's, of kind manifest.Adopted, with
// its own stamp and pinned. Nothing of the old snapshots is changed. Their metadata is not trusted: a path that it records is looked for inside
// the snapshot's directory and nowhere else, wherever it was when it was recorded.
package adopt

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// Names are those that the three sources have in the snapshots of lifeboat.
type Names struct {
	Database, Registry, Chroma string
}

// DefaultNames are those of docs/examples/app.yaml.
var DefaultNames = Names{"database", "registry", "chroma"}

// Check reports names that no source can have, or that are not three.
func (n Names) Check() error {
	for _, name := range []string{n.Database, n.Registry, n.Chroma} {
		if err := manifest.CheckName(name); err != nil {
			return err
		}
	}
	if n.Database == n.Registry || n.Database == n.Chroma || n.Registry == n.Chroma {
		return fmt.Errorf("the database, the registry and the vector store need three names: %s, %s, %s", n.Database, n.Registry, n.Chroma)
	}
	return nil
}

// Code says what is wrong with an old snapshot, for programs. Codes are never renamed.
type Code string

// These pass a snapshot over: it is not known, or not for certain, what is in it.
const (
	MetadataMissing Code = "metadata_missing"
	MetadataInvalid Code = "metadata_invalid_json"
	StampUnknown    Code = "stamp_unknown"         // neither its name nor its metadata tells the time
	Ambiguous       Code = "db_snapshot_ambiguous" // several files may be the database
)

// These are damage.
const (
	DatabaseMissing Code = "db_snapshot_missing"
	DatabaseSize    Code = "db_size_mismatch" // not the size that was recorded
	DatabaseCorrupt Code = "db_integrity_check_failed"
	RegistryMissing Code = "registry_snapshot_missing"
	RegistryInvalid Code = "registry_invalid_json"
	ChromaMissing   Code = "chroma_snapshot_missing"
	ChromaSize      Code = "chroma_size_mismatch"
	ChromaFiles     Code = "chroma_files_mismatch" // not as many as were recorded
	ChromaCorrupt   Code = "chroma_integrity_check_failed"
	Unreadable      Code = "snapshot_unreadable" // it is there and cannot be read
	CaptureFailed   Code = "capture_failed"      // something was wrong that showed only when it was captured
)

// Damage reports whether a code stands for damage, not for something that is not known.
func (c Code) Damage() bool {
	return !slices.Contains([]Code{MetadataMissing, MetadataInvalid, StampUnknown, Ambiguous}, c)
}

// A Finding is one thing that is wrong with an old snapshot.
type Finding struct {
	Code   Code   `json:"code"`
	Path   string `json:"path,omitempty"` // below the snapshot's directory
	Detail string `json:"detail"`
}

// A Found is an old snapshot.
type Found struct {
	Dir      string         // absolute
	Name     string         // of the directory
	Stamp    manifest.Stamp // "" if it is not known
	Sources  []snapshot.Source
	Omitted  []manifest.Omission
	LeftOut  []string // what is beside the sources and is not taken: paths below Dir
	Findings []Finding
}

// add notes a finding.
func (f *Found) add(code Code, path, detail string) {
	f.Findings = append(f.Findings, Finding{code, filepath.ToSlash(path), detail})
}

// Damaged reports whether any finding is damage.
func (f *Found) Damaged() bool {
	return slices.ContainsFunc(f.Findings, func(g Finding) bool { return g.Code.Damage() })
}

// Acceptable reports whether nothing stands against taking the snapshot; without says that its metadata may be missing or not readable.
func (f *Found) Acceptable(without bool) bool {
	return !slices.ContainsFunc(f.Findings, func(g Finding) bool {
		return !without || g.Code != MetadataMissing && g.Code != MetadataInvalid
	})
}

// ErrOneSnapshot says that a directory is an old snapshot itself, where one is wanted that holds them.
var ErrOneSnapshot = errors.New("it is one snapshot")

// List returns the directories of old snapshots, in the order of their times, from a backup directory of the Python tool or from the
// directory of snapshots in it, which is the first result.
func List(dir string) (snapshots string, dirs []string, err error) {
	below := filepath.Join(dir, "snapshots")
	if info, err := os.Stat(below); err == nil && info.IsDir() {
		dir = below
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == metadataName }) {
		return "", nil, fmt.Errorf("%s: %w", dir, ErrOneSnapshot)
	}
	for _, e := range entries {
		if e.IsDir() || isLinkToDir(dir, e) {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	slices.SortStableFunc(dirs, func(a, b string) int {
		return cmp.Or(strings.Compare(string(stampOfName(filepath.Base(a))), string(stampOfName(filepath.Base(b)))), strings.Compare(a, b))
	})
	return dir, dirs, nil
}

func isLinkToDir(dir string, e fs.DirEntry) bool {
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return e.Type()&fs.ModeSymlink != 0 && err == nil && info.IsDir()
}

// The spellings of a time, in UTC, as the name of a snapshot's directory.
var spellings = []string{"20060102T150405Z", "20060102-150405", "20060102_150405"}

// stampOfName returns the stamp that the name of a directory tells, or "".
func stampOfName(name string) manifest.Stamp {
	for _, layout := range spellings {
		if t, err := time.Parse(layout, name); err == nil && t.Format(layout) == name {
			return manifest.StampOf(t)
		}
	}
	return ""
}

// stampOfTime returns the stamp of a time as Python's isoformat writes it, or "". One without a zone is UTC.
func stampOfTime(text string) manifest.Stamp {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return manifest.StampOf(t)
		}
	}
	return ""
}

// pathless returns what an error about a file says, without the path, which stands beside it.
func pathless(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return err.Error()
}
