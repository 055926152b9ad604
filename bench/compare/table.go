//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// A row compares one figure.
type row struct {
	name   string
	format string
	of     func(r result) []float64
}

func rows() []row {
	of := func(samples func(result) []sample, value func(sample) float64) func(result) []float64 {
		return func(r result) (list []float64) {
			for _, s := range samples(r) {
				list = append(list, value(s))
			}
			return list
		}
	}
	wall := func(s sample) float64 { return s.Wall.Seconds() }
	cpu := func(s sample) float64 { return s.CPU.Seconds() }
	server := func(s sample) float64 { return s.server.Seconds() }
	peak := func(s sample) float64 { return float64(s.Peak) / (1 << 20) }
	backup := func(r result) []sample { return r.backup }
	restore := func(r result) []sample { return r.restore }
	mib := func(r result) (list []float64) {
		for _, n := range r.stored {
			list = append(list, n/(1<<20))
		}
		return list
	}
	return []row{
		{"backup, s", "%.2f", of(backup, wall)},
		{"backup, CPU s", "%.2f", of(backup, cpu)},
		{"backup, CPU s of the server", "%.2f", of(backup, server)},
		{"backup, peak MiB of the largest process", "%.0f", of(backup, peak)},
		{"stored, MiB", "%.1f", mib},
		{"restore, s", "%.2f", of(restore, wall)},
		{"restore, CPU s", "%.2f", of(restore, cpu)},
		{"restore, CPU s of the server", "%.2f", of(restore, server)},
		{"restore, peak MiB of the largest process", "%.0f", of(restore, peak)},
	}
}

// print writes the table. There are two contestants, and the ratio is the first to the second.
func (b *bench) print(what string, contestants []contestant, results []result) error {
	fmt.Printf("%s, %d runs each, on %s/%s with %d processors.\n%s; %s; %s; %s.\n\n", what, len(results[0].backup), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		b.server.Origin, firstLine(b.mc, "--version"), firstLine("zstd", "--version"), firstLine("sqlite3", "--version"))
	fmt.Printf("| %s | %s | %s | ratio |\n| --- | --- | --- | --- |\n", what, contestants[0].name, contestants[1].name)
	for _, r := range rows() {
		ours, others := r.of(results[0]), r.of(results[1])
		ratio := "-"
		if m := median(others); m > 0 {
			ratio = fmt.Sprintf("%.2f", median(ours)/m)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", r.name, r.cell(ours), r.cell(others), ratio)
	}
	return nil
}

func (r row) cell(values []float64) string {
	f := func(v float64) string { return fmt.Sprintf(r.format, v) }
	text := f(median(values))
	if low, high := f(slices.Min(values)), f(slices.Max(values)); low != high {
		text += fmt.Sprintf(" (%s to %s)", low, high)
	}
	return text
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func firstLine(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.Trim(line, "* ")
}
