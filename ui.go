package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"lifeboat/internal/environ"
)

// ui is what a command says: results on out, everything else on err. With --json, out gets one document.
type ui struct {
	out, err io.Writer
	json     bool
	quiet    bool
	verbose  bool
	terminal bool // err is one
	progress string
}

func newUI(out, err io.Writer, env environ.Env) *ui {
	u := &ui{out: out, err: err}
	if f, ok := err.(*os.File); ok && env.Getenv("TERM") != "dumb" {
		u.terminal = term.IsTerminal(int(f.Fd()))
	}
	return u
}

// say writes a line of the result for people.
func (u *ui) say(format string, args ...any) {
	if !u.json && !u.quiet {
		fmt.Fprintf(u.out, format+"\n", args...)
	}
}

// print writes a line that was asked for, even with --quiet.
func (u *ui) print(format string, args ...any) {
	if !u.json {
		fmt.Fprintf(u.out, format+"\n", args...)
	}
}

// note writes what is good to know, beside the result.
func (u *ui) note(format string, args ...any) {
	if !u.quiet {
		fmt.Fprintf(u.err, format+"\n", args...)
	}
}

// detail writes what is good to know when something is looked into.
func (u *ui) detail(format string, args ...any) {
	if u.verbose {
		u.note(format, args...)
	}
}

// warn writes what somebody should look at.
func (u *ui) warn(format string, args ...any) {
	fmt.Fprintf(u.err, "warning: "+format+"\n", args...)
}

// document writes the result for programs, if it is wanted.
func (u *ui) document(v any) error {
	if !u.json {
		return nil
	}
	enc := json.NewEncoder(u.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// fail reports why a command failed.
func (u *ui) fail(f failure) {
	fmt.Fprintf(u.err, "lifeboat: %s\n", printable(f.message))
	if f.next != "" {
		fmt.Fprintf(u.err, "  next: %s\n", f.next)
	}
	if u.json {
		type body struct {
			Code    int    `json:"code"`
			Kind    string `json:"kind"`
			Message string `json:"message"`
			Next    string `json:"next,omitempty"`
		}
		u.document(map[string]body{"error": {f.code, f.kind, f.message, f.next}})
	}
}

// printable returns text that came out of a store, or may have, in a form that a terminal only shows: control characters
// are written as Go writes them.
func printable(s string) string {
	clean := func(r rune) bool { return r == '\n' || unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(fmt.Sprintf("%+q", r), "'"))
		}
	}
	return b.String()
}

// oneLine is printable without line breaks, for names.
func oneLine(s string) string { return strings.ReplaceAll(printable(s), "\n", `\n`) }

func size(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

func count(n int64, what string) string {
	s := humanize.Comma(n) + " " + what
	if n != 1 {
		s = strings.TrimSuffix(s, "y")
		if strings.HasSuffix(what, "y") {
			return s + "ies"
		}
		return s + "s"
	}
	return s
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func micros(us int64) string {
	if us < 1000 {
		return fmt.Sprintf("%d µs", us)
	}
	return seconds(float64(us) / 1e6)
}
