package snapshot

import (
	"io/fs"
	"time"
)

// Windows has neither flag, and no named pipes among files.
const noFollow = 0

func statOf(fs.FileInfo) (stat, bool) { return stat{}, false }

// changeTime is not to be had from Windows through the standard library.
func changeTime(fs.FileInfo) (time.Time, bool) { return time.Time{}, false }
