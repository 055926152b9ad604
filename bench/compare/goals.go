//go:build unix

package main

import (
	"fmt"
	"io"
	"strings"

	"lifeboat/bench/rig"
)

// A goal is what lifeboat is to reach in a step, as ratios to others in the same run. One of 0 is none.
type goal struct {
	data, step string
	restic     float64 // how many times as fast as restic
	staged     bool    // restic with the staging of live databases that it needs
	fewer      float64 // how many times fewer bytes than restic sends
	pipeline   bool    // and not slower than the pipeline
}

// goals are those of the project: first backups 2.5 times as fast as restic, increments and small operations 5 times, increments with
// a fifteenth of the bytes, restores 1.4 times with everything verified, nothing behind tar and zstd. Where only the newest rows
// changed, restic sends less, and the goal is lower.
var goals = []goal{
	{data: "app1g", step: firstBackup, restic: 2.5, staged: true, pipeline: true},
	{data: "app1g", step: unchanged, restic: 5, pipeline: true},
	{data: "app1g", step: scattered, restic: 5, fewer: 15, pipeline: true},
	{data: "app1g", step: recent, restic: 3, fewer: 7, pipeline: true},
	{data: "app1g", step: fullRestore, restic: 1.4, pipeline: true},
	{data: "app1g", step: oneFile, restic: 5, pipeline: true},
	{data: "app1g", step: listing, restic: 5},
	{data: "app1g", step: verifying, restic: 2.5, pipeline: true},
	{data: "small50k", step: firstBackup, restic: 2.5, pipeline: true},
	{data: "small50k", step: unchanged, restic: 5, pipeline: true},
	{data: "small50k", step: fullRestore, restic: 1.4, pipeline: true},
	{data: "big", step: firstBackup, restic: 2.5, staged: true, pipeline: true},
	{data: "big", step: fullRestore, restic: 1.4, pipeline: true},
}

// mostMemory is the goal for every step.
const mostMemory = 128 * rig.MiB

// printGoals writes the table of goals: the steps that have one, the medians of lifeboat and of the others with the ratios to lifeboat's, and whether
// the goal is met.
func printGoals(w io.Writer, all []*bench) {
	head := []string{"seconds, median"}
	for _, c := range all[0].list {
		head = append(head, c.name)
	}
	head = append(head, "goal", "")
	var rows [][]string
	for _, g := range goals {
		for _, b := range all {
			if k := b.find(g.step); b.what == g.data && k >= 0 && len(b.results[k][0].Runs) > 0 {
				rows = append(rows, b.goalRow(g, k))
			}
		}
	}
	for _, b := range all {
		rows = append(rows, b.memoryRow())
	}
	fmt.Fprintln(w, "\nA goal is a ratio to restic (with the staging of live databases where that is said) and to the pipeline in the same run. In `x N`, N is how many times lifeboat's figure the other one is.")
	fmt.Fprintln(w)
	rig.Table(w, head, rows)
}

func (b *bench) find(name string) int {
	for k, s := range b.steps {
		if s.name == name {
			return k
		}
	}
	return -1
}

// who returns the index of the contestant whose name begins so, or -1.
func (b *bench) who(name string) int {
	for i, c := range b.list {
		if strings.HasPrefix(c.name, name) {
			return i
		}
	}
	return -1
}

func (b *bench) goalRow(g goal, k int) []string {
	seconds, sent := rig.Figures()[0], rig.Figures()[4]
	median := func(f rig.Figure, i int) float64 {
		if i < 0 {
			return 0
		}
		return rig.Median(f.Values(b.results[k][i].Runs))
	}
	staging := rig.Median(seconds.Values(b.staged[k]))
	ours := median(seconds, 0)
	row := []string{b.what + ": " + g.step}
	for i, c := range b.list {
		cell := b.cell(seconds, k, i, 0)
		if i > 0 && g.staged && !c.stages && median(seconds, i) > 0 {
			cell += fmt.Sprintf("; staged first %.2f, x %.1f", median(seconds, i)+staging, (median(seconds, i)+staging)/ours)
		}
		row = append(row, cell)
	}
	var want, missed []string
	demand := func(text string, reached, least float64) {
		want = append(want, text)
		if reached < least {
			missed = append(missed, fmt.Sprintf("%.2f", reached))
		}
	}
	restic := b.who("restic")
	with := 0.0
	text := fmt.Sprintf("%.1f x restic", g.restic)
	if g.staged {
		with, text = staging, text+" with staging"
	}
	if r := median(seconds, restic); r > 0 {
		demand(text, (r+with)/ours, g.restic)
	}
	if r := median(sent, restic); g.fewer > 0 && r > 0 {
		demand(fmt.Sprintf("1/%.0f of its bytes", g.fewer), r/median(sent, 0), g.fewer)
	}
	if r := median(seconds, b.who("sqlite3")); g.pipeline && r > 0 {
		demand("not behind the pipeline", r/ours, 1)
	}
	if len(want) == 0 {
		return append(row, "", "not compared")
	}
	return append(row, strings.Join(want, ", "), verdict(missed))
}

// memoryRow has the largest median of any step.
func (b *bench) memoryRow() []string {
	peak := rig.Figures()[3]
	row := []string{b.what + ": peak memory of any step, MiB"}
	var missed []string
	for i := range b.list {
		most := 0.0
		for k := range b.steps {
			most = max(most, rig.Median(peak.Values(b.results[k][i].Runs)))
		}
		row = append(row, peak.Text(most))
		if i == 0 && most*rig.MiB > mostMemory {
			missed = []string{peak.Text(most)}
		}
	}
	return append(row, fmt.Sprintf("at most %d", mostMemory/rig.MiB), verdict(missed))
}

func verdict(missed []string) string {
	if len(missed) == 0 {
		return "met"
	}
	return "**missed**: " + strings.Join(missed, ", ")
}
