package localstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// knownName is the file in which a local store remembers the remotes it was pushed to.
const knownName = "known.json"

// Known returns the ID in the marker of the remote at url when it was last used, or "". A remote whose
// marker is now missing, or another, is most likely not the one that is meant: not mounted, or a mistyped prefix.
func (s *Store) Known(url string) (string, error) {
	known, err := s.known()
	return known[url], err
}

// Remember notes the ID in the marker of the remote at url. The caller holds the lock of the store.
func (s *Store) Remember(url, id string) error {
	known, err := s.known()
	if err != nil || known[url] == id {
		return err
	}
	known[url] = id
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(s.path, knownName), append(data, '\n'), 0o600)
}

func (s *Store) known() (map[string]string, error) {
	known := map[string]string{}
	data, err := os.ReadFile(filepath.Join(s.path, knownName))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of remotes: %w; if %s is damaged, remove it", err, filepath.Join(s.path, knownName))
	}
	return known, nil
}
