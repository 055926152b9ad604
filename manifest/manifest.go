// Package manifest describes snapshots: which files there are, what their content hashes to, and in which
// extents of which archives it lies.
//
// A snapshot's description has three parts (docs/format.md, section 4). The [Head] is small and is an
// object of its own, whose name, the [ID], carries its SHA-256. The files table and the archives table may have
// millions of lines, so they are cut into pieces that lie in archives like any other data; the head lists the pieces with their
// digests. So one name verifies everything.
//
// Reading is strict and bounded, because a store may have been written by somebody else: every rule of
// section 5 that can be decided without the network is enforced here. Reading and writing stream: one piece at a
// time is in memory, never a table.
//
// The package is pure. It imports only the standard library, and bytes come and go through functions
// that the caller gives.
package manifest

import (
	"errors"
	"fmt"
)

// Format names the version of the store format that this package reads and writes.
const Format = "lifeboat/1"

// Bounds on what is believed of a store, each checked before memory is allocated for it.
const (
	MaxHeadStored = 8 << 20            // bytes of a manifest object
	MaxHead       = 64 << 20           // bytes of a head, decompressed
	MaxPiece      = 16 << 20           // bytes of a piece or map
	MaxArchive    = 4 << 30            // bytes of an archive, stored or decompressed
	MaxPath       = 32 << 10           // bytes of a path
	MaxExtent     = 1 << 20            // bytes of an extent that is not zeros
	FrameSize     = 1 << 20            // bytes of tar stream in each zstd frame but the last
	MaxFrame      = FrameSize + 64<<10 // bytes of a frame as it is stored; what cannot be compressed grows by less than 1 %
	MapSpan       = 16 << 20           // bytes of a file that one map describes
	MaxInline     = 1024               // extents in a file line; a file with more has maps
	MaxXattrs     = 1024               // extended attributes of a file
	MaxXattrBytes = 1 << 20            // bytes of their names and values
)

// ErrInvalid marks a head, piece, map or line that breaks a rule of the format. It is damage or forgery,
// never a passing fault: reading it again will not help.
var ErrInvalid = errors.New("invalid manifest")

// FormatError reports a store that was written in a format this package does not know.
type FormatError struct {
	Found string
	Tool  string // version of lifeboat that wrote it, and so can read it; "" when that is not said
}

func (e *FormatError) Error() string {
	by, use := "", "use a newer lifeboat"
	if e.Tool != "" {
		by, use = " by lifeboat "+e.Tool, "use a newer lifeboat, "+e.Tool+" or later"
	}
	return fmt.Sprintf("written in format %.80q%s, and this lifeboat reads %q: %s", e.Found, by, Format, use)
}

// invalid returns an error that is ErrInvalid. What comes from a store is cut in it, but for paths, which are checked before
// they are named.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// in says which path an error is about.
func in(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%q: %w", path, err)
}
