//go:build unix

package layout_test

import (
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A pin is its name, with or without the snapshot; what else lies there is none.
func TestPins(t *testing.T) {
	s := memory()
	if pins, err := s.Pins(t.Context()); err != nil || len(pins) != 0 {
		t.Errorf("pins of nothing: %v (%v)", pins, err)
	}
	id := seal(t, s, "20260102T030405Z", nil)
	absent := manifest.ID{Stamp: "20250102T030405Z", SHA256: manifest.HashOf(nil)}
	must(t, s.Pin(t.Context(), id))
	must(t, s.Pin(t.Context(), id))
	must(t, s.Pin(t.Context(), absent))
	put(t, s, "pins/README", "what this is")
	put(t, s, "pins/"+id.String()+".bak", "")
	pins, err := s.Pins(t.Context())
	must(t, err)
	if len(pins) != 2 || !pins[id] || !pins[absent] {
		t.Errorf("pins: %v", pins)
	}
	if info, err := s.Stat(t.Context(), "pins/"+id.String()); err != nil || info.Size != 0 {
		t.Errorf("the pin is %+v (%v)", info, err)
	}
	must(t, s.Unpin(t.Context(), id))
	must(t, s.Unpin(t.Context(), id))
	if pins, err := s.Pins(t.Context()); err != nil || len(pins) != 1 || !pins[absent] {
		t.Errorf("pins after one was removed: %v (%v)", pins, err)
	}
}

// What is kept for a reason of its own counts as latest when it was taken of the application's own accord, not when a restore took it.
func TestLatestByKind(t *testing.T) {
	s := memory()
	seal(t, s, "20260101T000000Z", nil)
	adopted := seal(t, s, "20260102T000000Z", func(h *manifest.Head) { h.Kind = manifest.Adopted })
	seal(t, s, "20260103T000000Z", func(h *manifest.Head) { h.Kind = manifest.Safety })
	c, err := layout.List(t.Context(), s)
	must(t, err)
	ref, err := manifest.ParseRef("latest", time.UTC)
	must(t, err)
	got, skipped, err := c.Resolve(t.Context(), ref, time.Now().AddDate(10, 0, 0))
	if err != nil || got != adopted || len(skipped) != 1 || skipped[0].Why != "it is a safety snapshot" {
		t.Errorf("latest is %s, past %v (%v)", got, skipped, err)
	}
}
