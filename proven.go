package main

import (
	"context"
	"fmt"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A proof is the last drill that has brought a snapshot back.
type proof struct {
	Stamp manifest.Stamp `json:"stamp"` // of the drill
	Age   int64          `json:"age_seconds"`
	Place string         `json:"place"` // name
}

// proofs returns the last proof of each snapshot. Where that cannot be found out, a warning says so.
func (s *session) proofs(ctx context.Context, c *layout.Catalog, places []*place) map[manifest.Stamp]*proof {
	all := map[manifest.Stamp]*proof{}
	for _, p := range places {
		proven, err := provenAt(ctx, c, p)
		if err != nil {
			s.warn("what was proven at %s is not known: %s", p.url, explain(err))
		}
		for stamp, at := range proven {
			if last := all[stamp]; last == nil || at > last.Stamp {
				all[stamp] = &proof{at, s.ageOf(at), p.name}
			}
		}
	}
	return all
}

// ago says when that was.
func (p *proof) ago() string {
	if p == nil {
		return "never"
	}
	return fmt.Sprintf("%s ago at %s", age(p.Age), p.Place)
}
