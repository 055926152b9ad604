//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A result is what each run of one step by one contestant took; empty where it does not have the step.
type result []sample

// A figure is one thing that is compared.
type figure struct {
	name   string
	format string
	of     func(sample) float64
}

const mib = 1 << 20

func figures() []figure {
	return []figure{
		{"seconds", "%.2f", func(s sample) float64 { return s.Wall.Seconds() }},
		{"CPU seconds of the tool", "%.2f", func(s sample) float64 { return s.CPU.Seconds() }},
		{"CPU seconds of the server", "%.2f", func(s sample) float64 { return s.Server.Seconds() }},
		{"peak memory of the largest process, MiB", "%.0f", func(s sample) float64 { return float64(s.Peak) / mib }},
		{"sent to the server, MiB", "%.3f", func(s sample) float64 { return float64(s.Sent) / mib }},
		{"received from the server, MiB", "%.3f", func(s sample) float64 { return float64(s.Got) / mib }},
		{"requests", "%.0f", func(s sample) (n float64) {
			for _, calls := range s.Calls {
				n += float64(calls)
			}
			return n
		}},
	}
}

// print writes one table for each figure: steps down, contestants across, and behind each but the first the ratio of its median to lifeboat's.
func (b *bench) print(what string, steps []step, list []contestant, absent []string, results [][]result) {
	fmt.Printf("%s, %d runs each, %s, on %s/%s with %d processors; %s.\n\n", what, len(results[0][0]), time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.server.Origin)
	for _, c := range list {
		fmt.Printf("* %s: %s\n", c.name, c.version)
	}
	if len(absent) > 0 {
		fmt.Printf("* not compared with, because not installed: %s\n", strings.Join(absent, ", "))
	}
	for _, f := range figures() {
		fmt.Printf("\n| %s: %s |", what, f.name)
		for _, c := range list {
			fmt.Printf(" %s |", c.name)
		}
		fmt.Printf("\n|%s\n", strings.Repeat(" --- |", len(list)+1))
		for k, step := range steps {
			fmt.Printf("| %s |", step.name)
			ours := median(results[k][0].values(f.of))
			for i := range list {
				values := results[k][i].values(f.of)
				if len(values) == 0 {
					fmt.Print(" - |")
					continue
				}
				fmt.Printf(" %s", f.cell(values))
				if i > 0 && ours > 0 {
					fmt.Printf("; x %.1f", median(values)/ours)
				}
				fmt.Print(" |")
			}
			fmt.Println()
		}
	}
	fmt.Printf("\nRequests of lifeboat, by kind: ")
	for k, step := range steps {
		if r := results[k][0]; len(r) > 0 {
			fmt.Printf("%s: %s. ", step.name, calls(r[len(r)-1].Calls))
		}
	}
	fmt.Println()
}

func calls(n map[string]int64) string {
	var list []string
	for name, n := range n {
		list = append(list, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (r result) values(of func(sample) float64) (list []float64) {
	for _, s := range r {
		list = append(list, of(s))
	}
	return list
}

// cell is the median and, in parentheses, the smallest and the largest value.
func (f figure) cell(values []float64) string {
	text := func(v float64) string { return fmt.Sprintf(f.format, v) }
	s := text(median(values))
	if low, high := text(slices.Min(values)), text(slices.Max(values)); low != high {
		s += fmt.Sprintf(" (%s to %s)", low, high)
	}
	return s
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// writeJSON writes every sample.
func writeJSON(path, what string, steps []step, list []contestant, results [][]result) error {
	type entry struct {
		Data, Step, Contestant, Version string
		Runs                            result
	}
	var all []entry
	for k, step := range steps {
		for i, c := range list {
			all = append(all, entry{what, step.name, c.name, c.version, results[k][i]})
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func firstLine(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return program
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
