package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is how wide a line of help may be.
const helpWidth = 80

const programHelp = `See it work      lifeboat demo
Back up          lifeboat backup /srv/app --remote s3://bucket/app
Look             lifeboat list --remote s3://bucket/app
Restore          lifeboat restore latest --remote s3://bucket/app --target DIR

A remote is a bucket, s3://bucket/prefix, or a directory. S3 credentials and
settings come from where the AWS tools look for them: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3, AWS_PROFILE, ~/.aws and so on.`

const exitHelp = `Exit codes: 0 ok, 1 failed, 3 snapshot incomplete, 4 data damaged, 8 refused and
nothing changed, 10 no such store, 11 local store in use, 13 no such snapshot,
14 remote not reached, 15 no space, 64 usage, 130 interrupted.`

const helpHelp = `Without COMMAND, lists the commands. The topics are exit-codes and environment.

   lifeboat help restore
   lifeboat help exit-codes

Exit code 64: there is no such command or topic.`

// help explains the program, or a command.
func help(s *session, c *cli.Context) error {
	path := c.Args().Slice()
	if t := topicNamed(path); t != nil {
		s.print("%s", strings.TrimRight(t.text, "\n"))
		return s.document(map[string]string{"help": t.text})
	}
	commands := c.App.Commands
	var found *cli.Command
	for i, name := range path {
		if found = lookUpCommand(commands, name); found == nil {
			return unknownCommand(name, path[:i], commands)
		}
		path[i], commands = found.Name, found.Subcommands
	}
	text := appHelp(c.App)
	if found != nil {
		text = commandHelp(path, found)
	}
	s.print("%s", text)
	return s.document(map[string]string{"help": text})
}

func appHelp(app *cli.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lifeboat: %s\n\n%s\n\nCommands:\n", app.Usage, programHelp)
	writeCommands(&b, app.Commands)
	b.WriteString("\nFlags of every command, before or after its arguments:\n")
	writeFlags(&b, globalFlags())
	fmt.Fprintf(&b, "Each is also an environment variable, as in LIFEBOAT_REMOTE.\n\n%s\n\nlifeboat COMMAND --help explains a command; lifeboat help exit-codes and\nlifeboat help environment say more.", exitHelp)
	return b.String()
}

func commandHelp(path []string, c *cli.Command) string {
	var b strings.Builder
	name := "lifeboat " + strings.Join(path, " ")
	fmt.Fprintf(&b, "%s: %s\n\n", name, c.Usage)
	if len(c.Subcommands) > 0 {
		fmt.Fprintf(&b, "Usage: %s COMMAND\n\nCommands:\n", name)
		writeCommands(&b, c.Subcommands)
	} else {
		fmt.Fprintf(&b, "Usage: %s\n", strings.TrimSpace(name+" [flags] "+c.ArgsUsage))
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "Also:  lifeboat %s\n", strings.Join(c.Aliases, ", lifeboat "))
	}
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Description)
	}
	if own := ownFlags(c); len(own) > 0 {
		b.WriteString("\nFlags:\n")
		writeFlags(&b, own)
	}
	var everywhere []string
	for _, f := range globalFlags() {
		everywhere = append(everywhere, "--"+f.Names()[0])
	}
	b.WriteString("\n" + wrap("And those of every command, which lifeboat --help explains: "+strings.Join(everywhere, ", ")+".", ""))
	return strings.TrimRight(b.String(), "\n")
}

// ownFlags returns the flags that only this command has and that are shown.
func ownFlags(c *cli.Command) (own []cli.Flag) {
	global := map[string]bool{}
	for _, f := range globalFlags() {
		global[f.Names()[0]] = true
	}
	for _, f := range c.Flags {
		if v, ok := f.(cli.VisibleFlag); ok && v.IsVisible() && !global[f.Names()[0]] {
			own = append(own, f)
		}
	}
	return own
}

func writeCommands(b *strings.Builder, commands []*cli.Command) {
	var rows [][2]string
	for _, c := range commands {
		if !c.Hidden {
			rows = append(rows, [2]string{c.Name, c.Usage})
		}
	}
	writeRows(b, rows)
}

func writeFlags(b *strings.Builder, flags []cli.Flag) {
	var rows [][2]string
	for _, f := range flags {
		rows = append(rows, describeFlag(f))
	}
	writeRows(b, rows)
}

// describeFlag returns how a flag is written, and what it does. What stands in backquotes in its usage is its value.
func describeFlag(f cli.Flag) [2]string {
	usage := f.(cli.DocGenerationFlag).GetUsage()
	var names []string
	for _, n := range f.Names() {
		if len(n) == 1 {
			names = append([]string{"-" + n}, names...)
		} else {
			names = append(names, "--"+n)
		}
	}
	written := strings.Join(names, ", ")
	if parts := strings.Split(usage, "`"); len(parts) == 3 {
		written += " " + parts[1]
		usage = strings.Join(parts, "")
	}
	return [2]string{written, usage}
}

// writeRows writes two columns. A first one that is too wide has a line of its own.
func writeRows(b *strings.Builder, rows [][2]string) {
	const most = 20
	width := 0
	for _, r := range rows {
		if len(r[0]) <= most {
			width = max(width, len(r[0]))
		}
	}
	indent := strings.Repeat(" ", width+4)
	for _, r := range rows {
		text := strings.TrimLeft(wrap(indent+r[1], indent), " ")
		if len(r[0]) > width {
			fmt.Fprintf(b, "  %s\n%s%s", r[0], indent, text)
		} else {
			fmt.Fprintf(b, "  %-*s  %s", width, r[0], text)
		}
	}
}

// wrap breaks a text at spaces into lines that fit. All but the first begin with indent.
func wrap(text, indent string) string {
	var b strings.Builder
	for len(text) > helpWidth {
		at := strings.LastIndexByte(text[:helpWidth+1], ' ')
		if at <= len(indent) {
			break // one long word
		}
		b.WriteString(text[:at] + "\n")
		text = indent + text[at+1:]
	}
	b.WriteString(text + "\n")
	return b.String()
}
