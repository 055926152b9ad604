package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"golang.org/x/term"

	"lifeboat/internal/environ"
)

// ui is what a command says: results on out, everything else on err. With --json, out gets one document.
type ui struct {
	out, err io.Writer
	json     bool
	quiet    bool
	verbose  bool
	terminal bool   // err is one
	progress string // auto, bar, plain or none
	columns  int    // of $COLUMNS; 0 if it is not set

	mu  sync.Mutex // of err
	bar *bar       // that is on the screen
}

func newUI(out, err io.Writer, env environ.Env) *ui {
	u := &ui{out: out, err: err}
	if env.Getenv != nil {
		u.columns, _ = strconv.Atoi(env.Getenv("COLUMNS"))
	}
	if f, ok := err.(*os.File); ok && env.Getenv("TERM") != "dumb" {
		u.terminal = term.IsTerminal(int(f.Fd()))
	}
	return u
}

// width returns how many columns the terminal has that w leads to; where there is none, $COLUMNS, or 0 if nobody says.
func (u *ui) width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return max(0, u.columns)
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
		u.line(format, args...)
	}
}

// line writes a line beside the result, above the progress bar if there is one.
func (u *ui) line(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bar != nil {
		u.bar.clear()
	}
	fmt.Fprintf(u.err, format+"\n", args...)
}

// detail writes what is good to know when something is looked into.
func (u *ui) detail(format string, args ...any) {
	if u.verbose {
		u.note(format, args...)
	}
}

// warn writes what somebody should look at.
func (u *ui) warn(format string, args ...any) {
	u.line("warning: "+format, args...)
}

// document writes the result for programs, if it is wanted. Somebody may look at it on a terminal, so it too has nothing that
// a terminal would do more with than show.
func (u *ui) document(v any) error {
	if !u.json {
		return nil
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := u.out.Write(escapeJSON(text.Bytes()))
	return err
}

// fail reports why a command failed.
func (u *ui) fail(f *failure) {
	u.line("lifeboat: %s", printable(f.Error()))
	if f.next != "" {
		u.line("  next: %s", printable(f.next))
	}
	type body struct {
		Code    int    `json:"code"`
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Next    string `json:"next,omitempty"`
	}
	u.document(map[string]body{"error": {f.code, f.kind, f.Error(), f.next}})
}
