package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// arrange puts a command line into the order that urfave/cli reads, which stops looking for flags at the first
// argument, as people do not: the command, its flags, "--", its arguments. What follows "--" is left alone. --help anywhere
// makes it the command help. That there is no such command or flag is an error here, with the one that was probably meant.
func arrange(commands []*cli.Command, args []string) ([]string, error) {
	path, command, err := findCommand(commands, args[1:])
	if err != nil {
		return nil, err
	}
	known := flagsOf(command)
	var flags, rest []string
	skip := len(path) // words that are the command
	for i := 1; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if !isFlag(arg) {
			if skip > 0 {
				skip--
			} else {
				rest = append(rest, arg)
			}
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch takesValue, ok := known[name]; {
		case name == "h" || name == "help":
			return append([]string{args[0], "help", "--"}, path...), nil
		case name == "version" && command == nil:
			path = []string{"version"}
		case !ok:
			return nil, unknownFlag(name, path, known)
		case hasValue && value == "", takesValue && !hasValue && (i+1 == len(args) || noValue(args[i+1], known)):
			return nil, usagef(helpOf(path), "--%s needs a value", name)
		case !takesValue || hasValue:
			flags = append(flags, arg)
		default:
			i++
			flags = append(flags, arg, args[i])
		}
	}
	if len(path) == 0 {
		path = []string{"help"}
	}
	return slices.Concat(args[:1], path, flags, []string{"--"}, rest), nil
}

// findCommand returns the words of the command, and the command. Which flags take a value is not known
// before the command is, so all that any command has count.
func findCommand(commands []*cli.Command, args []string) (path []string, found *cli.Command, err error) {
	known := flagsOf(commands...)
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if isFlag(args[i]) {
			if known[strings.TrimLeft(args[i], "-")] {
				i++
			}
			continue
		}
		c := lookUpCommand(commands, args[i])
		if c == nil {
			return nil, nil, unknownCommand(args[i], path, commands)
		}
		path, found, commands = append(path, c.Name), c, c.Subcommands
		if len(commands) == 0 {
			break
		}
	}
	return path, found, nil
}

func lookUpCommand(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// flagsOf returns the names of the flags of commands, and of those below them, and whether they take a value. The global ones
// are among them.
func flagsOf(commands ...*cli.Command) map[string]bool {
	known := map[string]bool{}
	add := func(flags []cli.Flag) {
		for _, f := range flags {
			_, isBool := f.(*cli.BoolFlag)
			for _, name := range f.Names() {
				known[name] = !isBool
			}
		}
	}
	add(globalFlags())
	for _, c := range commands {
		if c == nil {
			continue
		}
		add(c.Flags)
		for _, sub := range c.Subcommands {
			add(sub.Flags)
		}
	}
	return known
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// noValue reports whether a word cannot be the value of a flag: the next flag, or nothing, as when a variable of the shell
// is empty.
func noValue(arg string, known map[string]bool) bool {
	name, dashed := strings.CutPrefix(arg, "--")
	_, ok := known[name]
	return arg == "" || dashed && (ok || name == "")
}

func unknownFlag(name string, path []string, known map[string]bool) error {
	var names []string
	for k := range known {
		if len(k) > 1 {
			names = append(names, k)
		}
	}
	next := helpOf(path)
	if better := nearest(name, names); better != "" {
		next = fmt.Sprintf("did you mean --%s? %s", better, next)
	}
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	return usagef(next, "there is no flag %s%s", dashes, printable(name))
}

func unknownCommand(name string, path []string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.Names()...)
	}
	next := helpOf(path)
	if better := nearest(name, names); better != "" {
		next = fmt.Sprintf("did you mean %s? %s", strings.Join(append(append([]string{"lifeboat"}, path...), better), " "), next)
	}
	return usagef(next, "there is no command %q", strings.Join(append(path, name), " "))
}

// helpOf says where a command is explained.
func helpOf(path []string) string {
	if len(path) == 0 {
		return "lifeboat --help shows the commands"
	}
	return fmt.Sprintf("lifeboat %s --help explains it", strings.Join(path, " "))
}

// nearest returns the name that was probably meant, or "".
func nearest(name string, names []string) string {
	slices.Sort(names)
	best, most := "", 0.85 // one letter that is wrong, missing, or in another's place, even in a short name
	for _, n := range names {
		if d := smetrics.JaroWinkler(name, n, 0.7, 4); d > most {
			best, most = n, d
		}
	}
	return best
}
