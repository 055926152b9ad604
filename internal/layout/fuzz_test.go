package layout_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// FuzzParseMarker: a marker that is taken says whose store it is in a way that can be compared and shown, and reads as the same when it
// is written again.
func FuzzParseMarker(f *testing.F) {
	f.Add([]byte(`{"format":"lifeboat/1","id":"3f0c2a52-7a52-4a37-9a55-0b7f0f6a2d11","app":"app","created":"2026-01-02T03:04:05Z"}` + "\n"))
	f.Add([]byte(`{"format":"lifeboat/2","tool":"2.0.0"}`))
	f.Add([]byte(`{"format":"lifeboat/1","later":[1,{"a":"\ud83d\udedf"}],"id":"","app":"a\u001b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := layout.ParseMarker(data)
		if err != nil {
			if m != (layout.Marker{}) || !errors.Is(err, manifest.ErrInvalid) && !errors.As(err, new(*manifest.FormatError)) {
				t.Fatalf("%+v with error %v", m, err)
			}
			return
		}
		if manifest.CheckName(m.App) != nil || len(m.ID) != 36 || m.Format != manifest.Format || m.Created.Location() != time.UTC {
			t.Fatalf("%+v was taken", m)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if again, err := layout.ParseMarker(text); err != nil || again != m {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}
