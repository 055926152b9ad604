package prune_test

import (
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lifeboat/manifest"
	"lifeboat/prune"
)

// epoch is where generated histories end.
var epoch = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC) // the day on which clocks go forward in Europe

// check tries a property on histories that are the same in every run, but in an exhaustive one.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	set := func(name, value string) {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { flag.Set(name, before) })
	}
	checks := "300"
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		checks = "30000"
	} else if flag.Lookup("rapid.seed").Value.String() == "0" {
		set("rapid.seed", "1")
	}
	set("rapid.checks", checks)
	rapid.Check(t, property)
}

func anyPolicy() *rapid.Generator[prune.Policy] {
	count := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 7, prune.All})
	return rapid.Custom(func(t *rapid.T) prune.Policy {
		return prune.Policy{
			Last: count.Draw(t, "last"), Hourly: count.Draw(t, "hourly"), Daily: count.Draw(t, "daily"), Weekly: count.Draw(t, "weekly"),
			Monthly: count.Draw(t, "monthly"), Yearly: count.Draw(t, "yearly"),
			Within: rapid.SampledFrom([]time.Duration{0, 0, time.Second, 30 * time.Hour, 1000 * time.Hour}).Draw(t, "within"),
		}
	}).Filter(func(p prune.Policy) bool { return p.Check() == nil })
}

// anyHistory is a history in which much happens: bursts, gaps, and every kind of snapshot.
func anyHistory() *rapid.Generator[[]prune.Snapshot] {
	return rapid.Custom(func(t *rapid.T) (list []prune.Snapshot) {
		step := rapid.SampledFrom([]time.Duration{0, time.Second, 20 * time.Minute, time.Hour, 5 * time.Hour, 24 * time.Hour, 9 * 24 * time.Hour, 100 * 24 * time.Hour})
		chance := func(of int) *rapid.Generator[bool] {
			return rapid.Map(rapid.IntRange(1, of), func(n int) bool { return n == of })
		}
		at := epoch.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 50 * time.Hour}).Draw(t, "future"))
		worse := rapid.SampledFrom([]int{1, 2, 5}).Draw(t, "one of how many is incomplete")
		for n := range rapid.IntRange(0, 40).Draw(t, "n") {
			s := newSnapshot(manifest.StampOf(at), byte(n))
			s.Kind = rapid.SampledFrom([]manifest.Kind{manifest.Backup, manifest.Backup, manifest.Backup, manifest.Adopted, manifest.Safety}).Draw(t, "kind")
			if chance(worse).Draw(t, "incomplete") {
				s.State = manifest.Incomplete
			}
			s.Corrupt, s.Pinned, s.Proven = chance(6).Draw(t, "corrupt"), chance(9).Draw(t, "pinned"), chance(9).Draw(t, "proven")
			if chance(12).Draw(t, "unreadable") {
				s = prune.Snapshot{ID: s.ID, Unreadable: true, Pinned: s.Pinned, Proven: s.Proven}
			}
			if !s.Unreadable && chance(3).Draw(t, "without") {
				s.Without = rapid.SampledFrom([]string{"files", "files, logs"}).Draw(t, "sources")
			}
			list = append(list, s)
			at = at.Add(-step.Draw(t, "step"))
		}
		return list
	})
}

var berlin = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}()

// kept returns the snapshots that stay, and checks that there is a reason for each decision.
func kept(t *rapid.T, p prune.Policy, list []prune.Snapshot) map[manifest.ID]bool {
	ids := map[manifest.ID]bool{}
	for _, d := range decide(t, p, list, epoch, berlin) {
		if len(d.Reasons) == 0 {
			t.Errorf("no reason for %+v", d)
		}
		if d.Keep {
			ids[d.ID] = true
		}
	}
	return ids
}

func only(list []prune.Snapshot, has func(prune.Snapshot) bool) []prune.Snapshot {
	return slices.DeleteFunc(slices.Clone(list), func(s prune.Snapshot) bool { return !has(s) })
}

func counts(s prune.Snapshot) bool {
	return !s.Unreadable && s.Kind != manifest.Safety && s.State == manifest.Complete && !s.Corrupt && !future(s)
}

// whole reports that no source was left out.
func whole(s prune.Snapshot) bool { return s.Without == "" }

func future(s prune.Snapshot) bool { return s.ID.Stamp.Time().After(epoch.Add(15 * time.Minute)) }

// Pruning a second time removes nothing more.
func TestPruningTwice(t *testing.T) {
	check(t, func(t *rapid.T) {
		p, list := anyPolicy().Draw(t, "policy"), anyHistory().Draw(t, "history")
		first := kept(t, p, list)
		left := only(list, func(s prune.Snapshot) bool { return first[s.ID] })
		if second := kept(t, p, left); len(second) != len(first) {
			t.Errorf("%d stayed at first, then %d", len(first), len(second))
		}
	})
}

// Who keeps more, by a larger number, another rule, a pin or a drill, keeps at least the same.
func TestMoreKeepsMore(t *testing.T) {
	check(t, func(t *rapid.T) {
		p, list := anyPolicy().Draw(t, "policy"), anyHistory().Draw(t, "history")
		more, pinned := p, slices.Clone(list)
		switch rapid.IntRange(0, 7).Draw(t, "more of") {
		case 0:
			more.Last = greater(t, p.Last)
		case 1:
			more.Hourly = greater(t, p.Hourly)
		case 2:
			more.Daily = greater(t, p.Daily)
		case 3:
			more.Weekly = greater(t, p.Weekly)
		case 4:
			more.Monthly = greater(t, p.Monthly)
		case 5:
			more.Yearly = greater(t, p.Yearly)
		case 6:
			more.Within += 7 * time.Hour
		case 7:
			if len(list) > 0 {
				pinned[rapid.IntRange(0, len(list)-1).Draw(t, "which")].Pinned = true
			}
		}
		before, after := kept(t, p, list), kept(t, more, pinned)
		for id := range before {
			if !after[id] {
				t.Errorf("%s stays under %+v and goes under %+v", id.Stamp, p, more)
			}
		}
	})
}

func greater(t *rapid.T, n int) int {
	if n == prune.All {
		return n
	}
	return rapid.SampledFrom([]int{n + 1, n + 5, prune.All}).Draw(t, "greater")
}

// What must never go, does not, whatever the policy.
func TestNeverRemoved(t *testing.T) {
	check(t, func(t *rapid.T) {
		p, list := anyPolicy().Draw(t, "policy"), anyHistory().Draw(t, "history")
		stay := kept(t, p, list)
		newestFirst := slices.Clone(list)
		slices.SortFunc(newestFirst, func(a, b prune.Snapshot) int { return b.ID.Compare(a.ID) })
		must := func(why string, s prune.Snapshot) {
			if !stay[s.ID] {
				t.Errorf("%s goes, though it is %s", s.ID.Stamp, why)
			}
		}
		best, proven := false, false
		for _, s := range newestFirst {
			switch {
			case s.Pinned:
				must("pinned", s)
			case s.Kind == manifest.Safety:
				must("a safety snapshot", s)
			case s.Unreadable || future(s):
				must("not to be judged", s)
			case !best && !counts(s):
				must("newer than any that is sound", s)
			}
			if counts(s) && !best {
				must("the newest that is sound", s)
				best = true
			}
			if s.Proven && !proven && !future(s) && !s.Unreadable && s.Kind != manifest.Safety {
				must("the newest that a drill proved", s)
				proven = true
			}
		}
		if !best && len(stay) != len(list) {
			t.Errorf("something goes, though nothing is sound")
		}
	})
}

// What does not count takes the place of nothing: without it, the others are decided alike.
func TestWhatDoesNotCountTakesNoPlace(t *testing.T) {
	check(t, func(t *rapid.T) {
		p, list := anyPolicy().Draw(t, "policy"), anyHistory().Draw(t, "history")
		for i := range list {
			list[i].Proven = false // a drill of one that does not count is no drill of another
		}
		with, without := kept(t, p, list), kept(t, p, only(list, counts))
		for _, s := range only(list, counts) {
			if with[s.ID] != without[s.ID] {
				t.Errorf("%s stays: %v; without those that do not count: %v", s.ID.Stamp, with[s.ID], without[s.ID])
			}
		}
	})
}

// A snapshot that left sources out takes the place of none that did not: without them, the others are decided alike.
func TestWhatLeftSourcesOutTakesNoPlace(t *testing.T) {
	check(t, func(t *rapid.T) {
		p, list := anyPolicy().Draw(t, "policy"), anyHistory().Draw(t, "history")
		with, without := kept(t, p, list), kept(t, p, only(list, whole))
		for _, s := range only(list, whole) {
			if with[s.ID] != without[s.ID] {
				t.Errorf("%s stays: %v; without those that left sources out: %v", s.ID.Stamp, with[s.ID], without[s.ID])
			}
		}
	})
}

// A rule of days alone keeps the newest of each of the newest days that have a sound snapshot, and the oldest while there is room: computed in
// another way, day by day.
func TestDailyMeansDays(t *testing.T) {
	check(t, func(t *rapid.T) {
		days := rapid.IntRange(1, 9).Draw(t, "days")
		list := only(only(anyHistory().Draw(t, "history"), counts), whole)
		for i := range list {
			list[i].Pinned, list[i].Proven = false, false
		}
		newest := map[string]prune.Snapshot{}
		var oldest manifest.ID
		for _, s := range list {
			day := s.ID.Stamp.Time().In(berlin).Format(time.DateOnly)
			if old, ok := newest[day]; !ok || s.ID.Compare(old.ID) > 0 {
				newest[day] = s
			}
			if oldest == (manifest.ID{}) || s.ID.Compare(oldest) < 0 {
				oldest = s.ID
			}
		}
		var all []string
		for day := range newest {
			all = append(all, day)
		}
		slices.Sort(all)
		want := map[manifest.ID]bool{}
		for _, day := range all[max(0, len(all)-days):] {
			want[newest[day].ID] = true
		}
		if len(all) > 0 && len(all) < days {
			want[oldest] = true
		}
		got := kept(t, prune.Policy{Daily: days}, list)
		for _, s := range list {
			if got[s.ID] != want[s.ID] {
				t.Errorf("%s stays: %v, want %v", s.ID.Stamp, got[s.ID], want[s.ID])
			}
		}
	})
}
