//go:build !linux

package sqlitedb

import (
	"context"
	"os"
	"time"
)

// hold does nothing: a lock of our own would be dropped, or drop SQLite's, where locks belong to the process.
// Pin notices when the sidecars go away under it, and looks again.
func hold(context.Context, *os.File, time.Duration) (release func(), err error) {
	return func() {}, nil
}

func lockedBy(*os.File) *LockedError { return &LockedError{} }

func blocker(*os.File) (int, string) { return 0, "" }
