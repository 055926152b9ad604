package drill_test

import (
	"testing"
	"time"

	"lifeboat/drill"
	"lifeboat/manifest"
)

// An estimate is the measured time, or that for as many bytes, or that of the line where that is the slower; and nothing where nothing is known.
func TestEstimate(t *testing.T) {
	last := sample()
	last.Stamp, last.Bytes = "20260103T000000Z", 1000
	last.Phases = []drill.Phase{{Name: "open", MS: 1000}, {Name: "fetch", MS: 4000, Bytes: 400}, {Name: "check", MS: 2000}, {Name: "finish", MS: 1000}, {Name: "compare", MS: 5000}, {Name: "assert", MS: 9000}}
	failed, streamed, other := *last, *last, manifest.ID{Stamp: "20260104T000000Z"}
	failed.Result = drill.Failed
	streamed.Mode, streamed.Phases = drill.Streamed, []drill.Phase{{Name: "open", MS: 1000}, {Name: "stream", MS: 3000, Bytes: 400}}
	for name, tt := range map[string]struct {
		target    drill.Target
		last      *drill.Record
		bandwidth int64
		basis     drill.Basis
		seconds   int
		fetch     int64
	}{
		"never":                    {drill.Target{ID: other, Bytes: 10, Needed: 5}, nil, 0, drill.Unknown, 0, 5},
		"never, over a line":       {drill.Target{ID: other, Bytes: 10, Needed: 50}, nil, 5, drill.FetchAlone, 10, 50},
		"failed":                   {drill.Target{ID: other, Bytes: 10, Needed: 5}, &failed, 0, drill.Unknown, 0, 5},
		"this one":                 {drill.Target{ID: last.Snapshot, Bytes: 77}, last, 0, drill.Measured, 8, 400},
		"twice as large":           {drill.Target{ID: other, Bytes: 2000}, last, 0, drill.Scaled, 16, 800},
		"over a slower line":       {drill.Target{ID: last.Snapshot}, last, 50, drill.Measured, 12, 400},
		"over a faster line":       {drill.Target{ID: last.Snapshot}, last, 5000, drill.Measured, 8, 400},
		"twice, over a slower one": {drill.Target{ID: other, Bytes: 2000}, last, 50, drill.Scaled, 24, 800},
		"streamed":                 {drill.Target{ID: last.Snapshot}, &streamed, 0, drill.FetchAlone, 4, 400},
		"nothing in it":            {drill.Target{ID: other}, last, 0, drill.Scaled, 0, 0},
	} {
		e := drill.EstimateOf(tt.target, tt.last, tt.bandwidth)
		if e.Basis != tt.basis || e.Time != time.Duration(tt.seconds)*time.Second || e.Fetch != tt.fetch {
			t.Errorf("%s: %+v, want %s, %d s, %d bytes", name, e, tt.basis, tt.seconds, tt.fetch)
		}
	}
}
