package layout

import (
	"context"
	"strings"

	"lifeboat/manifest"
)

const drillsPrefix = "drills/"

// Proven returns the stamps of the snapshots that a drill has restored, and found to be right, by the evidence in this store. Objects whose names are not
// those of evidence are ignored.
func (s Store) Proven(ctx context.Context) (map[manifest.Stamp]bool, error) {
	proven := map[manifest.Stamp]bool{}
	for info, err := range s.List(ctx, drillsPrefix) {
		if err != nil {
			return nil, err
		}
		// <stamp>-<snapshot stamp>-<ok|failed>-<sha256>.json
		name, isEvidence := strings.CutSuffix(strings.TrimPrefix(info.Key, drillsPrefix), ".json")
		parts := strings.Split(name, "-")
		if !isEvidence || len(parts) != 4 || parts[2] != "ok" {
			continue
		}
		_, errAt := manifest.ParseStamp(parts[0])
		stamp, err := manifest.ParseStamp(parts[1])
		_, errSum := manifest.ParseHash(parts[3])
		if errAt == nil && err == nil && errSum == nil {
			proven[stamp] = true
		}
	}
	return proven, nil
}
