package swap

import "os"

// identify returns no identity: what was moved is known by where something is and where nothing is.
func identify(path string) (Identity, error) {
	_, err := os.Lstat(path)
	return Identity{}, err
}
