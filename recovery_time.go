package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/drill"
	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// maxAgeFlag is that of commands that take no snapshot which is too old.
func maxAgeFlag() cli.Flag {
	return &cli.StringFlag{Name: "max-age", Usage: "exit 7, and do nothing, if the snapshot is older than `TIME`, such as 26h or 7d"}
}

// maxAge reads --max-age; 0 is no limit.
func (s *session) maxAge() (time.Duration, error) {
	var d config.Duration
	err := override(s, "max-age", config.ParseWithin, &d)
	return time.Duration(d), err
}

func staleError(id manifest.ID, old, maxAge time.Duration) error {
	return fmt.Errorf("%s is %s old, more than the %s of --max-age", id.Stamp, age(int64(old.Seconds())), maxAge)
}

// recoveryTime is how long it would take to restore a snapshot, and where that is known from.
type recoveryTime struct {
	From    string         `json:"from,omitempty"` // name of the place
	Basis   drill.Basis    `json:"basis"`
	Seconds float64        `json:"seconds,omitempty"`
	Bytes   int64          `json:"bytes,omitempty"`  // to fetch, about
	Drill   manifest.Stamp `json:"drill,omitempty"`  // by which it is known
	Proven  *proof         `json:"proven,omitempty"` // the last time that anything came back from there
}

func recoveryOf(from string, e drill.Estimate) recoveryTime {
	return recoveryTime{From: from, Basis: e.Basis, Seconds: e.Time.Seconds(), Bytes: e.Fetch, Drill: e.Drill}
}

// mostRecords is how many records of drills are read to find one that tells how long a restore takes.
const mostRecords = 5

// recovery finds out how long it would take to restore a snapshot from a place, by the last drill of it that restored anything.
func (s *session) recovery(ctx context.Context, p *place, t drill.Target, bandwidth config.Rate) (recoveryTime, error) {
	var drills []layout.Drill
	listed := false
	if p.glance != nil {
		drills, listed = p.glance.Drills()
	}
	if !listed {
		var err error
		if drills, err = p.Drills(ctx); err != nil {
			return recoveryTime{}, err
		}
	}
	return s.recoveryBy(ctx, p, drills, t, bandwidth), nil
}

// recoveryBy is recovery where the drills are known.
func (s *session) recoveryBy(ctx context.Context, p *place, drills []layout.Drill, t drill.Target, bandwidth config.Rate) recoveryTime {
	var last *drill.Record
	var proven *proof
	read := 0
	for _, d := range slices.Backward(drills) {
		if !d.OK {
			continue
		}
		if proven == nil {
			proven = &proof{d.At, s.ageOf(d.At), p.name}
		}
		if read++; read > mostRecords {
			break
		}
		record, err := drill.Read(ctx, p.Store, d)
		if err != nil { // it proves that something came back, and nothing else; validate tells of damage
			s.detail("the record %s cannot be read: %v", d.Key(), err)
			continue
		}
		if last == nil || record.Mode == drill.Restored {
			last = record
		}
		if record.Mode == drill.Restored {
			break
		}
	}
	r := recoveryOf(p.name, drill.EstimateOf(t, last, int64(bandwidth)))
	r.Proven = proven
	return r
}

// best returns the place from which a snapshot would be restored: where that is known, the one from where it is quickest.
func best(list []recoveryTime) recoveryTime {
	rank := func(r recoveryTime) int {
		switch r.Basis {
		case drill.Measured, drill.Scaled:
			return 0
		case drill.FetchAlone:
			return 1
		}
		return 2
	}
	return slices.MinFunc(list, func(a, b recoveryTime) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Seconds, b.Seconds)) })
}

// targetOf returns how large a snapshot is.
func targetOf(id manifest.ID, h *manifest.Head) drill.Target {
	all, _ := needed(h)
	return drill.Target{ID: id, Bytes: h.Files.Bytes, Needed: all}
}

// long says how long it takes, and from where.
func (r recoveryTime) long() string {
	switch r.Basis {
	case drill.Measured, drill.Scaled:
		return fmt.Sprintf("%s to restore from %s", roughly(r.Seconds), r.From)
	case drill.FetchAlone:
		return fmt.Sprintf("%s to fetch %s from %s, and longer to restore it", roughly(r.Seconds), size(r.Bytes), r.From)
	}
	return r.From + " has it"
}

// sentence says how long, and when anything came back from there last.
func (r recoveryTime) sentence() string {
	if r.Proven == nil {
		return r.long() + "; not proven yet: run lifeboat drill"
	}
	return fmt.Sprintf("%s, last proven %s ago", r.long(), ago(r.Proven.Age))
}

// source says where the time is from.
func (r recoveryTime) source() string {
	switch r.Basis {
	case drill.Measured:
		return "measured by the drill of " + string(r.Drill)
	case drill.Scaled:
		return "the time that the drill of " + string(r.Drill) + " took, for as many bytes"
	case drill.FetchAlone:
		if r.Drill == "" {
			return "the bytes over the bandwidth; what comes after they are fetched was not measured"
		}
		return "the time that the drill of " + string(r.Drill) + " took, for as many bytes; what comes after was not measured"
	}
	return "nothing is known: no drill was made"
}

// ago writes an age in words.
func ago(sec int64) string {
	if sec >= 2*86400 {
		return fmt.Sprintf("%d days", sec/86400)
	}
	return age(sec)
}

// roughly writes a time that is an estimate.
func roughly(s float64) string {
	switch {
	case s < 1:
		return "less than a second"
	case s < 100:
		return fmt.Sprintf("about %.0f s", s)
	case s < 2*3600:
		return fmt.Sprintf("about %.0f min", s/60)
	}
	return fmt.Sprintf("about %.1f h", s/3600)
}
