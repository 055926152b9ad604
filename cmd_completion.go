package main

import (
	"embed"
	"strings"

	"github.com/urfave/cli/v2"
)

const completionHelp = `Prints what a shell needs to complete commands, flags, what is known of their
values, and the stamps of the snapshots in the local store. Remotes are not
asked.

   source <(lifeboat completion bash)
   lifeboat completion fish | source

How to have it in every shell stands at the top of what it prints. Exit code 64:
there is no completion for that SHELL.`

//go:embed completions
var completions embed.FS

// shells are those that there is completion for, and the scripts for it.
var shells = []struct{ name, file string }{
	{"bash", "lifeboat.bash"}, {"zsh", "lifeboat.zsh"}, {"fish", "lifeboat.fish"}, {"powershell", "lifeboat.ps1"},
}

func shellNames() (names []string) {
	for _, sh := range shells {
		names = append(names, sh.name)
	}
	return names
}

// completionCommand prints the script for a shell, which asks complete.
func completionCommand(s *session, c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("source <(lifeboat completion bash)", "completion needs a SHELL: %s", strings.Join(shellNames(), ", "))
	}
	for _, sh := range shells {
		if sh.name != c.Args().First() {
			continue
		}
		script, err := completions.ReadFile("completions/" + sh.file)
		if err != nil {
			return err
		}
		s.print("%s", strings.TrimRight(string(script), "\n"))
		return s.document(struct {
			Shell  string `json:"shell"`
			Script string `json:"script"`
		}{sh.name, string(script)})
	}
	return usagef("it knows "+strings.Join(shellNames(), ", "), "there is no completion for %q", c.Args().First())
}
