package localstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/durable"
)

// Sweep removes what writers that did not finish left in the store: the files whose names begin with
// [durable.TempPrefix], and nothing else. It returns how many it removed and how many bytes they had.
// One that can't be removed does not keep it from the others; the error tells of all of them.
//
// It is called before the holder of the lock begins to write, as its own files would go too.
func (h *Held) Sweep() (files int, bytes int64, err error) {
	if !h.flock.Locked() {
		return 0, 0, fmt.Errorf("sweep local store %s: the lock is not held", h.dir)
	}
	var problems []error
	err = filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		if !d.Type().IsRegular() || !strings.HasPrefix(d.Name(), durable.TempPrefix) {
			return nil
		}
		info, err := d.Info()
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		files++
		bytes += info.Size()
		return nil
	})
	if err := errors.Join(append(problems, err)...); err != nil {
		return files, bytes, fmt.Errorf("sweep local store %s: %w", h.dir, err)
	}
	return files, bytes, nil
}
