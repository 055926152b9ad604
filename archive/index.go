package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A Run is a record of the chunk index: the sums of the chunks of one member.
type Run struct {
	Off   int64 // where its data begins in the tar stream
	Len   int64
	Chunk int64
	Sums  []ChunkSum
}

const runHeader = 8 + 4 + 4

func appendRun(b []byte, off, length int64, chunk int, sums []ChunkSum) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(off))
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint32(b, uint32(chunk))
	for i := range sums {
		b = append(b, sums[i][:]...)
	}
	return b
}

// ParseIndex reads a chunk index of an archive whose tar stream is length bytes long. Records ascend and do not overlap.
func ParseIndex(b []byte, length int64) ([]Run, error) {
	var runs []Run
	end := int64(0)
	for len(b) > 0 {
		if len(b) < runHeader {
			return nil, errors.New("chunk index: cut record")
		}
		off := binary.LittleEndian.Uint64(b)
		r := Run{Off: int64(off), Len: int64(binary.LittleEndian.Uint32(b[8:])), Chunk: int64(binary.LittleEndian.Uint32(b[12:]))}
		b = b[runHeader:]
		if r.Off < end || r.Off > length || r.Len < 1 || r.Len > length-r.Off || r.Chunk < 1 {
			return nil, fmt.Errorf("chunk index: record of %d bytes at %d", r.Len, r.Off)
		}
		n := (r.Len + r.Chunk - 1) / r.Chunk
		if n > int64(len(b)/16) {
			return nil, errors.New("chunk index: cut record")
		}
		r.Sums = make([]ChunkSum, n)
		for i := range r.Sums {
			copy(r.Sums[i][:], b[16*i:])
		}
		b = b[16*n:]
		end = r.Off + r.Len
		runs = append(runs, r)
	}
	return runs, nil
}
