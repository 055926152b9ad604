package localstore

import (
	"path/filepath"

	"lifeboat/internal/durable"
)

// needsName is the file that remembers what snapshots need; see heal.Needs. It is not part of the store: nothing but time is lost with it.
const needsName = "needs"

// NeedsPath returns where it is remembered what snapshots need, if it is.
func (s *Store) NeedsPath() string { return filepath.Join(s.path, needsName) }

// KeepNeeds replaces what is remembered of what snapshots need. The caller holds the lock of the store.
func (s *Store) KeepNeeds(data []byte) error { return durable.WriteFile(s.NeedsPath(), data, 0o600) }
