//go:build unix

package main

import (
	"fmt"
	"io"
	"time"

	"lifeboat/bench/rig"
)

// print writes the table of all results.
func print(w io.Writer, all []*result) {
	head := []string{"", "commits a second", "a commit, ms: median", "99 %", "longest", "failed", "log at most, MiB", "ran, s", "CPU, s", "peak, MiB", "sent, MiB"}
	var rows [][]string
	var notes []string
	for _, r := range all {
		row := []string{fmt.Sprintf("%s, %s: %s", r.Mode, rateText(r.Rate), r.Act)}
		if r.Ran > 0 {
			f := r.Felt
			row = append(row, fmt.Sprintf("%.0f", float64(f.Commits)/r.Ran.Seconds()), ms(f.Median), ms(f.Percent99), ms(f.Longest), fmt.Sprint(f.Failed), fmt.Sprintf("%.1f", float64(f.WAL)/rig.MiB), fmt.Sprintf("%.2f", r.Ran.Seconds()))
		}
		switch {
		case r.Failed != "":
			row[0] += " (failed)"
			notes = append(notes, fmt.Sprintf("%s: %s", row[0], r.Failed))
		case r.Tool.Wall > 0:
			row = append(row, fmt.Sprintf("%.2f", r.Tool.CPU.Seconds()), fmt.Sprintf("%.0f", float64(r.Tool.Peak)/rig.MiB), fmt.Sprintf("%.1f", float64(r.Tool.Sent)/rig.MiB))
		}
		rows = append(rows, row)
	}
	rig.Table(w, head, rows)
	for _, note := range notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
