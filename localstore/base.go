package localstore

import (
	"path/filepath"

	"lifeboat/internal/durable"
)

// baseName is the file that says what the next snapshot is compared with; see snapshot.Base. It is not part of the store: nothing but time
// is lost with it.
const baseName = "base"

// BasePath returns where the base of the next snapshot lies, if there is one.
func (s *Store) BasePath() string { return filepath.Join(s.path, baseName) }

// NextBase begins a new base, for which KeepBase is called when it is complete, and its Discard otherwise.
func (s *Store) NextBase() (*durable.File, error) { return durable.Create(s.path) }

// KeepBase puts a new base in the place of the last one.
func (s *Store) KeepBase(f *durable.File) error { return f.Commit(s.BasePath(), 0o600) }
