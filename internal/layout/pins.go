package layout

import (
	"context"

	"lifeboat/manifest"
	"lifeboat/remote"
)

const pinsPrefix = "pins/"

// PinKey returns the key of the object that pins a snapshot. Only its name says anything; it is empty.
func PinKey(id manifest.ID) string { return pinsPrefix + id.String() }

// Pin pins a snapshot: no policy removes it from this store. The snapshot need not be there yet, so that whoever writes it can see to it
// that it is never there unpinned; a pin of nothing is nothing.
func (s Store) Pin(ctx context.Context, id manifest.ID) error {
	return s.PutSmall(ctx, PinKey(id), nil, remote.PutOptions{})
}

// Unpin removes a pin. That there is none is no error.
func (s Store) Unpin(ctx context.Context, id manifest.ID) error { return s.Delete(ctx, PinKey(id)) }

// Pins lists the snapshots that are pinned. Objects whose names are not those of pins are ignored.
func (s Store) Pins(ctx context.Context) (map[manifest.ID]bool, error) {
	pins := map[manifest.ID]bool{}
	for info, err := range s.List(ctx, pinsPrefix) {
		if err != nil {
			return nil, err
		}
		if id, ok := pinOf(info); ok {
			pins[id] = true
		}
	}
	return pins, nil
}
