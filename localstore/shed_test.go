//go:build unix

package localstore_test

import (
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// When space is short, what goes first is what nobody needs, then what every remote has, then what some remote has, and never what
// none has. What some remote lacks is owed to it, and what a snapshot being made uses stays.
func TestShed(t *testing.T) {
	for _, tt := range []struct {
		elsewhere string // '+' everywhere, '-' somewhere, '0' nowhere; oldest first
		dropped   string // by index, in order
		counted   bool
	}{
		{"0000", "", false},
		{"++++", "0123", false},
		{"+0+0", "02", false},
		{"-+-+", "1302", true},
		{"--0-", "013", true},
	} {
		s, ids := history(t, len(tt.elsewhere))
		which := func(id manifest.ID) int {
			for i := range ids {
				if ids[i] == id {
					return i
				}
			}
			t.Fatalf("who is %s", id)
			return 0
		}
		var dropped strings.Builder
		shedder := &localstore.Shedder{Store: s,
			Elsewhere: func(id manifest.ID) (every, some bool) {
				c := tt.elsewhere[which(id)]
				return c == '+', c != '0'
			},
			Dropped: func(id manifest.ID) { dropped.WriteByte(byte('0' + which(id))) },
		}
		var inUse manifest.Hash
		for a, err := range s.ListArchives(t.Context()) {
			must(t, err)
			inUse = a.SHA256
		}
		before := used(t, s.Path())
		var freed, counted int64
		for done := false; !done; {
			var f, c int64
			f, c, done = shedder.Shed(t.Context(), func(h manifest.Hash) bool { return h == inUse })
			freed, counted = freed+f, counted+c
			snaptest.ValidateAll(t, s.Store)
		}
		if dropped.String() != tt.dropped {
			t.Errorf("%s: dropped %s, want %s", tt.elsewhere, dropped.String(), tt.dropped)
		}
		if freed == 0 || freed > before || (counted > 0) != tt.counted || counted > freed {
			t.Errorf("%s: freed %d of %d, of which %d count", tt.elsewhere, freed, before, counted)
		}
		if !there(t, s, inUse) {
			t.Errorf("%s: an archive that is in use is gone", tt.elsewhere)
		}
		owed, entries, err := s.Owed(t.Context())
		must(t, err)
		if len(entries) != strings.Count(tt.elsewhere, "-") {
			t.Errorf("%s: %d snapshots are owed", tt.elsewhere, len(entries))
		}
		for _, e := range entries {
			if tt.elsewhere[which(e.ID)] != '-' {
				t.Errorf("%s: %d is owed", tt.elsewhere, which(e.ID))
			}
			if _, _, err := owed.Manifest(t.Context(), e.ID); err != nil {
				t.Error(err)
			}
			must(t, s.Settle(t.Context(), e.ID))
		}
		if f, _, done := shedder.Shed(t.Context(), func(manifest.Hash) bool { return false }); f != 0 || !done {
			t.Errorf("%s: after the end, it freed %d more", tt.elsewhere, f)
		}
		_, err = s.Retain(t.Context(), 9, func(manifest.ID) bool { return true })
		must(t, err)
		if n, left := len(snaptest.ValidateAll(t, s.Store)), len(ids)-len(tt.dropped); n != left {
			t.Errorf("%s: %d snapshots are left, want %d", tt.elsewhere, n, left)
		}
	}
}

// What is left here of a snapshot that is owed stays until it is settled.
func TestRetainKeepsWhatIsOwed(t *testing.T) {
	s, ids := history(t, 1)
	_, stored, err := s.Manifest(t.Context(), ids[0])
	must(t, err)
	must(t, s.Owe(t.Context(), ids[0], stored))
	must(t, s.Owe(t.Context(), ids[0], stored))
	must(t, s.Delete(t.Context(), layout.ManifestKey(ids[0])))
	count := func() (n int) {
		_, err := s.Retain(t.Context(), 0, func(manifest.ID) bool { return true })
		must(t, err)
		for _, err := range s.ListArchives(t.Context()) {
			must(t, err)
			n++
		}
		return n
	}
	if n := count(); n != 3 {
		t.Errorf("%d archives are left, want 3", n)
	}
	must(t, s.Settle(t.Context(), ids[0]))
	must(t, s.Settle(t.Context(), ids[0]))
	if n := count(); n != 0 {
		t.Errorf("%d archives are left after all", n)
	}
}
