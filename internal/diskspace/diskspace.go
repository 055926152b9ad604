// Package diskspace tells how much room a file system has.
package diskspace

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// NotEnoughError reports that something would not fit, before any of it was written.
type NotEnoughError struct {
	Path       string // on the file system that is meant
	Need, Free int64  // bytes
}

func (e *NotEnoughError) Error() string {
	return fmt.Sprintf("not enough space at %s: %s needed, %s free", e.Path, humanize.IBytes(uint64(e.Need)), humanize.IBytes(uint64(e.Free)))
}

// Check returns a *NotEnoughError if need bytes do not fit on the file system of path. When the system will not tell how
// much is free, it returns nil: then the write itself will fail if it must.
func Check(path string, need int64) error {
	free, err := Free(path)
	if err != nil || free >= need {
		return nil
	}
	return &NotEnoughError{path, need, free}
}
