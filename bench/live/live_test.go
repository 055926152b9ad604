//go:build unix

package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/bench/data"
	"lifeboat/bench/measure"
	"lifeboat/bench/rig"
)

func TestSummary(t *testing.T) {
	var took []time.Duration
	for i := range 200 {
		took = append(took, time.Duration(200-i)*time.Millisecond)
	}
	f := summary(took)
	if f.Commits != 200 || f.Median != 101*time.Millisecond || f.Percent99 != 199*time.Millisecond || f.Longest != 200*time.Millisecond {
		t.Errorf("%+v", f)
	}
	if f := summary(nil); f != (Felt{}) {
		t.Errorf("of nothing: %+v", f)
	}
}

func TestParseRates(t *testing.T) {
	if got, err := parseRates("500,0"); err != nil || !slices.Equal(got, []int{500, 0}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "1,", "-1"} {
		if _, err := parseRates(bad); err == nil {
			t.Errorf("%q is taken for rates", bad)
		}
	}
}

// What was tried and failed is told apart from what was measured.
func TestPrint(t *testing.T) {
	var b bytes.Buffer
	print(&b, []*result{
		{Mode: "wal", Rate: 500, Act: "a tool", Ran: 2 * time.Second, Felt: Felt{Commits: 1000, Longest: 3 * time.Millisecond}, Tool: rig.Sample{Usage: measure.Usage{Wall: time.Second, Peak: 5 << 20}}},
		{Mode: "delete", Act: "another", Failed: "there is no such program"},
	})
	for _, want := range []string{
		"| wal, 500 a second: a tool | 500 | 0.00 | 0.00 | 3.00 | 0 | 0.0 | 2.00 | 0.00 | 5 | 0.0 |",
		"| delete, as fast as it can: another (failed) |  |", "\ndelete, as fast as it can: another (failed): there is no such program\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
}

// An application commits until it is told to end, in either mode, and forgets what was looked at.
func TestApplication(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := data.Big(dir, 1); err != nil {
				t.Fatal(err)
			}
			app, err := start(filepath.Join(dir, "big.sqlite"), mode, 0)
			if err != nil {
				t.Fatal(err)
			}
			var f Felt
			for f.Commits < 3 || mode == "wal" && f.WAL == 0 {
				time.Sleep(time.Millisecond)
				more := app.look()
				f.Commits, f.WAL, f.Failed = f.Commits+more.Commits, max(f.WAL, more.WAL), f.Failed+more.Failed
			}
			app.end()
			app.look()
			if left := app.look(); f.Failed > 0 || left != (Felt{}) {
				t.Errorf("%d failed; after the last look there is %+v", f.Failed, left)
			}
		})
	}
}
