//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/bench/rig"
)

// took makes a result of one run.
func took(seconds float64, sent int64) result {
	return result{Runs: []rig.Sample{{Usage: measure.Usage{Wall: time.Duration(seconds * float64(time.Second)), Peak: 100 * rig.MiB}, Sent: sent}}}
}

// A goal is met or missed by each of its demands, and by what was measured in the same run alone.
func TestGoals(t *testing.T) {
	g := goal{data: "app1g", step: firstBackup, restic: 2.5, staged: true, fewer: 15, pipeline: true}
	for name, c := range map[string]struct {
		restic, pipeline result
		staging          float64
		want             string
	}{
		"met":                     {took(9, 1500), took(4, 1), 1, "met"},
		"met by the staging":      {took(8, 1500), took(4, 1), 2, "met"},
		"too slow":                {took(7.9, 1500), took(4, 1), 2, "**missed**: 2.48"},
		"too many bytes":          {took(9, 1499), took(4, 1), 1, "**missed**: 14.99"},
		"behind the pipeline":     {took(9, 1500), took(3.9, 1), 1, "**missed**: 0.97"},
		"nothing":                 {took(1, 1), took(1, 1), 1, "**missed**: 0.50, 0.01, 0.25"},
		"restic failed":           {result{Failed: []string{"so"}}, took(4, 1), 1, "met"},
		"nobody else":             {result{}, result{}, 1, "not compared"},
		"the pipeline is not run": {took(9, 1500), result{}, 1, "met"},
	} {
		b := &bench{what: "app1g", steps: []step{{name: firstBackup}}, list: []contestant{{name: "lifeboat"}, {name: "restic"}, {name: "sqlite3 and so on", stages: true}}}
		b.results = [][]result{{took(4, 100), c.restic, c.pipeline}}
		b.staged = [][]rig.Sample{took(c.staging, 0).Runs}
		row := b.goalRow(g, 0)
		if got := row[len(row)-1]; got != c.want {
			t.Errorf("%s: %q, not %q, in %q", name, got, c.want, row)
		}
	}
}

func TestStagedRow(t *testing.T) {
	b := &bench{steps: []step{{name: firstBackup, backup: true}}, list: []contestant{{name: "lifeboat"}, {name: "restic"}, {name: "pipeline", stages: true}}}
	b.results = [][]result{{took(4, 0), took(8, 0), took(6, 0)}}
	b.staged = [][]rig.Sample{took(2, 0).Runs}
	want := []string{"the same, live databases staged first (2.00)", "4.00", "10.00; x 2.5", "6.00; x 1.5"}
	if got := b.stagedRow(rig.Figures()[0], 0); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestSameTree(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	put := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := strings.Repeat("p", pageOne)
	for _, dir := range []string{a, b} {
		put(dir, "one", "text")
		put(dir, "db", page+"rest")
	}
	same := func(want bool, rewritten ...string) {
		t.Helper()
		if err := sameTree(a, b, rewritten); (err == nil) != want {
			t.Errorf("same: %v, not %v: %v", err == nil, want, err)
		}
	}
	same(true)
	put(b, "db", "X"+page[1:]+"rest")
	same(false)
	same(true, "db")
	put(b, "db", page+"rust")
	same(false, "db")
	put(b, "db", page+"rest")
	put(b, "more", "")
	same(false)
	put(a, "more", "")
	same(true)
	put(a, "lost", "")
	same(false)
}
