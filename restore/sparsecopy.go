package restore

import (
	"io"
	"os"

	"lifeboat/internal/sparse"
)

// copyBytes copies a file of this size into an empty one and leaves out its holes, which seen, if it is not nil, gets as the zeros that they are.
func copyBytes(w, r *os.File, size int64, seen io.Writer) error {
	if err := w.Truncate(size); err != nil {
		return err
	}
	return sparse.Walk(r, size, func(off int64, part []byte, hole bool) error {
		if seen != nil {
			seen.Write(part)
		}
		if hole {
			return nil
		}
		_, err := w.WriteAt(part, off)
		return err
	})
}
