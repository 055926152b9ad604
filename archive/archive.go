// Package archive packs bytes into archives and reads them back by extents.
//
// An archive (docs/format.md, section 2) is a tar stream cut into independent zstd frames of 1 MiB, so that
// standard tools unpack it and a ranged request reads any part of it. The [Writer] takes segments, at most 1 MiB
// of one file each, and says for each in which archive and where it lies. The [Reader] turns extents into bytes,
// fetching and decoding only the frames that they touch.
//
// The package knows no network, no database and no file system. Packed bytes leave through an [Object] and come back
// through a [Source]; a layer that transforms whole objects, such as encryption, belongs between these and the store, and
// neither Writer nor Reader would notice (docs/decisions/0003-seam-for-encryption.md).
//
// Memory is bounded by the [Pool]: a fixed number of frames, however large the data and however slow the store.
package archive

import (
	"crypto/sha256"
	"fmt"

	"lifeboat/manifest"
)

// DefaultLimit is where an archive ends: a segment that would bring the tar stream past it begins the next one.
const DefaultLimit = 32 << 20

// MaxSegment is the longest segment, in bytes. Pieces and maps may be longer, up to manifest.MaxPiece.
const MaxSegment = manifest.MaxExtent

const frameSize = manifest.FrameSize

// A ChunkSum is the first 16 bytes of the SHA-256 of a chunk.
type ChunkSum [16]byte

// SumOf returns the sum of one chunk.
func SumOf(chunk []byte) ChunkSum {
	full := sha256.Sum256(chunk)
	return ChunkSum(full[:16])
}

// AppendSums appends the sums of the chunks of data, which are chunk bytes each, the last one perhaps shorter.
func AppendSums(sums []ChunkSum, data []byte, chunk int) []ChunkSum {
	for len(data) > 0 {
		n := min(chunk, len(data))
		sums = append(sums, SumOf(data[:n]))
		data = data[n:]
	}
	return sums
}

// A Place is where a segment was put: Len bytes at Off of the tar stream of the archive with that ordinal,
// counted by its Writer from 0. The archive's name is not known before it ends; see [Writer.Archives].
type Place struct {
	Archive  int
	Off, Len int64
}

// A DamageError reports stored bytes that are not what they should be, or not there. It is never a passing fault of a network; reading
// again from the same store will not help, another copy will.
type DamageError struct {
	Store  string // where
	Object string // its key
	Place  string // what part of it
	Err    error  // how it was noticed
}

// wholeObject is the place of damage that lies in no part alone.
const wholeObject = "whole"

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s: %s: %s: damaged: %v", e.Store, e.Object, e.Place, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }
