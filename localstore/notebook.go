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

// A notebook is a JSON object in the directory of a local store: what this machine remembers, by name. It is no part of any snapshot.
type notebook[V any] struct {
	file string
	what string // is remembered, for messages
}

// read returns what is noted. A file that is not there has nothing in it.
func (n notebook[V]) read(s *Store) (map[string]V, error) {
	noted := map[string]V{}
	path := filepath.Join(s.path, n.file)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noted, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &noted)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; if %s is damaged, remove it", n.what, err, path)
	}
	return noted, nil
}

// write replaces what is noted, durably. The caller holds the lock of the store.
func (n notebook[V]) write(s *Store, noted map[string]V) error {
	data, err := json.MarshalIndent(noted, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(s.path, n.file), append(data, '\n'), 0o600)
}
