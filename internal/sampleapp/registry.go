package sampleapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// registry is what registry.json holds. All of it but Transfers stays as Create made it.
type registry struct {
	Application string   `json:"application"`
	Version     int      `json:"version"`
	Total       int64    `json:"total"`      // of all balances
	Collection  string   `json:"collection"` // of the vector store
	Vectors     int64    `json:"vectors"`
	Transfers   int64    `json:"transfers"` // committed when the registry was written
	Owners      []string `json:"owners"`    // of the accounts, in their order
}

// readRegistry reads the registry, and takes nothing that write would not have written.
func readRegistry(dir string) (*registry, error) {
	data, err := os.ReadFile(filepath.Join(dir, RegistryName))
	if err != nil {
		return nil, err
	}
	var r registry
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", RegistryName, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is more after its end", RegistryName)
	}
	return &r, nil
}

// write replaces the registry atomically.
func (r *registry) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", RegistryName, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, RegistryName), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", RegistryName, err)
	}
	return nil
}
