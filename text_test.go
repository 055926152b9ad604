package main

import (
	"testing"
)

func TestPrintable(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain", "plain"},
		{"ü 日本語 ✓", "ü 日本語 ✓"},
		{"two\nlines", "two\nlines"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"a\tb\rc\x00d", `a\tb\rc\x00d`},
		{"bad\xff\xfe.", `bad\xff\xfe.`},
		{"right\u202eleft", `right\u202eleft`},
		{"\u0085\u009b1m", `\u0085\u009b1m`},
		{"a real \uFFFD", "a real \uFFFD"},
		{"it's 'quoted'", "it's 'quoted'"},
	} {
		if got := printable(test.in); got != test.want {
			t.Errorf("printable(%q) = %s, want %s", test.in, got, test.want)
		}
	}
	if got, want := oneLine("a\nb"), `a\nb`; got != want {
		t.Errorf("oneLine = %s, want %s", got, want)
	}
}

func TestTexts(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{age(0), "0 s"}, {age(119), "119 s"}, {age(120), "2 min"}, {age(7199), "119 min"}, {age(7200), "2 h"},
		{age(2*86400 - 1), "47 h"}, {age(2 * 86400), "2 d"}, {age(400 * 86400), "400 d"}, {age(-1), "in the future"},
		{count(0, "file"), "0 files"}, {count(1, "file"), "1 file"}, {count(1234567, "file"), "1,234,567 files"},
		{count(1, "directory"), "1 directory"}, {count(2, "directory"), "2 directories"},
		{entries(1), "1 file"}, {entries(12), "12 files and directories"},
		{size(0), "0 B"}, {size(-5), "0 B"}, {size(1 << 20), "1.0 MiB"},
		{seconds(0.0123), "12 ms"}, {seconds(1.26), "1.3 s"}, {seconds(75.5), "75.5 s"}, {seconds(3725), "1h2m5s"},
		{wholeSeconds(0), "less than a second"}, {wholeSeconds(1), "1 s"}, {wholeSeconds(3725), "1h2m5s"},
		{micros(12), "12 µs"}, {micros(12345), "12 ms"}, {micros(3_000_000), "3.0 s"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
