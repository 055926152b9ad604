//go:build unix

package localstore_test

import (
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// A pinned snapshot stays, though every remote has it, and takes no other's place among those that are kept.
func TestRetainKeepsWhatIsPinned(t *testing.T) {
	s, ids := history(t, 4)
	must(t, s.Pin(t.Context(), ids[1]))
	_, err := s.Retain(t.Context(), 1, func(manifest.ID) bool { return true })
	must(t, err)
	left := snaptest.ValidateAll(t, s.Store)
	if len(left) != 2 || left[0].ID != ids[1] || left[1].ID != ids[3] {
		t.Errorf("left: %v", left)
	}
}

// However short space is, a pinned snapshot is not shed.
func TestShedLeavesWhatIsPinned(t *testing.T) {
	s, ids := history(t, 3)
	must(t, s.Pin(t.Context(), ids[0]))
	var dropped []manifest.ID
	shedder := &localstore.Shedder{Store: s,
		Elsewhere: func(id manifest.ID) (every, some bool) { return id == ids[0] || id == ids[1], true },
		Dropped:   func(id manifest.ID) { dropped = append(dropped, id) },
	}
	for done := false; !done; {
		_, _, done = shedder.Shed(t.Context(), func(manifest.Hash) bool { return false })
	}
	if len(dropped) != 2 || dropped[0] != ids[1] || dropped[1] != ids[2] {
		t.Errorf("dropped: %v", dropped)
	}
	if left := snaptest.ValidateAll(t, s.Store); len(left) != 1 || left[0].ID != ids[0] {
		t.Errorf("left: %v", left)
	}
}
