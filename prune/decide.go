package prune

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/manifest"
)

// Decide decides about every snapshot of one store, each of which is given once, in any order. now is the time by the store's clock, and the days
// are those of zone, as are hours, weeks, months and years. The decisions are ordered newest first.
func (p Policy) Decide(snapshots []Snapshot, now time.Time, zone *time.Location) ([]Decision, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	alike := map[string][]Snapshot{}
	for _, s := range snapshots {
		alike[s.Without] = append(alike[s.Without], s)
	}
	list := make([]Decision, 0, len(snapshots))
	for _, snapshots := range alike {
		list = append(list, p.decide(snapshots, now, zone)...)
	}
	slices.SortFunc(list, func(a, b Decision) int { return b.ID.Compare(a.ID) })
	return list, nil
}

// decide decides about snapshots that left out the same sources.
func (p Policy) decide(snapshots []Snapshot, now time.Time, zone *time.Location) []Decision {
	d := newDecider(snapshots, now)
	d.protect()
	for _, r := range p.rules(zone) {
		if r.count != 0 {
			d.apply(r)
		}
	}
	if p.Within > 0 {
		d.within(p.Within)
	}
	return d.decisions()
}

// A rule keeps one snapshot of each of the newest count periods.
type rule struct {
	name  Rule
	count int
	of    func(Snapshot) string // its period, in words
}

// rules returns the rules of a policy that count.
func (p Policy) rules(zone *time.Location) []rule {
	clock := func(layout string) func(Snapshot) string {
		return func(s Snapshot) string { return s.ID.Stamp.Time().In(zone).Format(layout) }
	}
	return []rule{
		{Last, p.Last, func(s Snapshot) string { return s.ID.String() }},
		{Hourly, p.Hourly, clock("hour 2006-01-02 15:00 -0700")}, // there are two of one name when clocks are turned back
		{Daily, p.Daily, clock("day 2006-01-02")},
		{Weekly, p.Weekly, func(s Snapshot) string {
			year, week := s.ID.Stamp.Time().In(zone).ISOWeek()
			return fmt.Sprintf("week %d-W%02d", year, week)
		}},
		{Monthly, p.Monthly, clock("month 2006-01")},
		{Yearly, p.Yearly, clock("year 2006")},
	}
}

// A decider gathers, for each snapshot, what speaks for it and against it.
type decider struct {
	list []*candidate // newest first
	best *candidate   // the newest that is complete and sound; nil if there is none
}

type candidate struct {
	Snapshot
	future      bool
	fails       string // why it does not count: incomplete or corrupt; "" if it does
	keep, gives []Reason
}

func newDecider(snapshots []Snapshot, now time.Time) *decider {
	d := &decider{}
	for _, s := range snapshots {
		d.list = append(d.list, &candidate{Snapshot: s, future: s.ID.Stamp.Time().After(now.Add(MaxFuture)), fails: s.unsound()})
	}
	slices.SortFunc(d.list, func(a, b *candidate) int { return b.ID.Compare(a.ID) })
	return d
}

func (c *candidate) stays(r Rule, format string, args ...any) {
	c.keep = append(c.keep, c.reason(r, format, args))
}

func (c *candidate) goes(r Rule, format string, args ...any) {
	c.gives = append(c.gives, c.reason(r, format, args))
}

// reason says, of a snapshot that left sources out, with which it was compared.
func (c *candidate) reason(r Rule, format string, args []any) Reason {
	text := fmt.Sprintf(format, args...)
	if c.Without != "" && r != Pinned && !c.apart() {
		text += ", of those without " + c.Without
	}
	return Reason{r, text}
}

// apart reports that the rules of a policy do not look at it.
func (c *candidate) apart() bool { return c.future || c.Unreadable || c.Kind == manifest.Safety }

// protect gives the reasons that hold under every policy.
func (d *decider) protect() {
	var proven *candidate
	for _, c := range d.list {
		switch {
		case c.future:
			c.stays(Future, "its stamp is in the future, until when nothing is decided")
		case c.Unreadable:
			c.stays(Unreadable, "its manifest can't be read, so nobody knows what it is")
		case c.Kind == manifest.Safety:
			c.stays(Safety, "a safety snapshot goes with the old state that it protects")
		case c.fails == "" && d.best == nil:
			d.best = c
			c.stays(Newest, "the newest that is complete and sound")
		}
		if c.Proven && !c.apart() && proven == nil {
			proven = c
			c.stays(Proven, "the newest that a drill proved")
		}
		if c.Pinned {
			c.stays(Pinned, "pinned: no policy removes it")
		}
	}
	for _, c := range d.list {
		switch {
		case c.apart() || c.fails == "":
		case d.best == nil || c.ID.Compare(d.best.ID) > 0:
			c.stays(Unsound, "%s, and nothing newer is complete and sound", c.fails)
		default:
			c.goes(Unsound, "%s, and %s is newer, complete and sound", c.fails, d.best.ID.Stamp)
		}
	}
}

// apply lets one rule speak. A snapshot that does not count is looked at where the rule still has room when it comes to it, and where its period
// has nothing better.
func (d *decider) apply(r rule) {
	better := map[string]bool{}
	for _, c := range d.list {
		if !c.apart() && c.fails == "" {
			better[r.of(c.Snapshot)] = true
		}
	}
	taken, second := &slots{rule: r, of: "that have one"}, &slots{rule: r, of: "that have nothing better"}
	var oldest *candidate
	oldestStays := false
	note := ", of which nothing is complete and sound"
	if r.name == Last {
		note = ", beside those that are complete and sound"
	}
	for _, c := range d.list {
		if c.apart() {
			continue
		}
		period := r.of(c.Snapshot)
		switch {
		case c.fails == "":
			oldest, oldestStays = c, taken.offer(c, period, "")
		case better[period]:
			c.goes(r.name, "%s has one that is complete and sound", period)
		case taken.full():
			taken.refuse(c)
		default:
			second.offer(c, period, note)
		}
	}
	if oldest != nil && !oldestStays && !taken.full() {
		oldest.stays(r.name, "the oldest of all %ss", r.unit())
	}
}

// unit is what a rule counts, in one word.
func (r rule) unit() string {
	return map[Rule]string{Hourly: "hour", Daily: "day", Weekly: "week", Monthly: "month", Yearly: "year"}[r.name]
}

// slots are the periods that a rule has given to snapshots.
type slots struct {
	rule
	of     string                    // which periods, in words
	holder map[string]manifest.Stamp // by period
}

func (s *slots) full() bool { return s.count != All && len(s.holder) == s.count }

// offer gives a snapshot, which is older than those before it, the period, if it is to be had.
func (s *slots) offer(c *candidate, period, note string) bool {
	holder, held := s.holder[period]
	switch {
	case held:
		c.goes(s.name, "%s is that of %s", period, holder)
		return false
	case s.full():
		s.refuse(c)
		return false
	}
	if s.holder == nil {
		s.holder = map[string]manifest.Stamp{}
	}
	s.holder[period] = c.ID.Stamp
	if s.name == Last {
		period = "one of the newest"
	}
	text := period + note
	if s.count != All {
		text = fmt.Sprintf("%s (%d of %d)%s", period, len(s.holder), s.count, note)
	}
	c.stays(s.name, "%s", text)
	return true
}

func (s *slots) refuse(c *candidate) {
	switch {
	case s.name == Last && s.count == 1:
		c.goes(Last, "older than the newest")
	case s.name == Last:
		c.goes(Last, "older than the newest %d", s.count)
	case s.count == 1:
		c.goes(s.name, "older than the newest %s of those %s", s.unit(), s.of)
	default:
		c.goes(s.name, "older than the newest %d %ss %s", s.count, s.unit(), s.of)
	}
}

// within keeps everything of the time before the newest one, whatever it is.
func (d *decider) within(span time.Duration) {
	if d.best == nil {
		return // so that nothing is removed
	}
	since := d.best.ID.Stamp.Time().Add(-span)
	for _, c := range d.list {
		switch at := c.ID.Stamp.Time(); {
		case c.apart():
		case at.Before(since):
			c.goes(Within, "more than %s older than %s", words(span), d.best.ID.Stamp)
		default:
			c.stays(Within, "at most %s older than %s", words(span), d.best.ID.Stamp)
		}
	}
}

func (d *decider) decisions() []Decision {
	list := make([]Decision, len(d.list))
	for i, c := range d.list {
		list[i] = Decision{Snapshot: c.Snapshot, Keep: len(c.keep) > 0, Reasons: c.keep}
		if !list[i].Keep {
			list[i].Reasons = c.gives
		}
	}
	return list
}

// words writes a time in its largest units.
func words(d time.Duration) string {
	text := d.String()
	switch {
	case strings.HasSuffix(text, "h0m0s"):
		return strings.TrimSuffix(text, "0m0s")
	case strings.HasSuffix(text, "m0s"):
		return strings.TrimSuffix(text, "0s")
	}
	return text
}
