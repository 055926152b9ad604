package diskspace

import (
	"errors"
	"slices"
	"syscall"
)

// Full reports whether an error says that a file system, or somebody's quota on it, has no room left.
func Full(err error) bool {
	return errors.As(err, new(*NotEnoughError)) || slices.ContainsFunc(full, func(e syscall.Errno) bool { return errors.Is(err, e) })
}
