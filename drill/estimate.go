package drill

import (
	"time"

	"lifeboat/manifest"
)

// An Estimate is how long it would take to restore a snapshot, and where that is known from.
type Estimate struct {
	Basis Basis          `json:"basis"`
	Time  time.Duration  `json:"-"`               // nothing is known where Basis is Unknown
	Fetch int64          `json:"-"`               // bytes to fetch, about
	Drill manifest.Stamp `json:"drill,omitempty"` // the drill that it is known from
}

// Basis says where an estimate is from.
type Basis string

const (
	Unknown    Basis = "unknown"    // nobody has tried, and no bandwidth was given
	Measured   Basis = "measured"   // a drill restored this snapshot in that time
	Scaled     Basis = "scaled"     // a drill restored another snapshot; its time for as many bytes
	FetchAlone Basis = "fetch_only" // the time to fetch the bytes: what comes after it was never measured, so it takes longer
)

// A Target is what is to be restored.
type Target struct {
	ID     manifest.ID
	Bytes  int64 // of its files
	Needed int64 // of its archives
}

// EstimateOf returns what is known of the time that it takes to restore a snapshot, from the record of a drill that passed, or nil, and over a
// line of so many bytes per second, 0 for the one that the drill had. Nothing is made up: what was never measured is not in it.
func EstimateOf(t Target, last *Record, bandwidth int64) Estimate {
	if last == nil || last.Result != OK || last.Bytes == 0 || last.Mode != Restored && last.Fetched == 0 {
		if bandwidth <= 0 {
			return Estimate{Basis: Unknown, Fetch: t.Needed}
		}
		return Estimate{Basis: FetchAlone, Time: over(t.Needed, bandwidth), Fetch: t.Needed}
	}
	e := Estimate{Basis: Measured, Drill: last.Stamp}
	scale := 1.0
	if t.ID != last.Snapshot {
		e.Basis, scale = Scaled, float64(t.Bytes)/float64(last.Bytes)
	}
	if last.Mode != Restored {
		e.Basis = FetchAlone
	}
	for _, p := range last.Phases {
		took := time.Duration(float64(p.MS) * scale * float64(time.Millisecond))
		switch p.Name {
		case "fetch", "stream":
			e.Fetch = int64(float64(p.Bytes) * scale)
			if bandwidth > 0 {
				took = max(took, over(e.Fetch, bandwidth))
			}
			e.Time += took
		case "open", "check", "finish":
			e.Time += took
		}
	}
	return e
}

// over returns how long it takes to send bytes over a line of so many bytes per second.
func over(bytes, bandwidth int64) time.Duration {
	return time.Duration(float64(bytes) / float64(bandwidth) * float64(time.Second))
}
