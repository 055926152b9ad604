//go:build unix

package layout_test

import (
	"strings"
	"testing"

	"lifeboat/manifest"
)

// What a drill proved is known by the name of its evidence; what failed, or is no evidence, proves nothing.
func TestProven(t *testing.T) {
	s := memory()
	sum := strings.Repeat("0a", 32)
	put(t, s, "drills/20260103T000000Z-20260101T000000Z-ok-"+sum+".json", "{}")
	put(t, s, "drills/20260103T000000Z-20260102T000000Z-failed-"+sum+".json", "{}")
	put(t, s, "drills/20260104T000000Z-20260101T000000Z-failed-"+sum+".json", "{}")
	put(t, s, "drills/20260103T000000Z-20260103T000000Z-ok-"+sum+".json.bak", "{}")
	put(t, s, "drills/20260103T000000Z-20260104T000000Z-ok-"+sum[1:]+".json", "{}")
	put(t, s, "drills/yesterday-20260105T000000Z-ok-"+sum+".json", "{}")
	put(t, s, "drills/20260103T000000Z-x-ok-"+sum+".json", "{}")
	put(t, s, "drills/README", "what this is")
	proven, err := s.Proven(t.Context())
	if err != nil || len(proven) != 1 || !proven[manifest.Stamp("20260101T000000Z")] {
		t.Errorf("proven: %v (%v)", proven, err)
	}
}

// A name that is read is written as the same; evidence is listed by time.
func TestDrillNames(t *testing.T) {
	s := memory()
	sum := strings.Repeat("0a", 32)
	names := []string{"20260101T000000Z-20260101T000000Z-ok-" + sum + ".json", "20260101T000001Z-20250101T000000Z-failed-" + sum + ".json"}
	put(t, s, "drills/"+names[1], "{}")
	put(t, s, "drills/"+names[0], "{}")
	list, err := s.Drills(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v (%v)", list, err)
	}
	for i, d := range list {
		if d.Name() != names[i] || d.Key() != "drills/"+names[i] {
			t.Errorf("%s was listed as %s", names[i], d.Name())
		}
	}
}
