package localstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// rootsName is the file in which a local store remembers where the sources lay that were captured on this machine. What a snapshot says of
// that may have been written by somebody else.
const rootsName = "roots.json"

// Roots returns the path of each source as of the last time that it was captured here, by name.
func (s *Store) Roots() (map[string]string, error) {
	roots := map[string]string{}
	data, err := os.ReadFile(filepath.Join(s.path, rootsName))
	if errors.Is(err, fs.ErrNotExist) {
		return roots, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &roots)
	}
	if err != nil {
		return nil, fmt.Errorf("read where sources lay: %w; if %s is damaged, remove it", err, filepath.Join(s.path, rootsName))
	}
	return roots, nil
}

// RememberRoots notes the paths of sources, beside those that are known already. The caller holds the lock of the store.
func (s *Store) RememberRoots(roots map[string]string) error {
	known, err := s.Roots()
	if err != nil {
		return err
	}
	before := maps.Clone(known)
	maps.Copy(known, roots)
	if maps.Equal(before, known) {
		return nil
	}
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(s.path, rootsName), append(data, '\n'), 0o600)
}
