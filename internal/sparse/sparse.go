// Package sparse finds the holes of a file, so that they need not be read.
package sparse

import (
	"errors"
	"io"
	"math"
	"os"
	"sync"
)

// NextData returns where the next byte of f at or after off lies that may not be zero; size if there is none before size, which is what
// the caller takes for the size of the file. Where holes cannot be told from data, all is data. The file's
// offset is moved.
func NextData(f *os.File, off, size int64) int64 { return nextData(f, off, size) }

// Walk passes all of f to fn, in order, in parts of at most 1 MiB that are good until fn returns. Holes before size, which is what the caller takes
// for the size of the file, are not read: their parts are zeros, and hole is true. An error of fn ends it and is returned. The
// file's offset is moved.
func Walk(f *os.File, size int64, fn func(off int64, part []byte, hole bool) error) error {
	err := walk(f, 0, size, math.MaxInt64, fn)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Part passes the bytes of f from off to end to fn, as Walk does. That the file ends before is io.ErrUnexpectedEOF.
func Part(f *os.File, off, end int64, fn func(off int64, part []byte, hole bool) error) error {
	err := walk(f, off, end, end, fn)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// walk passes what lies from off to end to fn. Up to size there may be holes. When the file ends before end, the error is io.EOF.
func walk(f *os.File, off, size, end int64, fn func(off int64, part []byte, hole bool) error) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	for off < end {
		if hole := NextData(f, off, size) - off; hole > 0 {
			n := min(hole, int64(len(zeros)))
			if err := fn(off, zeros[:n], true); err != nil {
				return err
			}
			off += n
			continue
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if n > 0 {
			if err := fn(off, buf[:n], false); err != nil {
				return err
			}
			off += int64(n)
		}
		if err != nil && off < end {
			return err
		}
	}
	return nil
}

var (
	zeros   [1 << 20]byte
	buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}
)
