// Package sparse finds the holes of a file, so that they need not be read.
package sparse

import "os"

// NextData returns where the next byte of f at or after off lies that may not be zero; size if there is none before size, which is what
// the caller takes for the size of the file. Where holes cannot be told from data, all is data. The file's
// offset is moved.
func NextData(f *os.File, off, size int64) int64 { return nextData(f, off, size) }
