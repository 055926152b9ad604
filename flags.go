package main

import (
	"regexp"
	"strconv"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

// globalFlags are those that every command takes.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: lifeboat.yaml here, then the user's, then the system's)", EnvVars: []string{"LIFEBOAT_CONFIG"}},
		&cli.StringFlag{Name: "app", Usage: "`NAME` of the application", EnvVars: []string{"LIFEBOAT_APP"}},
		&cli.StringFlag{Name: "store", Usage: "`DIR` of the local store", EnvVars: []string{"LIFEBOAT_STORE"}},
		&cli.StringSliceFlag{Name: "remote", Usage: "`URL` of a remote, s3://bucket/prefix or a directory, in place of the configured ones; may be repeated", EnvVars: []string{"LIFEBOAT_REMOTE"}},
		&cli.StringFlag{Name: "retry-for", Usage: "wait up to `TIME` for a remote that does not answer and did before (default: 15m)", EnvVars: []string{"LIFEBOAT_RETRY_FOR"}},
		&cli.BoolFlag{Name: "json", Usage: "one JSON document on standard output", EnvVars: []string{"LIFEBOAT_JSON"}},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "nothing but warnings and what was asked for", EnvVars: []string{"LIFEBOAT_QUIET"}},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more", EnvVars: []string{"LIFEBOAT_VERBOSE"}},
		&cli.StringFlag{Name: "progress", Value: "auto", Usage: "show progress as `HOW`: auto, bar, plain or none", EnvVars: []string{"LIFEBOAT_PROGRESS"}},
	}
}

// prepare gives a command, and those below it, the global flags, and turns off what urfave/cli would add: a
// subcommand named help, which would stand in the way of a file of that name.
func prepare(c *cli.Command) {
	c.HideHelp = true
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return badValue(err) }
	c.Flags = append(c.Flags, globalFlags()...)
	for _, sub := range c.Subcommands {
		prepare(sub)
	}
}

// A value that package flag refuses, in its words.
var refusedValue = regexp.MustCompile(`^invalid (boolean )?value (".*") for (?:flag )?-([a-z-]+): `)

// A variable that urfave/cli refuses, in its words.
var refusedVariable = regexp.MustCompile(`^could not parse (".*") as (bool|duration|int|int64|uint|float64) value from environment variable "([A-Z_]+)" `)

// wanted is what a value of a type looks like.
var wanted = map[string]string{
	"bool": "true or false", "duration": "a time such as 30s or 10m",
	"int": "a number", "int64": "a number", "uint": "a number", "float64": "a number",
}

// badValue says what is wrong with the value of a flag. Those that are refused are truth values and times: any other is taken.
func badValue(err error) error {
	if m := refusedVariable.FindStringSubmatch(err.Error()); m != nil {
		return usagef("", "%s=%s: want %s", m[3], m[1], wanted[m[2]])
	}
	m := refusedValue.FindStringSubmatch(err.Error())
	if m == nil {
		return usage(err)
	}
	if m[1] != "" {
		return usagef("", "--%s=%s: want true or false", m[3], m[2])
	}
	return usagef("", "--%s %s: want a time such as 30s or 10m", m[3], m[2])
}

// wantsJSON looks for --json before the command line is parsed, so that an error of parsing is JSON too.
func wantsJSON(args []string, env environ.Env) bool {
	wants, _ := strconv.ParseBool(env.Getenv("LIFEBOAT_JSON"))
	for _, arg := range args[1:] {
		switch arg {
		case "--":
			return wants
		case "--json", "-json", "--json=true":
			return true
		}
	}
	return wants
}
