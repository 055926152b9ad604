package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"

	"lifeboat/internal/xattr"
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

func linkTime(string, time.Time) error { return nil }

// A fileID is what the names of one file have in common.
type fileID struct{}

// severalNames reports nothing: the standard library does not tell.
func severalNames(fs.FileInfo) (fileID, bool) { return fileID{}, false }

// There are no extended attributes here.
func setLinkXattr(*os.File, string, xattr.Attr) error { return errors.ErrUnsupported }
func ordinaryXattr(string) bool                       { return false }

// isBadName reports whether the system refuses a name, not what is done with it.
func isBadName(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_NAME) || errors.Is(err, windows.ERROR_FILENAME_EXCED_RANGE)
}
