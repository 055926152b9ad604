package adopt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// metadataName is the file in which the Python tool said what is in a snapshot.
const metadataName = "backup-metadata.json"

// maxMetadata bounds what is read of it, in bytes. It has ten short fields.
const maxMetadata = 1 << 20

// metadata is what the Python tool recorded and is of use. Keys that are not known are nobody's business; null is as if a key were not there.
type metadata struct {
	CreatedAt      string `json:"created_at"`
	DatabasePath   string `json:"db_snapshot_path"`
	DatabaseSize   *int64 `json:"db_size_bytes"`
	RegistryPath   string `json:"registry_snapshot_path"`
	ChromaPath     string `json:"chroma_snapshot_path"`
	ChromaBytes    *int64 `json:"chroma_snapshot_bytes"`
	ChromaFiles    *int64 `json:"chroma_snapshot_files"`
	ChromaIncluded *bool  `json:"chroma_snapshot_included"`
}

// readMetadata reads the metadata of a snapshot. When there is none to go by, code says why.
func readMetadata(root *os.Root) (m *metadata, code Code, err error) {
	info, err := root.Lstat(metadataName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, MetadataMissing, errors.New("the directory has none")
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, MetadataInvalid, errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, Unreadable, err
	}
	f, err := root.Open(metadataName)
	if err != nil {
		return nil, Unreadable, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	switch {
	case err != nil:
		return nil, Unreadable, err
	case len(data) > maxMetadata:
		return nil, MetadataInvalid, fmt.Errorf("it has more than %d bytes", maxMetadata)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, MetadataInvalid, err
	}
	if m == nil {
		return nil, MetadataInvalid, errors.New("it is null, not an object")
	}
	return m, "", nil
}

// hasChroma reports whether the vector store should be in the snapshot. The tool recorded that it was included, and no path and no
// files, when it was asked to and there was none.
func (m *metadata) hasChroma() bool {
	if m.ChromaIncluded == nil {
		return m.ChromaPath != ""
	}
	nothing := m.ChromaPath == "" && m.ChromaFiles != nil && *m.ChromaFiles == 0
	return *m.ChromaIncluded && !nothing
}

// locate returns where below the snapshot's directory something lies whose path was recorded, perhaps on another machine or before the
// backup directory was moved, or "". What the recorded path itself leads to does not matter. No link is followed out of the directory.
func locate(root *os.Root, name, recorded string, fits func(fs.FileInfo) bool) string {
	parts := strings.FieldsFunc(recorded, func(r rune) bool { return r == '/' || r == '\\' })
	var tails [][]string
	for i, part := range slices.Backward(parts) {
		if part == name && i+1 < len(parts) {
			tails = append(tails, parts[i+1:])
		}
	}
	for n := min(2, len(parts)); n > 0; n-- {
		tails = append(tails, parts[len(parts)-n:])
	}
	for _, tail := range tails {
		rel := filepath.Join(tail...)
		if !filepath.IsLocal(rel) || rel == "." {
			continue
		}
		if info, err := root.Lstat(rel); err == nil && fits(info) {
			return rel
		}
	}
	return ""
}
