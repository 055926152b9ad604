// Package prune decides which snapshots of a store stay, and removes the others.
package prune

import (
	"errors"
	"fmt"
	"time"

	"lifeboat/manifest"
)

// A Policy says which snapshots of a store stay: those that at least one of its rules keeps. The rules are those of restic and borg.
//
// Last keeps the newest so many. Each of the rules of periods keeps, for the newest so many hours, days, ISO weeks, months or years that have
// a snapshot at all, the newest of that period; periods without one are not counted, so that a machine which was off for a month loses nothing
// by it. While there are fewer such periods than the rule has room for, it keeps the oldest snapshot too, so that the history reaches back to its
// beginning. Within keeps all that are at most that much older than the newest one that is complete and sound. It is not counted from now, so that a
// store to which nothing comes loses nothing.
//
// Only snapshots that are complete, sound and of kind backup or adopted count. One that is incomplete or corrupt takes the place of none that
// is good. Since it may hold what no other does, it stays as long as nothing newer is complete and sound, and where a rule of periods has room for a
// period of which there is nothing better; of such periods there are at most as many as the rule says again.
//
// A snapshot that left sources out takes the place of none that has them: those that left out the same sources are decided about by themselves, as if
// there were no others.
//
// Whatever the rules say, these stay: the newest that is complete and sound, the newest that a drill proved, those that are pinned, safety
// snapshots, which go with the old state that they protect, those of which the manifest can't be read, and those from the future. The last three take no part in the rules.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly int // how many; All for as many as there are

	Within time.Duration
}

// All is the number that stands for no limit.
const All = -1

// ErrNoPolicy says that a policy has no rule. It is no wish to remove all.
var ErrNoPolicy = errors.New("the retention policy keeps nothing")

// Check reports what is wrong with a policy: ErrNoPolicy, or a number that means nothing.
func (p Policy) Check() error {
	for _, r := range p.rules(time.UTC) {
		if r.count < All {
			return fmt.Errorf("%s %d: want how many snapshots to keep", r.name, r.count)
		}
	}
	if p.Within < 0 {
		return fmt.Errorf("within %s: want how long to keep snapshots", p.Within)
	}
	if p == (Policy{}) {
		return ErrNoPolicy
	}
	return nil
}

// A Snapshot is what the rules look at. Where the manifest can't be read, only ID, Pinned and Proven count.
type Snapshot struct {
	ID         manifest.ID
	Kind       manifest.Kind
	State      manifest.State
	Corrupt    bool // a database in it was corrupt when it was captured
	Unreadable bool // its manifest is damaged, or of a later format
	Pinned     bool
	Proven     bool   // a drill restored it
	Without    string // the names of the sources that it left out; "" for none
}

// unsound returns why a snapshot does not count, or "".
func (s Snapshot) unsound() string {
	switch {
	case s.State != manifest.Complete:
		return "incomplete"
	case s.Corrupt:
		return "corrupt"
	}
	return ""
}

// A Rule names why a snapshot stays or goes.
type Rule string

// The rules of a policy, and those that hold always.
const (
	Last    Rule = "last"
	Hourly  Rule = "hourly"
	Daily   Rule = "daily"
	Weekly  Rule = "weekly"
	Monthly Rule = "monthly"
	Yearly  Rule = "yearly"
	Within  Rule = "within"

	Newest     Rule = "newest"     // the newest that is complete and sound
	Proven     Rule = "proven"     // the newest that a drill proved
	Pinned     Rule = "pinned"     //
	Safety     Rule = "safety"     // of kind safety
	Future     Rule = "future"     // its stamp is more than MaxFuture ahead of the clock
	Unreadable Rule = "unreadable" // its manifest can't be read
	Unsound    Rule = "unsound"    // incomplete or corrupt: it stays while nothing newer is better
)

// MaxFuture is how far ahead of the clock a stamp may be before the snapshot is from the future.
const MaxFuture = 15 * time.Minute

// A Reason is one rule, and in words what it says of a snapshot.
type Reason struct {
	Rule Rule   `json:"rule"`
	Text string `json:"text"`
}

// A Decision is what becomes of a snapshot. One that is kept has the reasons for which it is; one that is removed, of each rule, why not.
type Decision struct {
	Snapshot
	Keep    bool
	Reasons []Reason
}
