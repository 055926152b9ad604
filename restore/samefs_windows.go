package restore

import "path/filepath"

// sameFileSystem reports whether a rename from one directory to the other can work.
func sameFileSystem(a, b string) bool { return filepath.VolumeName(a) == filepath.VolumeName(b) }
