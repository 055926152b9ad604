package diskspace

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Free returns how many bytes the caller may still write to the file system of path.
func Free(path string) (int64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(free), nil
}

// Used returns how many bytes the file systems of paths hold, which Windows does not tell of a path by one call.
func Used(...string) (int64, error) { return 0, errors.ErrUnsupported }
