package restore

import (
	"errors"
	"io"
	"os"

	"lifeboat/internal/sparse"
)

// copyBytes copies a file of this size into an empty one and leaves out its holes, which seen, if it is not nil, gets as the zeros that they are.
func copyBytes(w, r *os.File, size int64, seen io.Writer) error {
	if err := w.Truncate(size); err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		if hole := sparse.NextData(r, off, size) - off; hole > 0 {
			n := min(hole, int64(len(nothing)))
			if seen != nil {
				seen.Write(nothing[:n])
			}
			off += n
			continue
		}
		n, err := r.ReadAt(buf, off)
		if n > 0 {
			if seen != nil {
				seen.Write(buf[:n])
			}
			if _, err := w.WriteAt(buf[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
