package localstore

import "maps"

// roots is where the sources lay that were captured on this machine, by name. What a snapshot says of that may have been written by
// somebody else.
var roots = notebook[string]{"roots.json", "where sources lay"}

// Roots returns the path of each source as of the last time that it was captured here, by name.
func (s *Store) Roots() (map[string]string, error) { return roots.read(s) }

// RememberRoots notes the paths of sources, beside those that are known already. The caller holds the lock of the store.
func (s *Store) RememberRoots(paths map[string]string) error {
	noted, err := s.Roots()
	if err != nil {
		return err
	}
	before := maps.Clone(noted)
	maps.Copy(noted, paths)
	if maps.Equal(before, noted) {
		return nil
	}
	return roots.write(s, noted)
}
