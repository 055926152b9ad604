package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/environ"
	"lifeboat/localstore"
)

// completeCommand is the word after which a command line stands that is not finished; see the scripts in completions.
const completeCommand = "__complete"

// A candidate word, and what it means.
type word struct{ text, about string }

// complete answers a shell that asks what the last of words may become. The first line says of which kind the others are: ":words", or
// ":files" when it is to look for file names. It is quick and never fails: it asks no remote, and what cannot be known is left out.
func complete(ctx context.Context, out io.Writer, commands []*cli.Command, env environ.Env, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	words, own := joinEquals(words)
	list, files := candidates(ctx, commands, env, words)
	if files {
		fmt.Fprintln(out, ":files")
		return
	}
	fmt.Fprintln(out, ":words")
	for _, w := range list {
		fmt.Fprintf(out, "%s\t%s\n", strings.TrimPrefix(w.text, own), w.about)
	}
}

// joinEquals puts "--flag", "=" and "value" together, at which bash breaks words; own is what the last word has before it by that, and
// the shell does not want to be told.
func joinEquals(words []string) (joined []string, own string) {
	for i := 0; i < len(words); i++ {
		own = ""
		last := len(joined) - 1
		if words[i] != "=" || last < 0 || !isFlag(joined[last]) {
			joined = append(joined, words[i])
			continue
		}
		joined[last] += "="
		own = joined[last]
		if i+1 < len(words) {
			i++
			joined[last] += words[i]
		}
	}
	return joined, own
}

func candidates(ctx context.Context, commands []*cli.Command, env environ.Env, words []string) (list []word, files bool) {
	before, last := words[:len(words)-1], words[len(words)-1]
	path, command, _ := findCommand(commands, before)
	flags := append(globalFlags(), flagsUpTo(command)...)
	given, args, open := parsed(flags, before)
	args = args[min(len(path), len(args)):]
	dashes := slices.Contains(before, "--")
	name, value, equals := strings.Cut(last, "=")
	switch {
	case open != nil:
		list, files = valuesOf(ctx, env, open)
	case !dashes && equals && flagNamed(flags, name) != nil:
		if list, files = valuesOf(ctx, env, flagNamed(flags, name)); files {
			return nil, false // the shell would complete the whole word as a file
		}
		for i := range list {
			list[i].text = name + "=" + list[i].text
		}
		value = last
	case !dashes && strings.HasPrefix(last, "-"):
		return starting(flagWords(flags), last), false
	case command == nil || len(command.Subcommands) > 0:
		under := commands
		if command != nil {
			under = command.Subcommands
		}
		return starting(commandWords(under), last), false
	default:
		list, files = argumentsOf(ctx, commands, env, command, given, args)
		value = last
	}
	if open != nil {
		value = last
	}
	return starting(list, value), files
}

func starting(list []word, prefix string) (fit []word) {
	for _, w := range list {
		if strings.HasPrefix(w.text, prefix) {
			fit = append(fit, w)
		}
	}
	return fit
}

func flagsUpTo(c *cli.Command) []cli.Flag {
	if c == nil {
		return nil
	}
	return ownFlags(c)
}

func flagNamed(flags []cli.Flag, dashed string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), strings.TrimLeft(dashed, "-")) && strings.HasPrefix(dashed, "-") {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool { _, isBool := f.(*cli.BoolFlag); return !isBool }

// parsed reads the words of an unfinished command line: the values of flags, the other words, and the flag that waits for its value.
func parsed(flags []cli.Flag, words []string) (given map[string]string, args []string, open cli.Flag) {
	given = map[string]string{}
	for i := 0; i < len(words); i++ {
		if words[i] == "--" {
			return given, append(args, words[i+1:]...), nil
		}
		if !isFlag(words[i]) {
			args = append(args, words[i])
			continue
		}
		name, value, equals := strings.Cut(words[i], "=")
		f := flagNamed(flags, name)
		switch {
		case f == nil || !takesValue(f):
		case equals:
			given[f.Names()[0]] = value
		case i+1 == len(words):
			return given, args, f
		default:
			i++
			given[f.Names()[0]] = words[i]
		}
	}
	return given, args, nil
}

func flagWords(flags []cli.Flag) (list []word) {
	for _, f := range flags {
		text, about := describeFlag(f)[0], describeFlag(f)[1]
		_, text, _ = strings.Cut(" "+text, "--")
		text, _, _ = strings.Cut(text, " ")
		list = append(list, word{"--" + text, about})
	}
	return list
}

func commandWords(commands []*cli.Command) (list []word) {
	for _, c := range commands {
		if !c.Hidden {
			list = append(list, word{c.Name, c.Usage})
		}
	}
	return list
}

func wordsOf(names []string) (list []word) {
	for _, n := range names {
		list = append(list, word{text: n})
	}
	return list
}

// choices finds the values of a flag in its usage, as in "show progress as `HOW`: auto, bar, plain or none".
var choices = regexp.MustCompile("`[A-Z]+`: ((?:[a-z-]+, )*[a-z-]+ or [a-z-]+)")

// valuesOf returns what a flag may be given.
func valuesOf(ctx context.Context, env environ.Env, f cli.Flag) (list []word, files bool) {
	usage := f.(cli.DocGenerationFlag).GetUsage()
	if m := choices.FindStringSubmatch(usage); m != nil {
		return wordsOf(strings.Split(strings.ReplaceAll(m[1], " or ", ", "), ", ")), false
	}
	if f.Names()[0] == "app" {
		return wordsOf(localstore.Known(env)), false
	}
	for _, what := range []string{"`FILE`", "`DIR`", "`URL`"} {
		files = files || strings.Contains(usage, what)
	}
	return nil, files
}

// argumentsOf returns what the next argument of a command may be, by the word for it in its usage.
func argumentsOf(ctx context.Context, commands []*cli.Command, env environ.Env, c *cli.Command, given map[string]string, args []string) (list []word, files bool) {
	usage := strings.Fields(strings.NewReplacer("[", "", "]", "", "|", "").Replace(c.ArgsUsage))
	repeated := strings.HasSuffix(c.ArgsUsage, "...")
	if len(usage) == 0 || len(args) >= len(usage) && !repeated {
		return nil, false
	}
	switch strings.TrimSuffix(usage[min(len(args), len(usage)-1)], "...") {
	case "SNAPSHOT":
		return append(localStamps(ctx, env, given), word{"latest", "the newest that is complete and sound"}), false
	case "COMMAND":
		return append(commandWords(commands), topicWords()...), false
	case "SHELL":
		return wordsOf(shellNames()), false
	case "DIR":
		return nil, true
	}
	return nil, repeated // paths of this machine; a single PATH is one in a snapshot
}

// localStamps returns the stamps of the local store that a command line names, newest first.
func localStamps(ctx context.Context, env environ.Env, given map[string]string) (list []word) {
	setting := func(flag string) string {
		if v := given[flag]; v != "" {
			return v
		}
		return env.Getenv("LIFEBOAT_" + strings.ToUpper(flag))
	}
	cfg, err := config.Load(setting("config"), env)
	if err != nil {
		return nil
	}
	if url := setting("remote"); url != "" {
		if r, err := config.ParseRemote(url, env.Dir); err == nil {
			cfg.Remotes = []config.Remote{r}
		}
	}
	dir := cfg.Local.Dir
	if store := setting("store"); store != "" {
		dir = env.Abs(store)
	}
	if dir == "" {
		app, err := cfg.AppName(setting("app"))
		if known := localstore.Known(env); err != nil && len(known) == 1 {
			app = known[0]
		}
		if dir, err = localstore.Dir(app, env); err != nil {
			return nil
		}
	}
	store, err := localstore.Open(ctx, dir)
	if err != nil {
		return nil
	}
	entries, err := store.Snapshots(ctx)
	if err != nil {
		return nil
	}
	for _, e := range slices.Backward(entries) {
		list = append(list, word{string(e.ID.Stamp), e.ID.Stamp.Time().Local().Format("Mon 2 Jan 2006 15:04:05")})
	}
	return list
}
