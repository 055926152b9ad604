package prune_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"lifeboat/manifest"
	"lifeboat/prune"
)

var update = flag.Bool("update", false, "write the decisions in testdata/policy anew")

// TestPolicy compares decisions with those in testdata/policy. A file begins with what it shows; "policy" has rules as "daily 7", and perhaps "now" and
// "zone"; "snapshots" has one a line, a stamp and what is odd about it; "decisions" says what becomes of each, and why.
func TestPolicy(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "policy", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections := map[string]string{}
			for _, f := range a.Files {
				sections[f.Name] = string(f.Data)
			}
			p, now, zone := parsePolicy(t, sections["policy"])
			snapshots := parseSnapshots(t, sections["snapshots"])
			got := describe(decide(t, p, snapshots, now, zone))
			if *update {
				for i := range a.Files {
					if a.Files[i].Name == "decisions" {
						a.Files[i].Data = []byte(got)
					}
				}
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(sections["decisions"], got); diff != "" && !*update {
				t.Errorf("decisions (-want, +got; go test -run TestPolicy -update writes them):\n%s", diff)
			}
		})
	}
}

func decide(t interface{ Fatal(...any) }, p prune.Policy, snapshots []prune.Snapshot, now time.Time, zone *time.Location) []prune.Decision {
	list, err := p.Decide(snapshots, now, zone)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func describe(decisions []prune.Decision) string {
	var b strings.Builder
	for _, d := range decisions {
		what := "remove"
		if d.Keep {
			what = "keep"
		}
		fmt.Fprintf(&b, "%-6s %s\n", what, d.ID.Stamp)
		for _, r := range d.Reasons {
			fmt.Fprintf(&b, "       %s: %s\n", r.Rule, r.Text)
		}
	}
	return b.String()
}

func parsePolicy(t *testing.T, text string) (p prune.Policy, now time.Time, zone *time.Location) {
	t.Helper()
	now, zone = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC
	counts := map[string]*int{"last": &p.Last, "hourly": &p.Hourly, "daily": &p.Daily, "weekly": &p.Weekly, "monthly": &p.Monthly, "yearly": &p.Yearly}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var err error
		switch {
		case key == "zone":
			zone, err = time.LoadLocation(value)
		case key == "now":
			now, err = time.Parse("20060102T150405Z", value)
		case key == "within":
			p.Within, err = time.ParseDuration(value)
		case counts[key] != nil && value == "all":
			*counts[key] = prune.All
		case counts[key] != nil:
			*counts[key], err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("no rule %q", line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return p, now, zone
}

func parseSnapshots(t *testing.T, text string) (list []prune.Snapshot) {
	t.Helper()
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		stamp, err := manifest.ParseStamp(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		s := newSnapshot(stamp, byte(len(list)))
		for _, word := range fields[1:] {
			switch word {
			case "incomplete":
				s.State = manifest.Incomplete
			case "corrupt":
				s.Corrupt = true
			case "unreadable":
				s = prune.Snapshot{ID: s.ID, Unreadable: true, Pinned: s.Pinned}
			case "pinned":
				s.Pinned = true
			case "proven":
				s.Proven = true
			case "without":
				continue
			case "files", "files,logs":
				s.Without = word
			case "safety", "adopted":
				s.Kind = manifest.Kind(word)
			default:
				t.Fatalf("no snapshot is %q", word)
			}
		}
		list = append(list, s)
	}
	return list
}

func newSnapshot(stamp manifest.Stamp, n byte) prune.Snapshot {
	return prune.Snapshot{ID: manifest.ID{Stamp: stamp, SHA256: manifest.Hash{n}}, Kind: manifest.Backup, State: manifest.Complete}
}

// A policy without a rule is an error, and removes nothing; one that makes no sense likewise.
func TestNoPolicy(t *testing.T) {
	snapshots := []prune.Snapshot{newSnapshot("20260101T000000Z", 1)}
	for _, p := range []prune.Policy{{}, {Daily: -2}, {Last: 1, Yearly: -7}, {Within: -time.Hour}, {Daily: 7, Within: -1}} {
		list, err := p.Decide(snapshots, time.Now(), time.UTC)
		if err == nil || list != nil || errors.Is(err, prune.ErrNoPolicy) != (p == prune.Policy{}) {
			t.Errorf("%+v: %v, %v", p, list, err)
		}
	}
	for _, p := range []prune.Policy{{Last: 1}, {Yearly: prune.All}, {Within: 1}} {
		if list, err := p.Decide(nil, time.Now(), time.UTC); err != nil || len(list) != 0 {
			t.Errorf("%+v of nothing: %v, %v", p, list, err)
		}
	}
}

// Equal input in another order is decided alike.
func TestOrderDoesNotMatter(t *testing.T) {
	snapshots := parseSnapshots(t, "20260101T000000Z\n20260101T000000Z\n20260102T000000Z incomplete\n20260103T000000Z\n20260103T010000Z corrupt\n")
	p := prune.Policy{Daily: 2, Last: 1}
	want := describe(decide(t, p, snapshots, time.Now(), time.UTC))
	slices.Reverse(snapshots)
	if diff := cmp.Diff(want, describe(decide(t, p, snapshots, time.Now(), time.UTC))); diff != "" {
		t.Error(diff)
	}
}
