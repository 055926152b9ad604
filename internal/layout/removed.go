package layout

import (
	"context"
	"io"
	"strings"
	"time"

	"lifeboat/manifest"
	"lifeboat/remote"
)

const (
	removedPrefix = "removed/"
	pruningPrefix = "pruning/"
)

// RemovedKey returns the key under which the manifest of a removed snapshot is kept for a while.
func RemovedKey(id manifest.ID) string { return removedPrefix + id.String() + manifestSuffix }

// PruningKey returns the key of the mark of one run of a prune.
func PruningKey(run string) string { return pruningPrefix + run }

// Removed lists the manifests of removed snapshots, oldest first. ModTime is when they were removed. One may be listed by Snapshots as
// well: its removal was not completed, or was taken back.
func (s Store) Removed(ctx context.Context) ([]Entry, error) {
	return s.entries(ctx, removedPrefix)
}

// OfRemoved returns a view of the store in which the snapshots are those that were removed. It is for reading.
func (s Store) OfRemoved() Store { return Store{removedView(s)} }

type removedView struct{ remote.Store }

func (v removedView) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if name, ok := strings.CutPrefix(key, manifestsPrefix); ok {
		key = removedPrefix + name
	}
	return v.Store.Open(ctx, key, off, n)
}

// A Mark tells of one run of a prune. While the run may remove something, Ended is false.
type Mark struct {
	Run     string
	Ended   bool
	ModTime time.Time
}

// markEnded is the content of the mark of a run that has ended; that of another is empty.
const markEnded = "ended\n"

// PutMark marks that a run of a prune begins or has ended.
func (s Store) PutMark(ctx context.Context, run string, ended bool) error {
	content := ""
	if ended {
		content = markEnded
	}
	return s.PutSmall(ctx, PruningKey(run), []byte(content), remote.PutOptions{})
}

// Marks lists the marks of prunes.
func (s Store) Marks(ctx context.Context) ([]Mark, error) {
	var marks []Mark
	for info, err := range s.List(ctx, pruningPrefix) {
		if err != nil {
			return nil, err
		}
		marks = append(marks, markOf(info))
	}
	return marks, nil
}

func markOf(info remote.Info) Mark {
	return Mark{strings.TrimPrefix(info.Key, pruningPrefix), info.Size > 0, info.ModTime}
}

// A Survey is what one listing of a whole store shows. It holds some 100 bytes for each archive.
type Survey struct {
	Snapshots []Entry // oldest first
	Archives  map[manifest.Hash]ArchiveInfo
	Marks     []Mark
}

// Survey lists the store once, from end to end.
func (s Store) Survey(ctx context.Context) (*Survey, error) {
	v := &Survey{Archives: map[manifest.Hash]ArchiveInfo{}}
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if a, ok := archiveOf(info); ok {
			v.Archives[a.SHA256] = a
		} else if e, ok := entryOf(info, manifestsPrefix); ok {
			v.Snapshots = append(v.Snapshots, e)
		} else if strings.HasPrefix(info.Key, pruningPrefix) {
			v.Marks = append(v.Marks, markOf(info))
		}
	}
	return v, nil
}
