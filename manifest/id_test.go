package manifest_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"lifeboat/manifest"
)

func TestParseHash(t *testing.T) {
	const good = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	h, err := manifest.ParseHash(good)
	if err != nil || h.String() != good || h.IsZero() {
		t.Errorf("%s, %v", h, err)
	}
	for _, bad := range []string{"", good[1:], good + "0", good + "00", strings.ToUpper(good), "g" + good[1:], " " + good[1:], good[:62] + "é", good[:63] + "\n", good[:63] + "\x00"} {
		if h, err := manifest.ParseHash(bad); err == nil || !h.IsZero() {
			t.Errorf("%q is read as %s", bad, h)
		}
	}
}

func TestParseID(t *testing.T) {
	want := manifest.ID{Stamp: "20260102T030405Z", SHA256: hex("7")}
	if got, err := manifest.ParseID(want.String()); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	digits := strings.Repeat("7", 64)
	for _, bad := range []string{"", "-", "20260102T030405Z", "20260102T030405Z-", "-" + digits, "20260102T030405Z" + digits, "20260102T030405Z-" + digits + "-", "20260102T030405Z--" + digits,
		"20260102T030405-" + digits, "20260230T030405Z-" + digits, "20260102T030405.0Z-" + digits, "20260102T030405Z-" + strings.Repeat("A", 64)} {
		if got, err := manifest.ParseID(bad); err == nil || got != (manifest.ID{}) {
			t.Errorf("%q is read as %s, %v", bad, got, err)
		}
	}
}

func TestStamp(t *testing.T) {
	at := time.Date(2026, 1, 2, 5, 4, 5, 999, time.FixedZone("", 2*3600))
	if s := manifest.StampOf(at); s != "20260102T030405Z" || !s.Time().Equal(at.Truncate(time.Second)) || s.Time().Location() != time.UTC {
		t.Errorf("%s, %s", s, s.Time())
	}
	for _, bad := range []string{"", "20260102T030405", "20260102T030405z", "2026-01-02T03:04:05Z", "20261302T030405Z", "20260132T030405Z", "20260229T030405Z", "20260102T240405Z", "20260102T036005Z",
		"20260102T030460Z", "20260102T030405.5Z", "20260102T030405,5Z", "020260102T030405Z", "20260102T030405Z\n", "20260102T03045Z"} {
		if s, err := manifest.ParseStamp(bad); err == nil || s != "" {
			t.Errorf("%q is read as %s", bad, s)
		}
	}
	a, b := id("20260102T030405Z", "1"), id("20260102T030405Z", "2")
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 || b.Compare(id("20260102T030406Z", "0")) >= 0 {
		t.Error("IDs are out of order")
	}
}

func TestTimestamp(t *testing.T) {
	for _, tt := range []struct {
		n    manifest.Timestamp
		text string
	}{{0, "0.000000000"}, {1, "0.000000001"}, {-1, "-0.000000001"}, {-5e8, "-0.500000000"}, {-1e9, "-1.000000000"}, {-1500000000, "-1.500000000"}, {1795378500123456789, "1795378500.123456789"},
		{math.MaxInt64, "9223372036.854775807"}, {math.MinInt64, "-9223372036.854775808"}, {999999999, "0.999999999"}, {1000000000, "1.000000000"}} {
		if text, err := tt.n.MarshalText(); err != nil || string(text) != tt.text {
			t.Errorf("%d is written %s, %v", int64(tt.n), text, err)
		}
		var n manifest.Timestamp
		if err := n.UnmarshalText([]byte(tt.text)); err != nil || n != tt.n {
			t.Errorf("%s is read as %d, %v", tt.text, int64(n), err)
		}
		if manifest.TimestampOf(tt.n.Time()) != tt.n {
			t.Errorf("%s as a time is %s", tt.text, tt.n.Time())
		}
	}
	for _, bad := range []string{"", ".", "0", "0.", "0.0", ".000000000", "-.000000000", "0.00000000", "0.0000000000", "00.000000000", "-0.000000000", "+1.000000000", "1.00000000-", "1.-00000001",
		" 1.000000000", "1.000000000 ", "1e3.000000000", "0x1.000000000", "1_0.000000000", "9223372036.854775808", "-9223372036.854775809", "99999999999.000000000", "1,000000000", "1.000000000.0"} {
		var n manifest.Timestamp
		checkInvalid(t, n.UnmarshalText([]byte(bad)), bad)
	}
	// File systems know times that 64 bits of nanoseconds do not reach: they become the nearest one that these do.
	for year, want := range map[int]manifest.Timestamp{1: math.MinInt64, 1600: math.MinInt64, 1901: -2177452800e9, 2300: math.MaxInt64, 2446: math.MaxInt64, 9999: math.MaxInt64} {
		if got := manifest.TimestampOf(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("the year %d is %d, want %d", year, int64(got), int64(want))
		}
	}
}
