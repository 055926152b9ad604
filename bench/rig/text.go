//go:build unix

package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// MiB is one.
const MiB = 1 << 20

// A Figure is one thing that is measured.
type Figure struct {
	Name   string
	Format string
	Of     func(Sample) float64
}

// Figures returns those of every sample.
func Figures() []Figure {
	return []Figure{
		{"seconds", "%.2f", func(s Sample) float64 { return s.Wall.Seconds() }},
		{"CPU seconds of the tool", "%.2f", func(s Sample) float64 { return s.CPU.Seconds() }},
		{"CPU seconds of the server", "%.2f", func(s Sample) float64 { return s.Server.Seconds() }},
		{"peak memory of the largest process, MiB", "%.0f", func(s Sample) float64 { return float64(s.Peak) / MiB }},
		{"sent to the server, MiB", "%.3f", func(s Sample) float64 { return float64(s.Sent) / MiB }},
		{"received from the server, MiB", "%.3f", func(s Sample) float64 { return float64(s.Got) / MiB }},
		{"requests", "%.0f", func(s Sample) float64 { return float64(s.Requests()) }},
	}
}

// Values returns what a figure is in each sample.
func (f Figure) Values(samples []Sample) (list []float64) {
	for _, s := range samples {
		list = append(list, f.Of(s))
	}
	return list
}

// Text is a value as it is printed.
func (f Figure) Text(v float64) string { return fmt.Sprintf(f.Format, v) }

// Cell is the median and, in parentheses, the smallest and the largest value, if they look different.
func (f Figure) Cell(values []float64) string {
	s := f.Text(Median(values))
	if low, high := f.Text(slices.Min(values)), f.Text(slices.Max(values)); low != high {
		s += fmt.Sprintf(" (%s to %s)", low, high)
	}
	return s
}

// Median returns the middle of the values, and 0 if there is none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Slope returns the exponent with which a value grows between two sizes: 1 if it is in proportion to them, 0 if it does not
// depend on them. It is NaN where there is none, as of a value that is 0.
func Slope(size1, value1, size2, value2 float64) float64 {
	if size1 <= 0 || size2 <= 0 || size1 == size2 || value1 <= 0 || value2 <= 0 {
		return math.NaN()
	}
	return math.Log(value2/value1) / math.Log(size2/size1)
}

// Calls says how many requests there were of each kind, the most frequent first.
func Calls(n map[string]int64) string {
	names := make([]string, 0, len(n))
	for name := range n {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if n[a] != n[b] {
			return int(n[b] - n[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", n[name], name)
	}
	return strings.Join(names, ", ")
}

// Table writes a table in Markdown. A row may be shorter than the head.
func Table(w io.Writer, head []string, rows [][]string) {
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, row := range rows {
		row = append(slices.Clone(row), make([]string, max(0, len(head)-len(row)))...)
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// Here says when and on what a run was made.
func (r *Rig) Here() string {
	return fmt.Sprintf("%s, on %s/%s with %d processors, which the server shares; %s; %s", time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		Version(r.Lifeboat, "version"), r.Server.Origin)
}

// WriteJSON writes samples, or whatever holds them, to a file; to none if path is empty.
func WriteJSON(path string, v any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
