package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

// Every text of help fits on a terminal, and every command and flag is explained.
func TestHelpFits(t *testing.T) {
	app := newApp(testApp(), environ.Env{})
	check := func(name, text string) {
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth {
				t.Errorf("%s: a line of %d characters: %s", name, n, line)
			}
			if strings.HasSuffix(line, " \n") {
				t.Errorf("%s: space at the end of %q", name, line)
			}
			if strings.Contains(line, "`") {
				t.Errorf("%s: a backquote in %q", name, line)
			}
		}
	}
	check("lifeboat", appHelp(app))
	var visit func(path []string, commands []*cli.Command)
	visit = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			own := append(path[:len(path):len(path)], c.Name)
			name := strings.Join(own, " ")
			check(name, commandHelp(own, c))
			if c.Usage == "" {
				t.Errorf("%s: not explained", name)
			}
			for _, f := range c.Flags {
				visible, doc := f.(cli.VisibleFlag).IsVisible(), f.(cli.DocGenerationFlag)
				if visible && doc.GetUsage() == "" {
					t.Errorf("%s: flag %s is not explained", name, f.Names()[0])
				}
				if !visible && strings.Contains(commandHelp(own, c), "--"+f.Names()[0]) {
					t.Errorf("%s: flag %s is hidden and shown", name, f.Names()[0])
				}
			}
			if len(c.Subcommands) == 0 {
				if !strings.Contains(c.Description, "\n   lifeboat "+name) && !strings.Contains(c.Description, "(lifeboat "+name) {
					t.Errorf("%s: no example", name)
				}
				if !strings.Contains(strings.ToLower(c.Description), "exit code") {
					t.Errorf("%s: nothing about its exit code", name)
				}
			}
			visit(own, c.Subcommands)
		}
	}
	visit(nil, app.Commands)
	for _, topic := range topics {
		check(topic.name, topic.text)
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 30)
	got := wrap("  "+strings.TrimSpace(long), "  ")
	for line := range strings.Lines(got) {
		if len(line) > helpWidth+1 || !strings.HasPrefix(line, "  word") {
			t.Errorf("line %q", line)
		}
	}
	if n := strings.Count(got, "word"); n != 30 {
		t.Errorf("%d words of 30", n)
	}
	if whole := strings.Repeat("x", 100); wrap(whole, "") != whole+"\n" {
		t.Errorf("a long word is broken: %q", wrap(whole, ""))
	}
}
