package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/environ"
)

func TestComplete(t *testing.T) {
	w := newWorld(t)
	stamps := w.stamps()
	env := environ.Current()
	env.Dir = w.dir
	env.Getenv = func(name string) string { return map[string]string{"STATE_DIRECTORY": w.path("state")}[name] }
	app := newApp(testApp(), env)
	for _, test := range []struct {
		words, want string // separated by spaces; _ is an empty word
		more        bool   // than these
	}{
		{words: "_", want: ":words demo backup create push pull copy list", more: true},
		{words: "re", want: ":words restore", more: true},
		{words: "nosuch", want: ":words"},
		{words: "list _", want: ":words"},
		{words: "list --pro", want: ":words --progress"},
		{words: "list --progress _", want: ":words auto bar plain none"},
		{words: "create --compression _", want: ":words fastest default better off"},
		{words: "list --progress p", want: ":words plain"},
		{words: "list --progress=p", want: ":words --progress=plain"},
		{words: "list --progress = p", want: ":words plain"}, // as bash breaks it
		{words: "list --progress =", want: ":words auto bar plain none"},
		{words: "--json re", want: ":words restore", more: true},
		{words: "--store x re", want: ":words restore", more: true},
		{words: "--store _", want: ":files"},
		{words: "restore latest --target _", want: ":files"},
		{words: "restore _", want: ":words " + strings.Join(stamps, " ") + " latest"},
		{words: "restore l", want: ":words latest"},
		{words: "restore --target out --json l", want: ":words latest"},
		{words: "restore latest _", want: ":words"},
		{words: "validate latest l", want: ":words latest"},
		{words: "show --store nosuch _", want: ":words latest"},
		{words: "show --app nosuch --store state _", want: ":words " + strings.Join(stamps, " ") + " latest"},
		{words: "cat latest _", want: ":words"},
		{words: "backup _", want: ":files"},
		{words: "backup -- --x", want: ":files"},
		{words: "backup a b _", want: ":files"},
		{words: "backup --exc", want: ":words --except --exclude", more: true},
		{words: "verify --read", want: ":words --read-data", more: true},
		{words: "config s", want: ":words show"},
		{words: "help e", want: ":words exit-codes environment"},
		{words: "completion b", want: ":words bash"},
		{words: "list --app _", want: ":words app"},
		{words: "demo --w", want: ":words"}, // --writer is hidden
		{words: "list --config nosuch.yaml --store _", want: ":files"},
		{words: "show --config nosuch.yaml _", want: ":words latest"},
	} {
		words := strings.Fields(test.words)
		for i := range words {
			if words[i] == "_" {
				words[i] = ""
			}
		}
		var out bytes.Buffer
		complete(t.Context(), &out, app.Commands, env, words)
		var got []string
		for line := range strings.Lines(out.String()) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got = append(got, name)
		}
		if text := strings.Join(got, " "); text != test.want && !(test.more && strings.HasPrefix(text, test.want+" ")) && !(test.more && text == test.want) {
			t.Errorf("%s: %s, want %s", test.words, text, test.want)
		}
	}
}

// stamps returns the stamps of the local store, newest first.
func (w *world) stamps() (list []string) {
	files, err := filepath.Glob(w.path("state/manifests/*"))
	w.check(err)
	for _, f := range files {
		list = append([]string{filepath.Base(f)[:len("20060102T150405Z")]}, list...)
	}
	return list
}

// The shells themselves are asked, where they are.
func TestShells(t *testing.T) {
	w := newWorld(t)
	stamps := w.stamps()
	for _, test := range []struct{ shell, script, want string }{
		{"bash", `source <(lifeboat completion bash)
			try() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _lifeboat; printf '%s ' "${COMPREPLY[@]}"; echo; }
			try lifeboat rest
			try lifeboat restore ""
			try lifeboat list --progress = p
			try lifeboat backup ap
			try lifeboat backup "nosuch"
			complete -p lifeboat`,
			"restore \n" + strings.Join(stamps, " ") + " latest \nplain \napp \n \ncomplete -F _lifeboat lifeboat\n"},
		{"fish", `lifeboat completion fish | source
			complete -C 'lifeboat rest'
			complete -C 'lifeboat restore 2'
			complete -C 'lifeboat list --progress p'
			complete -C 'lifeboat list --progress=p'
			complete -C 'lifeboat backup ap'`,
			"restore\tbring a snapshot back\n" + stamps[0] + "\t…\nplain\n--progress=plain\napp/\n"},
		{"zsh", `source <(lifeboat completion zsh | sed 's/^	compdef .*/	true/') && whence -w _lifeboat`, "_lifeboat: function\n"},
		{"pwsh", `lifeboat completion powershell | Out-String | Invoke-Expression
			(TabExpansion2 'lifeboat rest' 13).CompletionMatches.CompletionText`, "restore\n"},
	} {
		t.Run(test.shell, func(t *testing.T) {
			path, err := exec.LookPath(test.shell)
			if err != nil {
				t.Skipf("NOT CHECKED: completion in %s, which is not here", test.shell)
			}
			args := map[string][]string{"bash": {"--norc", "--noprofile", "-c"}, "zsh": {"-f", "-c"}, "fish": {"--no-config", "-c"}, "pwsh": {"-NoProfile", "-Command"}}
			cmd := exec.Command(path, append(args[test.shell], test.script)...)
			like := w.command("", nil)
			cmd.Dir, cmd.Env = like.Dir, like.Env
			out, err := cmd.Output()
			if err != nil || !fits(test.want, string(out)) {
				t.Errorf("%v: %s", err, cmp.Diff(test.want, string(out)))
			}
		})
	}
}
