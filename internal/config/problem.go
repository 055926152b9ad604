package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error lists everything that is wrong with one configuration file, in the order of the lines.
type Error struct {
	File     string
	Problems []Problem // at least one
}

// Problem is one thing that is wrong. It never repeats a value that may be secret.
type Problem struct {
	Line, Column int // from 1; Column, or both, 0 when unknown, as for some syntax errors
	Text         string
}

// Error has one line for each problem: the file, the line, the column, and what is wrong there.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.File)
		for _, n := range []int{p.Line, p.Column} {
			if n > 0 {
				fmt.Fprintf(&b, ":%d", n)
			}
		}
		b.WriteString(": " + p.Text)
	}
	return b.String()
}

// sorted orders problems as they stand in the file.
func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}

// suggest returns the known key that was probably meant, or "".
func suggest(key string, known []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(plain(key), plain(k)); d < distance && d < len(k)-1 {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, remove, replace or swap with their neighbour to make b of a.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b)) // no key is that long, and the table below would be large
	}
	var d [65][65]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			switch {
			case i == 0:
				d[i][j] = j
			case j == 0:
				d[i][j] = i
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
