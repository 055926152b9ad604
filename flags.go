package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

// globalFlags are those that every command takes, before its name or after it.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: ./lifeboat.yaml, then the user's, then the system's)", EnvVars: []string{"LIFEBOAT_CONFIG"}},
		&cli.StringFlag{Name: "app", Usage: "`NAME` of the application", EnvVars: []string{"LIFEBOAT_APP"}},
		&cli.StringFlag{Name: "store", Usage: "`DIR` of the local store", EnvVars: []string{"LIFEBOAT_STORE"}},
		&cli.StringSliceFlag{Name: "remote", Usage: "`URL` of a remote, s3://bucket/prefix or a directory, in place of the configured ones", EnvVars: []string{"LIFEBOAT_REMOTE"}},
		&cli.BoolFlag{Name: "json", Usage: "one JSON document on standard output", EnvVars: []string{"LIFEBOAT_JSON"}},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing on success but warnings", EnvVars: []string{"LIFEBOAT_QUIET"}},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more", EnvVars: []string{"LIFEBOAT_VERBOSE"}},
		&cli.StringFlag{Name: "progress", Value: "auto", Usage: "auto, bar, plain or none", EnvVars: []string{"LIFEBOAT_PROGRESS"}},
	}
}

// addGlobalFlags gives a command, and those below it, the global flags.
func addGlobalFlags(c *cli.Command) {
	if len(c.Subcommands) > 0 {
		for _, sub := range c.Subcommands {
			addGlobalFlags(sub)
		}
		return
	}
	for _, f := range globalFlags() {
		setCategory(f)
		c.Flags = append(c.Flags, f)
	}
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage(err) }
}

func setCategory(f cli.Flag) {
	const name = "Everywhere:"
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Category = name
	case *cli.StringSliceFlag:
		f.Category = name
	case *cli.BoolFlag:
		f.Category = name
	}
}

// flagsFirst moves the flags of a command line directly behind the command, since urfave/cli stops looking for
// flags at the first argument, and people do not. What follows "--" is left alone.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	takesValue := map[string]bool{}
	learn := func(flags []cli.Flag) {
		for _, f := range flags {
			_, isBool := f.(*cli.BoolFlag)
			for _, name := range f.Names() {
				takesValue[name] = !isBool
			}
		}
	}
	learn(app.Flags)
	var path, flags, rest []string
	commands := app.Commands
	for i := 1; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if len(arg) > 1 && arg[0] == '-' {
			flags = append(flags, arg)
			name := strings.TrimLeft(arg, "-")
			if takesValue[name] && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
			continue
		}
		if c := find(commands, arg); c != nil {
			path = append(path, arg)
			learn(c.Flags)
			commands = c.Subcommands
			continue
		}
		commands = nil
		rest = append(rest, arg)
	}
	if len(rest) > 0 && rest[0] != "--" && len(path) > 0 {
		rest = append([]string{"--"}, rest...)
		rest = dropSecondDash(rest)
	}
	out := append([]string{args[0]}, path...)
	return append(append(out, flags...), rest...)
}

// dropSecondDash removes the "--" that the person wrote, when one was put before it.
func dropSecondDash(rest []string) []string {
	for i := 1; i < len(rest); i++ {
		if rest[i] == "--" {
			return append(rest[:i:i], rest[i+1:]...)
		}
	}
	return rest
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// wantsJSON looks for --json before the command line is parsed, so that an error of parsing is JSON too.
func wantsJSON(args []string, env environ.Env) bool {
	for _, arg := range args[1:] {
		switch arg {
		case "--":
			return false
		case "--json", "-json", "--json=true":
			return true
		}
	}
	v := env.Getenv("LIFEBOAT_JSON")
	return v == "1" || v == "true"
}
