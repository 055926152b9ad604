//go:build unix

package main

import (
	"fmt"
	"io"
	"strings"

	"lifeboat/bench/rig"
)

// printHead says what was run, on what, and who took part.
func printHead(w io.Writer, all []*bench) {
	var sets []string
	for _, b := range all {
		sets = append(sets, fmt.Sprintf("%s (%d runs each)", b.what, len(b.results[0][0].Runs)))
	}
	b := all[0]
	fmt.Fprintf(w, "%s; %s.\n\n", strings.Join(sets, ", "), b.Here())
	for _, c := range b.list {
		fmt.Fprintf(w, "* %s: %s\n", c.name, c.version)
	}
	if len(b.absent) > 0 {
		fmt.Fprintf(w, "* not compared with, because not installed: %s\n", strings.Join(b.absent, ", "))
	}
}

// print writes one table for each figure: steps down, contestants across, and behind each but the first the ratio of its median to lifeboat's.
func (b *bench) print(w io.Writer) {
	head := []string{b.what}
	for _, c := range b.list {
		head = append(head, c.name)
	}
	for _, f := range rig.Figures() {
		fmt.Fprintf(w, "\n**%s: %s**\n\n", b.what, f.Name)
		var rows [][]string
		for k, step := range b.steps {
			row := []string{step.name}
			for i := range b.list {
				row = append(row, b.cell(f, k, i, 0))
			}
			rows = append(rows, row)
			if f.Name == "seconds" && len(b.staged[k]) > 0 {
				rows = append(rows, b.stagedRow(f, k))
			}
		}
		rig.Table(w, head, rows)
	}
	fmt.Fprintf(w, "\nRequests of lifeboat, by kind, in the last run of %s:\n\n", b.what)
	for k, step := range b.steps {
		if runs := b.results[k][0].Runs; len(runs) > 0 {
			fmt.Fprintf(w, "* %s: %s\n", step.name, rig.Calls(runs[len(runs)-1].Calls))
		}
	}
	for i, c := range b.list {
		for k, step := range b.steps {
			if n := len(b.results[k][i].Failed); n > 0 {
				fmt.Fprintf(w, "* FAILED, %d times: %s: %s; why is on standard error and in the samples\n", n, c.name, step.name)
			}
		}
	}
}

// cell is a figure of a step by a contestant, with something added, and its ratio to lifeboat's without that.
func (b *bench) cell(f rig.Figure, k, i int, more float64) string {
	values := f.Values(b.results[k][i].Runs)
	if len(values) == 0 {
		if len(b.results[k][i].Failed) > 0 {
			return "failed"
		}
		return "-"
	}
	for n := range values {
		values[n] += more
	}
	text := f.Cell(values)
	if ours := rig.Median(f.Values(b.results[k][0].Runs)); i > 0 && ours > 0 {
		text += fmt.Sprintf("; x %.1f", rig.Median(values)/ours)
	}
	return text
}

// staged is the row of a backup in which those who do not stage databases themselves have done so before.
func (b *bench) stagedRow(f rig.Figure, k int) []string {
	values := f.Values(b.staged[k])
	row := []string{fmt.Sprintf("the same, live databases staged first (%s)", f.Cell(values))}
	for i, c := range b.list {
		if i == 0 || c.stages {
			row = append(row, b.cell(f, k, i, 0))
			continue
		}
		row = append(row, b.cell(f, k, i, rig.Median(values)))
	}
	return row
}

// An entry is what the file of samples has for each step of each contestant.
type entry struct {
	Data, Step, Contestant, Version string
	result
}

func entries(all []*bench) (list []entry) {
	for _, b := range all {
		for k, step := range b.steps {
			for i, c := range b.list {
				list = append(list, entry{b.what, step.name, c.name, c.version, b.results[k][i]})
			}
			if len(b.staged[k]) > 0 {
				list = append(list, entry{Data: b.what, Step: step.name, Contestant: "staging", result: result{Runs: b.staged[k]}})
			}
		}
	}
	return list
}
