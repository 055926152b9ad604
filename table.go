package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// table lays rows out in columns, of which the first row is the heads. Where a width is given that is too little, columns are left out, in
// the order of spare, and then lines are cut.
func table(rows [][]string, width int, spare ...string) (lines []string) {
	for _, head := range spare {
		if width == 0 || widest(rows) <= width {
			break
		}
		rows = without(rows, head)
	}
	columns := columnWidths(rows)
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s  ", columns[i], cell)
		}
		line := strings.TrimRight(b.String(), " ")
		if width > 0 {
			line = cutTo(line, width)
		}
		lines = append(lines, line)
	}
	return lines
}

// without returns the rows without one column. It changes those of rows.
func without(rows [][]string, head string) [][]string {
	at := slices.Index(rows[0], head)
	for i := range rows {
		rows[i] = slices.Delete(slices.Clone(rows[i]), at, at+1)
	}
	return rows
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func widest(rows [][]string) int {
	total := 2 * (len(rows[0]) - 1)
	for _, n := range columnWidths(rows) {
		total += n
	}
	return total
}
