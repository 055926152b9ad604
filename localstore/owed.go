package localstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// owedName is the directory in which manifests lie of snapshots that are not whole in the local store, and that some remote still
// lacks. It is a store that has nothing else, so nobody takes a snapshot to be here because it is owed.
const owedName = "owed"

// Owed returns the store of the manifests that are owed to remotes, and those it has, oldest first. What is left here of
// their archives, Retain keeps.
func (s *Store) Owed(ctx context.Context) (layout.Store, []layout.Entry, error) {
	owed, err := s.owed(false)
	if err != nil {
		return owed, nil, err
	}
	if _, err := os.Stat(filepath.Join(s.path, owedName)); errors.Is(err, fs.ErrNotExist) {
		return owed, nil, nil
	}
	entries, err := owed.Snapshots(ctx)
	return owed, entries, err
}

// Owe notes that remotes are to get a snapshot that is not whole here. The archives that describe it are here.
func (s *Store) Owe(ctx context.Context, id manifest.ID, stored []byte) error {
	owed, err := s.owed(true)
	if err != nil {
		return err
	}
	return owed.Commit(ctx, id, stored)
}

// Settle forgets that a snapshot is owed: every remote has it, or nobody can give it to them.
func (s *Store) Settle(ctx context.Context, id manifest.ID) error {
	owed, err := s.owed(false)
	if err != nil {
		return err
	}
	return owed.Delete(ctx, layout.ManifestKey(id))
}

func (s *Store) owed(create bool) (layout.Store, error) {
	dir, err := remote.NewDir(filepath.Join(s.path, owedName), remote.DirOptions{Create: create})
	return layout.Store{Store: dir}, err
}
