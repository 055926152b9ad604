package layout

import (
	"errors"
	"io"
	"io/fs"

	"lifeboat/archive"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// AboutData reports whether an error says what is wrong with a snapshot, and not that somebody failed to look.
func AboutData(err error) bool {
	var damage *archive.DamageError
	var format *manifest.FormatError
	var scratch *fs.PathError // stores name their objects themselves
	switch {
	case errors.As(err, &format), errors.As(err, &scratch), errors.Is(err, remote.ErrUnavailable):
		return false
	case errors.As(err, &damage):
		return true
	}
	for _, kind := range []error{fs.ErrNotExist, manifest.ErrInvalid, ErrDamaged, ErrDigest, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
