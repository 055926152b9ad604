//go:build linux || darwin

package sparse

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func nextData(f *os.File, off, size int64) int64 {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) { // no data behind off, or the file ends before it
		fi, err := f.Stat()
		if err != nil || fi.Size() < size {
			return off // let the read find out
		}
		return size
	}
	if err != nil || at < off {
		return off
	}
	return min(at, size)
}
