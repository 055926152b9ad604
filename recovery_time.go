package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/drill"
	"lifeboat/internal/config"
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
	From    string      `json:"from,omitempty"`
	Basis   drill.Basis `json:"basis"`
	Seconds float64     `json:"seconds,omitempty"`
	Bytes   int64       `json:"bytes,omitempty"` // to fetch, about

	Drill manifest.Stamp `json:"drill,omitempty"` // by which it is known
}

func recoveryOf(from string, e drill.Estimate) recoveryTime {
	return recoveryTime{From: from, Basis: e.Basis, Seconds: e.Time.Seconds(), Bytes: e.Fetch, Drill: e.Drill}
}

// targetOf returns how large a snapshot is.
func targetOf(id manifest.ID, h *manifest.Head) drill.Target {
	all, _ := needed(h)
	return drill.Target{ID: id, Bytes: h.Files.Bytes, Needed: all}
}

// describe says how long, and how that is known. bandwidth is the line that it is reckoned for, 0 for that of the drill.
func (r recoveryTime) describe(bandwidth config.Rate) string {
	line := ""
	if bandwidth > 0 {
		line = fmt.Sprintf(" over a line of %s", bandwidth)
	}
	switch r.Basis {
	case drill.Measured:
		return fmt.Sprintf("about %s from %s%s, measured by this drill", roughly(r.Seconds), r.From, line)
	case drill.FetchAlone:
		return fmt.Sprintf("at least %s to fetch %s from %s%s; what comes after that was not measured", roughly(r.Seconds), size(r.Bytes), r.From, line)
	}
	return "not known"
}

// roughly writes a time that is an estimate.
func roughly(s float64) string {
	switch {
	case s < 1:
		return "1 s"
	case s < 100:
		return fmt.Sprintf("%.0f s", s)
	case s < 2*3600:
		return fmt.Sprintf("%.0f min", s/60)
	}
	return fmt.Sprintf("%.1f h", s/3600)
}
