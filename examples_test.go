package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"lifeboat/adopt"
	"lifeboat/internal/config"
	"lifeboat/internal/environ"
)

// Every command line that help, README or docs show is one that the program takes.
func TestExamples(t *testing.T) {
	app := newApp(testApp(), environ.Env{})
	disarm(app.Commands)
	texts := map[string]string{"help": appHelp(app)}
	var collect func(path []string, commands []*cli.Command)
	collect = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			own := append(path[:len(path):len(path)], c.Name)
			texts["help "+strings.Join(own, " ")] = c.Description
			collect(own, c.Subcommands)
		}
	}
	collect(nil, app.Commands)
	for _, topic := range topics {
		texts["help "+topic.name] = topic.text
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	total := 0
	for where, text := range texts {
		for _, line := range exampleLines(text, strings.HasSuffix(where, ".md")) {
			total++
			args, err := arrange(app.Commands, append([]string{"lifeboat"}, line...))
			if err == nil {
				err = app.Run(args)
			}
			if err != nil {
				t.Errorf("%s: lifeboat %s: %v", where, strings.Join(line, " "), err)
			}
		}
	}
	if total < 40 {
		t.Errorf("only %d examples were found", total)
	}
}

// The example for an application of database, registry and vector store is one that the program takes, as it is, and its sources are called
// as adopt calls them.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile("docs/examples/app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "lifeboat.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	env := environ.Env{Dir: dir, Getenv: func(string) string { return "" }}
	cfg, err := config.Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, src := range cfg.Sources {
		names = append(names, src.Name)
	}
	if want := []string{adopt.DefaultNames.Database, adopt.DefaultNames.Registry, adopt.DefaultNames.Chroma}; !slices.Equal(names, want) {
		t.Errorf("sources %q, want %q", names, want)
	}
	if cfg.App != "app" || len(cfg.Remotes) != 1 || cfg.Sources[0].Optional || !cfg.Sources[1].Optional || !cfg.Sources[2].Optional {
		t.Errorf("%+v", cfg)
	}
}

// disarm leaves of commands what reads their command lines.
func disarm(commands []*cli.Command) {
	for _, c := range commands {
		c.Action = func(*cli.Context) error { return nil }
		disarm(c.Subcommands)
	}
}

var (
	inBackquotes = regexp.MustCompile("`(lifeboat [a-z-][^`]*)`")
	onALine      = regexp.MustCompile(`(?m)^\s*(?:\$ |(?:[A-Z_0-9]+=\S+ )+|source <\()?(lifeboat [a-z-][^\n]*)$`)
	inProse      = regexp.MustCompile(`\((lifeboat [a-z-][^()]*)\)`)
	// What the shell takes away, and what is said beside an example.
	notOurs = regexp.MustCompile(`\s(?:\||\|\||>|<|;|&&)\s.*$|\s{2,}.*$|\s#.*$|\)$`)
)

// exampleLines finds the command lines in a text.
func exampleLines(text string, markdown bool) (lines [][]string) {
	var found [][]string
	if markdown {
		found = inBackquotes.FindAllStringSubmatch(text, -1)
		code := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			} else if code {
				found = append(found, onALine.FindAllStringSubmatch(line, -1)...)
			}
		}
	} else {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "   ") {
				found = append(found, onALine.FindAllStringSubmatch(line, -1)...)
			}
		}
		found = append(found, inProse.FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), -1)...)
	}
	for _, m := range found {
		line := strings.NewReplacer("…", "x", "'", "", `"`, "").Replace(notOurs.ReplaceAllString(strings.TrimSpace(m[1]), ""))
		line = strings.NewReplacer("[", "", "]", "").Replace(line)
		lines = append(lines, strings.Fields(line)[1:])
	}
	return lines
}
