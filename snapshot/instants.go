package snapshot

import (
	"io/fs"
	"time"

	"lifeboat/manifest"
)

// instants collects at what times the parts of a source were as they were captured.
//
// Each part was so for a while: a database at the instant of its pin, a file from its last change, which the kernel stamps, to the
// last look at it. If some moment lies in all of these, the snapshot is the state at that moment; if not, its parts lie as far
// apart as the latest beginning comes after the earliest end.
type instants struct {
	from, to   time.Time // the latest beginning, the earliest end
	fuzzy      bool      // some file shows no instant at all
	walGrowth  int64     // bytes
	longestPin time.Duration

	longestBlock time.Duration // of pins that nobody could commit under
}

// tick is how far the times that a kernel gives to files may lag behind the clock. Linux stamps with the time of the last
// timer interrupt, at most 10 ms ago (CONFIG_HZ=100).
const tick = 20 * time.Millisecond

// A sight is what was known of a file at one time.
type sight struct {
	fs.FileInfo
	at time.Time // just before the look; of the clock that the kernel stamps with
}

// look describes a file or directory.
func look(stat func() (fs.FileInfo, error)) (sight, error) {
	at := time.Now()
	fi, err := stat()
	return sight{fi, at}, err
}

// settled reports whether the last change lies so far back that a later one would have another time.
func (s sight) settled() bool {
	changed, ok := changeTime(s.FileInfo)
	return !ok || changed.Add(tick).Before(s.at)
}

// sameAs reports whether a file was not touched between two looks at it.
func (s sight) sameAs(o sight) bool {
	a, _ := changeTime(s.FileInfo)
	b, _ := changeTime(o.FileInfo)
	return s.Size() == o.Size() && s.ModTime().Equal(o.ModTime()) && a.Equal(b)
}

// span notes a part that was as it was captured from one time to another.
func (s *instants) span(from, to time.Time) {
	if from.After(s.from) {
		s.from = from
	}
	if s.to.IsZero() || to.Before(s.to) {
		s.to = to
	}
}

// at notes a part that was as it was captured at one instant, as far as is known.
func (s *instants) at(t time.Time) { s.span(t, t) }

// rest notes a file or directory that was the same in two sights, between which it was read.
func (s *instants) rest(first, last sight) {
	from := first.at
	if changed, ok := changeTime(first.FileInfo); ok && changed.Add(tick).Before(from) {
		from = changed.Add(tick)
	}
	s.span(from, last.at)
}

// absent notes something that had been listed and was gone at t.
func (s *instants) absent(t time.Time) {
	if t.After(s.from) {
		s.from = t
	}
}

// pinTime notes how long a transaction on a database took, and for how long commits had to wait for its end.
func (s *instants) pinTime(held, blocked time.Duration) {
	s.longestPin = max(s.longestPin, held)
	s.longestBlock = max(s.longestBlock, blocked)
}

// join adds what another source collected.
func (s *instants) join(o instants) {
	if !o.to.IsZero() {
		s.span(o.from, o.to)
	}
	s.fuzzy = s.fuzzy || o.fuzzy
	s.walGrowth += o.walGrowth
	s.longestPin = max(s.longestPin, o.longestPin)
	s.longestBlock = max(s.longestBlock, o.longestBlock)
}

// consistency says what the instants prove.
func (s *instants) consistency() manifest.Consistency {
	skew := max(0, s.from.Sub(s.to))
	c := manifest.Consistency{Level: manifest.Transactional, SkewUS: skew.Microseconds()}
	switch {
	case s.fuzzy:
		c.Level = manifest.Fuzzy
	case skew > 0:
		c.Level = manifest.Stable
	}
	return c
}
