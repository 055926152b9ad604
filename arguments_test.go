package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/environ"
)

func testApp() *ui {
	return &ui{out: io.Discard, err: io.Discard}
}

func TestArrange(t *testing.T) {
	app := newApp(testApp(), environ.Env{})
	for _, test := range []struct{ line, want string }{
		{"", "help --"},
		{"--json", "help --json --"},
		{"-h", "help --"},
		{"--version", "version --"},
		{"list", "list --"},
		{"snapshots", "list --"},
		{"ls latest app", "ls -- latest app"},
		{"ls latest -l app", "ls -l -- latest app"},
		{"ls -- latest -l", "ls -- latest -l"},
		{"--json ls latest", "ls --json -- latest"},
		{"--store s ls latest", "ls --store s -- latest"},
		{"--store=s ls latest", "ls --store=s -- latest"},
		{"-store s ls latest", "ls -store s -- latest"},
		{"--wait 5s backup a --remote r", "backup --wait 5s --remote r -- a"},
		{"--json config --quiet show", "config show --json --quiet --"},
		{"backup backup list", "backup -- backup list"},
		{"backup - --exclude -x", "backup --exclude -x -- -"},
		{"backup a --exclude --", "error: --exclude needs a value"},
		{"backup a --exclude --json", "error: --exclude needs a value"},
		{"backup a --help b", "help -- backup"},
		{"config -h show", "help -- config show"},
		{"help config show", "help -- config show"},
		{"backup --exclude -h", "backup --exclude -h --"},
		{"backup -- -h", "backup -- -h"},
		{"backup a -- b -- c", "backup -- a b -- c"},
		{"-- list", "help -- list"},
		{"nosuch", `error: there is no command "nosuch"`},
		{"config nosuch", `error: there is no command "config nosuch"`},
		{"list --nosuch", "error: there is no flag --nosuch"},
		{"list -l", "error: there is no flag -l"},
		{"list --=x", "error: there is no flag --"},
		{"backup --version", "error: there is no flag --version"},
	} {
		args, err := arrange(app.Commands, strings.Fields("lifeboat "+test.line))
		got := ""
		if err != nil {
			got = "error: " + err.Error()
		} else {
			got = strings.Join(args[1:], " ")
		}
		if diff := cmp.Diff(strings.TrimSpace(test.want), strings.TrimSpace(got)); diff != "" {
			t.Errorf("lifeboat %s (-want, +got):\n%s", test.line, diff)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"backup", "create", "list", "show", "ls", "cat", "validate", "restore", "config", "version", "push", "pull"}
	for _, test := range []struct{ name, want string }{
		{"bakcup", "backup"}, {"lst", "list"}, {"shwo", "show"}, {"validat", "validate"}, {"restroe", "restore"}, {"psuh", "push"},
		{"frobnicate", ""}, {"x", ""}, {"", ""}, {"rm", ""}, {"delete", ""},
	} {
		if got := nearest(test.name, names); got != test.want {
			t.Errorf("nearest(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestWantsJSON(t *testing.T) {
	for _, test := range []struct {
		line, env string
		want      bool
	}{
		{"list", "", false}, {"list --json", "", true}, {"--json list", "", true}, {"list -- --json", "", false},
		{"list", "1", true}, {"list", "true", true}, {"list", "0", false}, {"list", "nonsense", false},
	} {
		env := environ.Env{Getenv: func(name string) string {
			if name == "LIFEBOAT_JSON" {
				return test.env
			}
			return ""
		}}
		if got := wantsJSON(strings.Fields("lifeboat "+test.line), env); got != test.want {
			t.Errorf("wantsJSON(%s) with LIFEBOAT_JSON=%q = %v", test.line, test.env, got)
		}
	}
}
