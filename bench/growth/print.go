//go:build unix

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"lifeboat/bench/rig"
)

// A bound is what a figure must have reached before its growth says something: below it is what a process takes to start.
type bound struct {
	rig.Figure
	floor float64
}

func bounds() (list []bound) {
	floors := map[string]float64{"seconds": 0.1, "CPU seconds of the tool": 0.1, "peak memory of the largest process, MiB": 32, "requests": 8,
		"sent to the server, MiB": 0.1, "received from the server, MiB": 0.1}
	for _, f := range rig.Figures() {
		if floor, ok := floors[f.Name]; ok {
			list = append(list, bound{f, floor})
		}
	}
	return list
}

// worse is the exponent from which on growth is more than linear beyond what measuring is uncertain by.
const worse = 1.15

// print writes the axis's tables, then what grows faster than in proportion, then what failed.
func (a axis) print(w io.Writer) {
	var found []string
	for _, b := range bounds() {
		fmt.Fprintf(w, "\n**%s: %s**\n\n", a.name, b.Name)
		head := []string{""}
		for _, p := range a.points {
			head = append(head, fmt.Sprintf("%d %s", p.Size, a.unit))
		}
		var rows [][]string
		for _, s := range steps() {
			row := []string{s.name}
			for i, p := range a.points {
				sample, ok := p.Steps[s.name]
				if !ok {
					row = append(row, "-")
					continue
				}
				cell := b.Text(b.Of(sample))
				if i > 0 {
					before, ok := a.points[i-1].Steps[s.name]
					if ok {
						cell += exponent(b, a.points[i-1].Size, b.Of(before), p.Size, b.Of(sample))
						if e := slope(b, a.points[i-1].Size, b.Of(before), p.Size, b.Of(sample)); e > worse {
							found = append(found, fmt.Sprintf("%s, %s: n^%.2f from %d to %d %s", s.name, b.Name, e, a.points[i-1].Size, p.Size, a.unit))
						}
					}
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		rig.Table(w, head, rows)
	}
	a.printState(w)
	if len(found) == 0 {
		fmt.Fprintf(w, "\nOf %s, nothing grew faster than in proportion.\n", a.name)
	} else {
		fmt.Fprintf(w, "\nOf %s, this grew faster than in proportion: %s.\n", a.name, strings.Join(found, "; "))
	}
	for _, p := range a.points {
		for name := range p.Failed {
			fmt.Fprintf(w, "\nFailed at %d %s: %s.\n", p.Size, a.unit, name)
			fmt.Fprintln(os.Stderr, p.Failed[name])
		}
	}
}

// printState writes how large the local store is.
func (a axis) printState(w io.Writer) {
	fmt.Fprintf(w, "\n**%s: local store, MiB**\n\n", a.name)
	head, whole, proofs := []string{""}, []string{"all of it"}, []string{"without archives, which --spool-max and retention bound"}
	for i, p := range a.points {
		head = append(head, fmt.Sprintf("%d %s", p.Size, a.unit))
		all, rest := float64(p.State)/rig.MiB, float64(p.Proofs)/rig.MiB
		whole, proofs = append(whole, fmt.Sprintf("%.3f", all)), append(proofs, fmt.Sprintf("%.3f", rest))
		if i > 0 {
			q := a.points[i-1]
			whole[i+1] += text(rig.Slope(float64(q.Size), float64(q.State), float64(p.Size), float64(p.State)))
			proofs[i+1] += text(rig.Slope(float64(q.Size), float64(q.Proofs), float64(p.Size), float64(p.Proofs)))
		}
	}
	rig.Table(w, head, [][]string{whole, proofs})
}

// slope is that of a figure between two points, or NaN where it does not reach what it must.
func slope(b bound, size1 int64, value1 float64, size2 int64, value2 float64) float64 {
	if value2 < b.floor {
		return math.NaN()
	}
	return rig.Slope(float64(size1), value1, float64(size2), value2)
}

func exponent(b bound, size1 int64, value1 float64, size2 int64, value2 float64) string {
	return text(slope(b, size1, value1, size2, value2))
}

func text(slope float64) string {
	if math.IsNaN(slope) {
		return ""
	}
	return fmt.Sprintf(" n^%.2f", slope)
}
