package localstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A Store is the local store of one application: a directory in the layout of every store, in which snapshots are
// made. It is the spool too: what a remote does not have yet waits here.
type Store struct {
	layout.Store
	dir    *remote.Dir
	path   string
	noting sync.Mutex // of known.json
}

// Open opens the local store at path. That there is none is fs.ErrNotExist.
func Open(ctx context.Context, path string) (*Store, error) {
	dir, err := remote.NewDir(path, remote.DirOptions{})
	if err != nil {
		return nil, err
	}
	s := &Store{Store: layout.Store{Store: dir}, dir: dir, path: path}
	if _, err := s.Marker(ctx); err != nil {
		_, statErr := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(statErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("local store %s: %w", path, fs.ErrNotExist)
		}
		return nil, err // such as a directory that is not ours to read
	}
	return s, nil
}

// ForeignError reports a store that belongs to another application.
type ForeignError struct {
	Store    string
	App, Own string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to the application %q, not to %q; choose another store, or name that application with --app", e.Store, e.App, e.Own)
}

// Prepare opens the local store at path for writing, and makes it when there is none; made says so. The caller
// holds the lock of path.
func Prepare(ctx context.Context, path, app string, kit []layout.File) (s *Store, made bool, err error) {
	dir, err := remote.NewDir(path, remote.DirOptions{Create: true})
	if err != nil {
		return nil, false, err
	}
	s = &Store{Store: layout.Store{Store: dir}, dir: dir, path: path}
	made, err = EnsureMarker(ctx, s.Store, app, kit)
	return s, made, err
}

// EnsureMarker makes a place a store of app unless it is one, and reports whether it did. A store of another application
// is a *ForeignError.
func EnsureMarker(ctx context.Context, s layout.Store, app string, kit []layout.File) (made bool, err error) {
	m, err := s.Marker(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		_, made, err = MakeMarker(ctx, s, app, kit)
		return made, err
	}
	if err != nil {
		return false, err
	}
	return false, checkApp(s, m, app)
}

// MakeMarker makes a place a store of app that was none just now. It returns the marker that is there then, and reports whether it is the one that was
// made: another process may have been first. If that has made a store of another application, it is a *ForeignError.
func MakeMarker(ctx context.Context, s layout.Store, app string, kit []layout.File) (m layout.Marker, made bool, err error) {
	id := uuid.NewString()
	m, err = s.Init(ctx, layout.Marker{ID: id, App: app, Created: time.Now().UTC().Truncate(time.Second)}, kit)
	if err == nil {
		err = checkApp(s, m, app)
	}
	return m, err == nil && m.ID == id, err
}

func checkApp(s layout.Store, m layout.Marker, app string) error {
	if m.App != app {
		return &ForeignError{s.String(), m.App, app}
	}
	return nil
}

// Path returns the directory of the store.
func (s *Store) Path() string { return s.path }

// Create begins an archive; it implements snapshot.Target with Commit.
func (s *Store) Create(context.Context, string) (archive.Object, error) {
	u, err := s.dir.Create("archives")
	if err != nil {
		return nil, err
	}
	return object{u}, nil
}

// object is an archive on its way into the store.
type object struct{ *remote.Upload }

// Commit gives the archive its name. All its bytes are written by then, so it is not worth interrupting.
func (o object) Commit(a *manifest.Archive) error {
	return o.Upload.Commit(context.Background(), layout.ArchiveKey(a.SHA256), remote.PutOptions{})
}
