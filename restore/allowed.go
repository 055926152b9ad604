package restore

import (
	"fmt"
	"os"
	"path/filepath"
)

// mayWrite reports whether this process may make and rename entries of a directory.
func mayWrite(dir string) bool { return writable(dir) == nil }

// allowed returns why this process could not exchange what is at the targets, as far as the system tells before it is tried, or nil.
func (r *inPlace) allowed() error {
	var targets []string
	for _, un := range r.units.list {
		targets = append(targets, un.target)
	}
	for _, m := range r.gone {
		targets = append(targets, m.Target)
	}
	seen := map[string]bool{}
	for _, target := range targets {
		if parent := nearest(filepath.Dir(target)); !seen[parent] {
			if err := writable(parent); err != nil {
				return fmt.Errorf("restore over what is there: this user may not change what is in %s: %w", parent, err)
			}
			seen[parent] = true
		}
		fi, err := os.Lstat(target)
		if err != nil {
			continue
		}
		if err := movable(target, fi); err != nil {
			return fmt.Errorf("restore over what is there: this user may not move %s, which belongs to somebody else: %w", target, err)
		}
	}
	return nil
}
