package restore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
	"lifeboat/manifest"
)

// Sources returns the names of the sources of which a selection leaves anything.
func Sources(ctx context.Context, s *layout.Snapshot, only, except []string) ([]string, error) {
	sel, err := newSelection(only, except)
	if err != nil {
		return nil, err
	}
	p, err := makePlan(ctx, s, sel)
	if err != nil {
		return nil, err
	}
	return p.names(), nil
}

// FileOf returns the name of the file that a source is, or "" if it is a directory.
func FileOf(ctx context.Context, s *layout.Snapshot, source string) (string, error) {
	for _, src := range s.Head.Sources {
		if src.Name == source && src.Type == manifest.DirectorySource {
			return "", nil
		}
	}
	for f, err := range s.FilesFrom(ctx, source+"/") {
		if err != nil {
			return "", err
		}
		if name, ok := strings.CutPrefix(f.Path, source+"/"); ok {
			return local(name)
		}
		break
	}
	return "", fmt.Errorf("the snapshot has no file of source %s", source)
}

// SwapTargets returns the paths at which an exchange changes something.
func SwapTargets(sw *swap.Swap) (list []string) {
	for _, m := range sw.Record().Members {
		list = append(list, m.Target)
	}
	return list
}

// SaveCurrent saves what is now where a restore laid something down. It returns nil when there is nothing.
func SaveCurrent(ctx context.Context, sw *swap.Swap, save func(context.Context, []Current) (*Saved, error)) (*Saved, error) {
	var current []Current
	for name, path := range sw.Record().Info.Targets {
		if _, err := os.Lstat(path); err == nil {
			current = append(current, Current{name, path})
		}
	}
	if len(current) == 0 {
		return nil, nil
	}
	saved, err := save(ctx, current)
	if err != nil {
		return nil, fmt.Errorf("save the current state (--no-pre-snapshot goes without): %w", err)
	}
	return saved, nil
}

// CheckSwapped looks at the databases that a completed exchange has brought into place: each by itself, or in a directory.
func CheckSwapped(ctx context.Context, sw *swap.Swap) error {
	for _, target := range SwapTargets(sw) {
		err := filepath.WalkDir(target, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !isDatabaseFile(path) {
				return err
			}
			integrity, detail, err := sqlitedb.Check(ctx, path, sqlitedb.Quick)
			if err == nil && integrity == sqlitedb.Corrupt {
				return fmt.Errorf("%s: %s", path, detail)
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("look at what is in place now: %w", err)
		}
	}
	return nil
}

func isDatabaseFile(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return sqlitedb.BeginsDatabase(f)
}
