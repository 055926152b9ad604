package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"lifeboat/manifest"
)

// printable returns text that came out of a store, or may have, in a form that a terminal only shows: what is no printable
// character is written as Go writes it.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		i += n
	}
	return b.String()
}

// oneLine is printable without line breaks, for names. What is longer than any path is cut.
func oneLine(s string) string {
	rest := ""
	if len(s) > manifest.MaxPath {
		s, rest = s[:manifest.MaxPath], "…"
	}
	return strings.ReplaceAll(printable(s), "\n", `\n`) + rest
}

// escapeJSON writes what is no printable character as JSON does, in a document that json.Encoder made. It leaves those beyond ASCII as they are, and DEL; all of them stand in
// strings.
func escapeJSON(doc []byte) []byte {
	hidden := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) && r != utf8.RuneError }
	if bytes.IndexFunc(doc, hidden) < 0 {
		return doc
	}
	var b []byte
	for _, r := range string(doc) {
		if !hidden(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}

// indented is printable with each line but the first behind an indent, so that no text from a store can begin a line of its own.
func indented(s, indent string) string {
	return strings.ReplaceAll(printable(strings.TrimSpace(s)), "\n", "\n"+indent)
}

func size(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

// count writes a number with what it counts, one of which is given.
func count(n int64, what string) string {
	switch plural, isY := strings.CutSuffix(what, "y"); {
	case n == 1:
	case isY:
		what = plural + "ies"
	default:
		what += "s"
	}
	return humanize.Comma(n) + " " + what
}

// entries counts the lines of a files table.
func entries(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return humanize.Comma(n) + " files and directories"
}

// age says how long ago something was, in the largest unit that tells it.
func age(sec int64) string {
	switch {
	case sec < 0:
		return "in the future"
	case sec < 120:
		return fmt.Sprintf("%d s", sec)
	case sec < 2*3600:
		return fmt.Sprintf("%d min", sec/60)
	case sec < 2*86400:
		return fmt.Sprintf("%d h", sec/3600)
	}
	return fmt.Sprintf("%d d", sec/86400)
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

// wholeSeconds writes a time that is known to the second.
func wholeSeconds(s float64) string {
	if s < 1 {
		return "less than a second"
	}
	if s < 100 {
		return fmt.Sprintf("%.0f s", s)
	}
	return seconds(s)
}

func micros(us int64) string {
	if us < 1000 {
		return fmt.Sprintf("%d µs", us)
	}
	return seconds(float64(us) / 1e6)
}
