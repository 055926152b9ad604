package restore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/manifest"
)

// local returns a path of a snapshot as the file system here wants it.
func local(path string) (string, error) {
	name, err := filepath.Localize(path)
	if err != nil {
		return "", fmt.Errorf("%q cannot be the name of a file on this system: %w", path, err)
	}
	return name, nil
}

// copyOwner does nothing: owners are not numbers here.
func copyOwner(string, fs.FileInfo) {}

// setLinkTime does nothing: there is no way through the standard library.
func setLinkTime(*os.File, string, manifest.Timestamp) error { return nil }
