package data

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	manyPerDirectory = 500
	manyPerContent   = 100 // files, for each one that is not empty
)

// Many makes n files, nearly all of them empty, since what they show is what a file costs and not what its bytes do.
func Many(dir string, n int) error {
	var in string
	for i := range n {
		if i%manyPerDirectory == 0 {
			k := i / manyPerDirectory
			in = filepath.Join(dir, fmt.Sprintf("%03d", k/100), fmt.Sprintf("%05d", k))
			if err := os.MkdirAll(in, 0o755); err != nil {
				return err
			}
		}
		var content []byte
		if i%manyPerContent == 0 {
			content = fmt.Appendf(nil, "file %d\n", i)
		}
		if err := os.WriteFile(filepath.Join(in, fmt.Sprintf("f%07d.txt", i)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
