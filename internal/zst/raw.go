package zst

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Of a frame (RFC 8878, section 3.1.1).
const (
	magic         = 0xFD2FB528
	singleSegment = 1 << 5 // the window is the content
	withChecksum  = 1 << 2
	sizeIn2       = 1 << 6 // how the content size is written; in one byte if nothing says otherwise
	sizeIn4       = 2 << 6
	lastBlock     = 1
	mostInBlock   = 128 << 10
)

// appendRaw appends src as one frame in which nothing is compressed, with its content size and a checksum, as an encoder makes them.
func appendRaw(dst, src []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	switch n := len(src); {
	case n < 256:
		dst = append(dst, singleSegment|withChecksum, byte(n))
	case n < 256+1<<16:
		dst = append(dst, singleSegment|withChecksum|sizeIn2)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(n-256))
	default:
		dst = append(dst, singleSegment|withChecksum|sizeIn4)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	}
	for rest, last := src, false; !last; {
		n := min(len(rest), mostInBlock)
		last = n == len(rest)
		header := uint32(n) << 3 // of type 0: raw
		if last {
			header |= lastBlock
		}
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16))
		dst = append(dst, rest[:n]...)
		rest = rest[n:]
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(src)))
}
