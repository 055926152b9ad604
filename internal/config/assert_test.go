package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/config"
)

func value(kind config.ValueKind, text string) *config.Value {
	return &config.Value{Kind: kind, Text: text}
}

func TestParseAssertions(t *testing.T) {
	got, err := config.ParseAssertions(at("etc", "assert.yaml"), []byte(`
assert:
  - name: users
    sql: |
      SELECT count(*)
      FROM users
    in: data/db.sqlite3
    at_least: 1
    at_most: 1e3
    timeout: 30s
  - {json: /clients/0/name, in: config/c.json, equals: "7"}
  - {json: /on, in: config/c.json, equals: TRUE}
  - {json: /there, in: config/c.json}
  - {file: data/key.pem, at_least: 1KiB, sha256: `+strings.Repeat("0a", 32)+`}
  - {file: data/lock, absent: true}
  - {exec: [./check.sh, ""]}
  - {exec: [sqlite3]}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Assertion{
		{Name: "users", SQL: "SELECT count(*)\nFROM users", In: "data/db.sqlite3", AtLeast: value(config.Number, "1"), AtMost: value(config.Number, "1000"), Timeout: config.Duration(30 * time.Second)},
		{JSON: "/clients/0/name", In: "config/c.json", Equals: value(config.Text, "7")},
		{JSON: "/on", In: "config/c.json", Equals: value(config.Truth, "true")},
		{JSON: "/there", In: "config/c.json"},
		{File: "data/key.pem", AtLeast: value(config.Number, "1024"), SHA256: strings.Repeat("0a", 32)},
		{File: "data/lock", Absent: true},
		{Exec: []string{at("etc", "check.sh"), ""}},
		{Exec: []string{"sqlite3"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What a configuration has is shown so that it reads as the same.
	c := config.Default()
	c.Drill.Assert, c.File = want, at("etc", "lifeboat.yaml")
	shown, err := c.Show()
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(string(shown))
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("after Show and Parse (-want +got):\n%s", diff)
	}
}

// Every mistake is named with its place.
func TestAssertionProblems(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "1: there are no assertions in it; want assert: and a list",
		"assert: []":         "1: there are no assertions in it; want assert: and a list",
		"asert: []":          `1:1: unknown key "asert"; did you mean "assert"?`,
		"assert: {sql: x}":   "1:9: assert is a group of keys, want a list",
		"assert: [SELECT 1]": "1:10: an assertion is text, want keys and values",
		"assert: [{}]":       "1:10: an assertion has one of sql, json, file and exec; this one has none",
		"assert: [{sql: SELECT 1, file: a/b, in: a/b}]":                "1:10: an assertion has one of sql, json, file and exec; this one has sql and file",
		"assert: [{sql: SELECT 1, in: a/b}]":                           "1:10: nothing says what the query must return; add equals, at_least or at_most",
		"assert: [{sql: SELECT 1, equals: 1}]":                         "1:10: in is missing",
		"assert: [{sql: '', in: a/b, equals: 1}]":                      "1:16: sql is empty",
		"assert: [{sql: SELECT 1, in: /a/b, equals: 1}]":               "1:30: in: want a path in the snapshot, source first, as in data/app.sqlite",
		"assert: [{sql: SELECT 1, in: a/../b, equals: 1}]":             "1:30: in: want a path in the snapshot, source first, as in data/app.sqlite",
		"assert: [{sql: SELECT 1, in: a/b, equals: }]":                 "1:43: equals has no value: give one or leave the key out",
		"assert: [{sql: SELECT 1, in: a/b, equals: [1]}]":              "1:43: equals is a list, want a number, text, or true or false",
		"assert: [{sql: SELECT 1, in: a/b, equals: 0x10}]":             "1:43: equals: want a number in decimal digits, such as 3 or 0.5",
		"assert: [{sql: SELECT 1, in: a/b, equals: .inf}]":             "1:43: equals: want a number in decimal digits, such as 3 or 0.5",
		"assert: [{sql: SELECT 1, in: a/b, at_least: 2026-01-01}]":     "1:45: at_least is a date, want text: put it in quotes",
		"assert: [{sql: SELECT 1, in: a/b, equals: 1, at_most: 2}]":    "1:43: equals does not go together with at_least and at_most",
		"assert: [{sql: SELECT 1, in: a/b, at_least: 2, at_most: 1}]":  "1:57: nothing is at least 2 and at most 1",
		"assert: [{sql: SELECT 1, in: a/b, at_least: 2, at_most: x}]":  `1:57: nothing is at least 2 and at most "x"`,
		"assert: [{sql: SELECT 1, in: a/b, at_least: true}]":           "1:45: true and false have no order; use equals",
		"assert: [{sql: SELECT 1, in: a/b, equals: 1, sha256: x}]":     "1:54: sha256 does not belong to sql",
		"assert: [{sql: SELECT 1, in: a/b, equals: 1, timeout: soon}]": `1:55: timeout: "soon": want a time such as 30s, 15m or 1h`,
		"assert: [{json: items, in: a/b}]":                             "1:17: json is a pointer, and begins with /, as in /items/0/name",
		"assert: [{sql: SELECT 1, in: a/b, equals: 1, timeout: 0s}]":   `1:55: timeout: 0s: want some time, such as 5m: nothing ends at once`,
		"assert: [{json: /items, in: a/b, timeout: 1s}]":               "1:43: timeout does not belong to json",
		"assert: [{file: a/b, in: a/b}]":                               "1:26: in does not belong to file",
		"assert: [{file: ../b}]":                                       "1:17: file: want a path in the snapshot, source first, as in data/app.sqlite",
		"assert: [{file: a/b, at_least: some}]":                        "1:32: at_least: want a size in bytes, or such as 1MiB",
		"assert: [{file: a/b, at_most: -1}]":                           "1:31: at_most: want a size in bytes, or such as 1MiB",
		"assert: [{file: a/b, sha256: abc}]":                           "1:30: sha256: want 64 digits, 0-9 and a-f",
		"assert: [{file: a/b, absent: true, at_least: 1}]":             "1:30: what is absent has neither size nor sha256",
		"assert: [{exec: ./check.sh}]":                                 "1:17: exec is text, want a list",
		"assert: [{exec: []}]":                                         "1:17: exec is empty; want a program and its arguments, as in [./check.sh, --fast]",
		"assert: [{exec: ['']}]":                                       "1:18: exec names no program",
		"assert: [{exec: [a], equals: 0}]":                             "1:30: equals does not belong to exec",
		"assert: [{sql: SELECT 1, in: a/b, equal: 1}]":                 `1:35: unknown key "equal"; did you mean "equals"?`,
	} {
		_, err := config.ParseAssertions(at("a.yaml"), []byte(text))
		var e *config.Error
		if !errors.As(err, &e) || e.Error() != at("a.yaml")+":"+want {
			t.Errorf("%s\n  %v\n  want %s", text, err, want)
		}
	}
}

// What holds of a value, and what does not. Texts and numbers are not the same, and integers are not rounded.
func TestAssertionCheck(t *testing.T) {
	number := func(s string) *config.Value { return value(config.Number, s) }
	for _, tt := range []struct {
		a    config.Assertion
		got  config.Value
		says string
	}{
		{config.Assertion{Equals: number("3")}, *number("3"), ""},
		{config.Assertion{Equals: number("3")}, *number("4"), "it is 4, want 3"},
		{config.Assertion{Equals: number("3")}, *value(config.Text, "3"), `it is "3", want 3`},
		{config.Assertion{Equals: number("9007199254740993")}, *number("9007199254740992"), "it is 9007199254740992, want 9007199254740993"},
		{config.Assertion{Equals: number("1000")}, *number("1e+03"), ""},
		{config.Assertion{Equals: value(config.Text, "a")}, *value(config.Text, "b"), `it is "b", want "a"`},
		{config.Assertion{AtLeast: number("3")}, *number("3"), ""},
		{config.Assertion{AtLeast: number("10")}, *number("9"), "it is 9, want at least 10"},
		{config.Assertion{AtMost: number("3")}, *number("3.5"), "it is 3.5, want at most 3"},
		{config.Assertion{AtLeast: value(config.Text, "2026-01-01")}, *value(config.Text, "2025-12-31"), `it is "2025-12-31", want at least "2026-01-01"`},
		{config.Assertion{AtLeast: value(config.Text, "2026")}, *number("2026"), `it is 2026, want at least "2026"`},
	} {
		if says := tt.a.Check(tt.got); says != tt.says {
			t.Errorf("%+v of %v: %q, want %q", tt.a, tt.got, says, tt.says)
		}
	}
}

func TestParseBandwidth(t *testing.T) {
	for text, want := range map[string]config.Rate{"100Mbit": 12_500_000, "1 Gbit/s": 125_000_000, "12MiB": 12 << 20, "500K/s": 500_000} {
		if got, err := config.ParseBandwidth(text); err != nil || got != want {
			t.Errorf("%s: %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "100", "100bit", "fast", "Mbit", "-1Mbit", "0Mbit"} {
		if got, err := config.ParseBandwidth(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}
