package localstore

import "lifeboat/manifest"

// taken is the snapshot that was taken last into a store, under "last".
var taken = notebook[Taken]{"taken.json", "which snapshot was taken last"}

// Taken is a snapshot that was taken here, and the one that was the newest of all then, as far as could be seen.
type Taken struct {
	ID       manifest.ID  `json:"id"`
	Previous *manifest.ID `json:"previous,omitempty"`
}

// LastTaken returns the snapshot that was taken last into this store, whether it is still there or not; nil if that is not known.
func (s *Store) LastTaken() (*Taken, error) {
	noted, err := taken.read(s)
	if last, ok := noted["last"]; ok && err == nil {
		return &last, nil
	}
	return nil, err
}

// RememberTaken notes the snapshot that was taken last. The caller holds the lock of the store.
func (s *Store) RememberTaken(last Taken) error {
	return taken.write(s, map[string]Taken{"last": last})
}
