package durable

import (
	"io/fs"
	"os"
)

// hold does not: Windows has no lock that a file keeps while it is renamed, and none of directories. So nothing is ever known to be
// left over.
func hold(*os.File) (free bool, err error) { return false, errNoHolds }

func own(fs.FileInfo) bool { return true }

// Windows renames no file that is open.
const closeToRename = true
