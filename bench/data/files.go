package data

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// registry writes the JSON file of the application, about 240 KB.
func registry(path string) error {
	type entry struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Path    string    `json:"path"`
		Enabled bool      `json:"enabled"`
		Weights []float64 `json:"weights"`
	}
	rnd := random(partRegistry, 0)
	txt := newText(rnd)
	entries := make([]entry, 1000)
	for i := range entries {
		e := entry{ID: fmt.Sprintf("%016x", rnd.Uint64()), Name: txt.take(24), Enabled: rnd.IntN(5) > 0}
		e.Path = "/srv/" + strings.ReplaceAll(txt.take(12), " ", "/")
		for range 8 {
			e.Weights = append(e.Weights, float64(rnd.IntN(10_000))/10_000)
		}
		entries[i] = e
	}
	text, err := json.MarshalIndent(map[string]any{"version": 3, "entries": entries}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

const (
	smallFiles       = 50_000
	smallDirectories = 16 // with 64 each
)

// Small makes the directory dir, which must be absent or empty, with 50,000 JSON files.
func Small(dir string) error {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	r := NewRecorder(0)
	for i := range smallFiles {
		sub := filepath.Join(dir, fmt.Sprintf("%02x", i%smallDirectories), fmt.Sprintf("%02x", i/smallDirectories%64))
		if i < smallDirectories*64 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		if err := r.Write(filepath.Join(sub, fmt.Sprintf("record_%06d.json", i))); err != nil {
			return err
		}
	}
	return nil
}

// records returns a JSON array of about size bytes.
func records(rnd *rand.Rand, txt *text, size int) []byte {
	b := []byte("[")
	for len(b) < size-100 {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "\n"+`{"key":"%08x","n":%d,"text":"%s"}`, rnd.Uint32(), rnd.IntN(100_000), txt.take(min(400, size-len(b)-42)))
	}
	return append(b, "\n]"...)
}
