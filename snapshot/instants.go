package snapshot

import (
	"io/fs"
	"time"

	"lifeboat/manifest"
)

// instants collects at what times the parts of a source were as they were captured.
//
// A pinned database shows one instant. A file that was last changed before the capture began, and was still so when it was
// read, was the same at every instant in between, so it belongs to all of them. Any other file shows the instant at which it was read.
type instants struct {
	began       time.Time
	first, last time.Time // of those that are bound to an instant
	fuzzy       bool      // some file shows no instant at all
	walGrowth   int64     // bytes
	longestPin  time.Duration
}

// tick is how far the times that a kernel gives to files may lag behind the clock. Linux stamps with the time of the last
// timer interrupt, at most 10 ms ago (CONFIG_HZ=100).
const tick = 20 * time.Millisecond

func (s *instants) at(t time.Time) {
	if s.first.IsZero() || t.Before(s.first) {
		s.first = t
	}
	if t.After(s.last) {
		s.last = t
	}
}

// pin notes a database that was pinned at t.
func (s *instants) pin(t time.Time) { s.at(t) }

// pinTime notes how long a pin was held.
func (s *instants) pinTime(from, to time.Time) { s.longestPin = max(s.longestPin, to.Sub(from)) }

// file notes a file or directory that was read at t, when this was what was known of it.
func (s *instants) file(fi fs.FileInfo, t time.Time) {
	changed, ok := changeTime(fi)
	if !ok || !changed.Before(s.began.Add(-tick)) {
		s.at(t)
	}
}

// join adds what another source collected.
func (s *instants) join(o instants) {
	if !o.first.IsZero() {
		s.at(o.first)
		s.at(o.last)
	}
	s.fuzzy = s.fuzzy || o.fuzzy
	s.walGrowth += o.walGrowth
	s.longestPin = max(s.longestPin, o.longestPin)
}

// consistency says what the instants prove.
func (s *instants) consistency() manifest.Consistency {
	c := manifest.Consistency{Level: manifest.Transactional, SkewUS: s.last.Sub(s.first).Microseconds()}
	switch {
	case s.fuzzy:
		c.Level = manifest.Fuzzy
	case !s.first.Equal(s.last):
		c.Level = manifest.Stable
	}
	return c
}
