package manifest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of these tests, wherever they run

	"github.com/google/go-cmp/cmp"

	"lifeboat/manifest"
)

func id(stamp string, digit string) manifest.ID {
	return manifest.ID{Stamp: manifest.Stamp(stamp), SHA256: hex(digit)}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// everyMinute names snapshots by their minute, so that a table can say which one is the newest at or before a time.
func everyMinute(from string, minutes int) []manifest.ID {
	stamp, err := manifest.ParseStamp(from)
	if err != nil {
		panic(err)
	}
	var ids []manifest.ID
	for i := range minutes {
		ids = append(ids, manifest.ID{Stamp: manifest.StampOf(stamp.Time().Add(time.Duration(i) * time.Minute)), SHA256: hex("a")})
	}
	return ids
}

func any1(manifest.ID) (string, error) { return "", nil }

func TestSelect(t *testing.T) {
	ids := []manifest.ID{ // in no order
		id("20260301T120000Z", "b"), id("20250101T000000Z", "1"), id("20260301T120000Z", "a"), id("20260228T235959Z", "c"),
		id("20260302T000000Z", "d"), id("20260301T120001Z", "e"), id("20260228T235959Z", "c"), // one of them twice: of two stores
	}
	for _, tt := range []struct{ ref, want string }{
		{"latest", "20260302T000000Z-d"},
		{"latest@20260302T000000Z", "20260302T000000Z-d"},
		{"latest@20260301T235959Z", "20260301T120001Z-e"},
		{"latest@2026-03-01T12:00:00Z", "20260301T120000Z-b"}, // of two at one time the greater hash
		{"latest@2026-03-01T13:00:00+01:00", "20260301T120000Z-b"},
		{"latest@2026-03-01T12:00:00.999Z", "20260301T120000Z-b"},
		{"latest@2026-03-01T11:59:59Z", "20260228T235959Z-c"},
		{"latest@2026-03-01", "20260301T120001Z-e"},
		{"latest@2026-02-28", "20260228T235959Z-c"},
		{"latest@2026-02-27", "20250101T000000Z-1"},
		{"latest@2024-12-31", ""},
		{"latest@0001-01-01T00:00:00Z", ""}, // the zero time is a limit too
		{"latest@9999-12-31", "20260302T000000Z-d"},
		{"latest@2026-03-01T12:00", "20260301T120000Z-b"},
		{"latest@2026-03-01 12:00", "20260301T120000Z-b"},
		{"latest@2026-03-01 12:00:01", "20260301T120001Z-e"},
		{"20260302T000000Z", "20260302T000000Z-d"},
		{"20260302", "20260302T000000Z-d"},
		{"2025", "20250101T000000Z-1"},
		{"20260228T235959Z", "20260228T235959Z-c"}, // twice, but one
		{"20260301T120000Z-a", "20260301T120000Z-a"},
		{ids[0].String(), "20260301T120000Z-b"},
		{"20260301T120000Z", "2: 20260301T120000Z-a 20260301T120000Z-b"},
		{"20260301", "3: 20260301T120000Z-a 20260301T120000Z-b 20260301T120001Z-e"},
		{"2", "6: 20250101T000000Z-1 20260228T235959Z-c 20260301T120000Z-a 20260301T120000Z-b 20260301T120001Z-e 20260302T000000Z-d"},
		{"2027", ""},
		{"20260301T120000Z-c", ""},
		{ids[0].String() + "b", ""},
		{"2026-03-01", ""},
	} {
		t.Run(tt.ref, func(t *testing.T) {
			ref, err := manifest.ParseRef(tt.ref, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			if ref.String() != tt.ref || ref.IsLatest() != strings.HasPrefix(tt.ref, "latest") {
				t.Errorf("reads as %q, latest %v", ref, ref.IsLatest())
			}
			before := slices.Clone(ids)
			got, skipped, err := ref.Select(ids, any1)
			if !slices.Equal(before, ids) {
				t.Error("Select changed the list")
			}
			short := func(id manifest.ID) string { return id.String()[:len("20060102T150405Z-a")] }
			var ambiguous *manifest.AmbiguousError
			switch {
			case errors.As(err, &ambiguous):
				all := fmt.Sprintf("%d:", len(ambiguous.IDs))
				for _, id := range ambiguous.IDs {
					all += " " + short(id)
				}
				if all != tt.want || !strings.Contains(err.Error(), fmt.Sprintf("%q fits %d snapshots", tt.ref, len(ambiguous.IDs))) {
					t.Errorf("ambiguous: %s, want %s (%v)", all, tt.want, err)
				}
			case errors.Is(err, fs.ErrNotExist):
				if tt.want != "" || !strings.Contains(err.Error(), fmt.Sprintf("%q", tt.ref)) {
					t.Errorf("%v, want %s", err, tt.want)
				}
			case err != nil:
				t.Error(err)
			case short(got) != tt.want:
				t.Errorf("%s, want %s", got, tt.want)
			}
			if len(skipped) > 0 {
				t.Errorf("skipped %v", skipped)
			}
		})
	}
}

// Of nothing, nothing is found.
func TestSelectOfNone(t *testing.T) {
	for _, s := range []string{"latest", "latest@2026-01-01", "2026", "20260302T000000Z"} {
		ref, err := manifest.ParseRef(s, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ref.Select(nil, any1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// latest passes over what does not fit, and says so, newest first; other references do not ask.
func TestSelectPassesOver(t *testing.T) {
	ids := everyMinute("20260301T120000Z", 5)
	why := map[manifest.ID]string{ids[4]: "incomplete", ids[3]: "a safety snapshot", ids[1]: "corrupt"}
	fit := func(id manifest.ID) (string, error) { return why[id], nil }
	latest, err := manifest.ParseRef("latest", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	got, skipped, err := latest.Select(slices.Concat(ids, ids), fit) // as two stores have them
	if err != nil || got != ids[2] {
		t.Errorf("latest is %s (%v), want %s", got, err, ids[2])
	}
	if diff := cmp.Diff([]manifest.Skipped{{ID: ids[4], Why: "incomplete"}, {ID: ids[3], Why: "a safety snapshot"}}, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	why[ids[2]], why[ids[0]] = "x", "y"
	if _, skipped, err := latest.Select(ids, fit); !errors.Is(err, fs.ErrNotExist) || len(skipped) != 5 {
		t.Errorf("where none fits: %v, %d skipped", err, len(skipped))
	}
	down := errors.New("network is down")
	asked := 0
	_, _, err = latest.Select(ids, func(manifest.ID) (string, error) { asked++; return "", down })
	if !errors.Is(err, down) || asked != 1 {
		t.Errorf("an error of fit: %v after %d calls", err, asked)
	}
	stamp, err := manifest.ParseRef(ids[4].Stamp.String(), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := stamp.Select(ids, func(manifest.ID) (string, error) { return "never asked", down }); err != nil || got != ids[4] {
		t.Errorf("by its stamp: %s, %v", got, err)
	}
}

// A date ends when the next one begins, where the clock on the wall has it so.
func TestLatestAtDate(t *testing.T) {
	for _, tt := range []struct{ zone, date, want, reason string }{
		{"UTC", "2026-03-01", "20260301T235900Z", "a plain day"},
		{"Europe/Berlin", "2026-03-01", "20260301T225900Z", "winter"},
		{"Europe/Berlin", "2026-07-01", "20260701T215900Z", "summer"},
		{"Europe/Berlin", "2026-03-29", "20260329T215900Z", "23 hours: forward at 02:00"},
		{"Europe/Berlin", "2026-03-28", "20260328T225900Z", "the day before"},
		{"Europe/Berlin", "2026-10-25", "20261025T225900Z", "25 hours: back at 03:00"},
		{"Europe/Berlin", "2026-10-24", "20261024T215900Z", "the day before"},
		{"America/Sao_Paulo", "2018-11-03", "20181104T025900Z", "the next day begins at 01:00"},
		{"America/Sao_Paulo", "2018-11-04", "20181105T015900Z", "begins at 01:00"},
		{"America/Sao_Paulo", "2018-02-17", "20180218T025900Z", "23:00 comes twice"},
		{"America/Sao_Paulo", "2018-02-18", "20180219T025900Z", "the day after"},
		{"America/St_Johns", "2009-10-31", "20091101T032900Z", "ends twice: at 00:01 back to the day before"},
		{"America/St_Johns", "2009-11-01", "20091102T032900Z", "the day after"},
		{"Asia/Beirut", "2022-03-26", "20220326T215900Z", "the next day begins at 01:00"},
		{"Pacific/Apia", "2011-12-29", "20111230T095900Z", "the last day before one that there was not"},
		{"Pacific/Apia", "2011-12-30", "20111230T095900Z", "the day that there was not"},
		{"Pacific/Apia", "2011-12-31", "20111231T095900Z", "and the one after it"},
		{"Australia/Lord_Howe", "2026-04-05", "20260405T132900Z", "half an hour"},
		{"Asia/Kathmandu", "2026-04-05", "20260405T181400Z", "a quarter"},
		{"Pacific/Kiritimati", "2026-12-31", "20261231T095900Z", "first of all"},
		{"UTC", "2024-02-29", "20240229T235900Z", "leap day"},
	} {
		t.Run(tt.zone+" "+tt.date, func(t *testing.T) {
			loc := zone(t, tt.zone)
			ref, err := manifest.ParseRef("latest@"+tt.date, loc)
			if err != nil {
				t.Fatal(err)
			}
			day, err := time.Parse(time.DateOnly, tt.date)
			if err != nil {
				t.Fatal(err)
			}
			ids := everyMinute(string(manifest.StampOf(day.Add(-48*time.Hour))), 5*24*60)
			got, _, err := ref.Select(ids, any1)
			if err != nil || got.Stamp != manifest.Stamp(tt.want) {
				t.Errorf("%s: %s (%s there), want %s; %v", tt.reason, got.Stamp, got.Stamp.Time().In(loc), tt.want, err)
			}
			// The same by the definition: the last snapshot whose local date is not after the one named.
			last := ""
			for _, id := range ids {
				if id.Stamp.Time().In(loc).Format(time.DateOnly) <= tt.date {
					last = string(id.Stamp)
				}
			}
			if last != tt.want {
				t.Errorf("the table of this test says %s, the calendar %s", tt.want, last)
			}
		})
	}
}

// Local times are of the zone that is given; others say theirs.
func TestLatestAtTime(t *testing.T) {
	ids := everyMinute("20260328T000000Z", 3*24*60)
	for _, tt := range []struct{ zone, at, want string }{
		{"Europe/Berlin", "2026-03-28T12:30", "20260328T113000Z"},
		{"Europe/Berlin", "2026-03-28 12:30:59", "20260328T113000Z"},
		{"Europe/Berlin", "2026-03-29T12:30", "20260329T103000Z"},
		{"Europe/Berlin", "2026-03-29T12:30:00Z", "20260329T123000Z"},
		{"Europe/Berlin", "20260329T123000Z", "20260329T123000Z"},
		{"America/New_York", "2026-03-28T12:30", "20260328T163000Z"},
		{"America/New_York", "2026-03-28T12:30:00-07:00", "20260328T193000Z"},
	} {
		ref, err := manifest.ParseRef("latest@"+tt.at, zone(t, tt.zone))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := ref.Select(ids, any1); err != nil || got.Stamp != manifest.Stamp(tt.want) {
			t.Errorf("%s in %s: %s, want %s; %v", tt.at, tt.zone, got.Stamp, tt.want, err)
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, s := range []string{"", " ", "newest", "Latest", "latest ", "latest@", "latest@yesterday", "latest@2026", "latest@2026-13-01", "latest@2026-02-30", "latest@2026-01-01T25:00",
		"latest@@2026-01-01", "latest@20260101", "latest@20260101T000000", "2026@2026-01-01", "@", "latest~1", "2026\n", "2026*", "../2026", "20260101T000000Z/x", "20260101t000000z", "2026é", "2026\xff", "2026\x00"} {
		ref, err := manifest.ParseRef(s, time.UTC)
		if err == nil {
			t.Errorf("%q is read as %q", s, ref)
		} else if at, ok := strings.CutPrefix(s, "latest@"); !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) && !(ok && strings.Contains(err.Error(), fmt.Sprintf("%q", at))) {
			t.Errorf("the error of %q does not name it: %v", s, err)
		}
	}
}

// The list of an ambiguous reference does not grow without end.
func TestAmbiguousIsShort(t *testing.T) {
	ref, err := manifest.ParseRef("2026", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ref.Select(everyMinute("20260301T120000Z", 500), any1)
	if n := strings.Count(fmt.Sprint(err), "\n"); n != 11 || !strings.Contains(err.Error(), "and 490 more") {
		t.Errorf("%d lines: %v", n, err)
	}
}
