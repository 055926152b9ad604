// Lifeboat takes an application's whole runtime state, live, as one consistent snapshot: SQLite databases under load,
// configuration files, data directories. It keeps snapshots in a local store and in any S3-compatible bucket, and brings them back
// onto a fresh machine, verified.
//
// This package is the command line. Each command is in a file of its own, cmd_<verb>.go, and reads like the flow that it is; what
// they share is the session: the configuration, the local store and the remotes that a command line names. The work is
// done by the packages below, which neither print nor exit:
//
//	snapshot   captures sources into archives and a manifest
//	transfer   copies snapshots between stores: push, pull
//	restore    lays a snapshot down, verified
//	validate   proves that a store has all of a snapshot
//
// They stand on archive (the format of the data), manifest (the format of its description), localstore and remote (where both
// are kept). See docs/format.md.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

// version is what `lifeboat version` says and what manifests record.
const version = "0.1.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := environ.Current()
	os.Exit(run(ctx, os.Args, env, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, env environ.Env, stdout, stderr io.Writer) int {
	ui := newUI(stdout, stderr, env)
	app := newApp(ui, env)
	args = flagsFirst(app, args)
	ui.json = wantsJSON(args, env)
	err := app.RunContext(ctx, args)
	if err == nil {
		return codeOK
	}
	var partial *partialError
	if errors.As(err, &partial) && partial.reported {
		return partial.code
	}
	f := classify(ctx, err)
	ui.fail(f)
	return f.code
}

func newApp(ui *ui, env environ.Env) *cli.App {
	s := func(do func(*session, *cli.Context) error) cli.ActionFunc {
		return func(c *cli.Context) error {
			return do(newSession(c, ui, env), c)
		}
	}
	return &cli.App{
		Name:    "lifeboat",
		Usage:   "back up live SQLite databases and files as one snapshot, and get them back",
		Version: version,
		Description: "Start with:  lifeboat demo\n" +
			"Back up:     lifeboat backup /srv/app --remote s3://bucket/app\n" +
			"Restore:     lifeboat restore latest --remote s3://bucket/app --target /srv/app-restored\n\n" +
			"S3 credentials come from where the AWS tools look for them. `lifeboat COMMAND --help` explains each command.",
		Flags:     globalFlags(),
		Commands:  commands(s),
		Writer:    ui.out,
		ErrWriter: ui.err,
		Suggest:   true,
		// Paths may have commas in them.
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		HideVersion:               true, // -v is for more words; `lifeboat version` tells the version
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usage(err) },
		CommandNotFound:           nil,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func commands(s func(func(*session, *cli.Context) error) cli.ActionFunc) []*cli.Command {
	list := []*cli.Command{
		{Name: "demo", Usage: "the whole life cycle on a sample application that is being written while it runs", Action: s(demo), Flags: demoFlags()},
		{Name: "backup", ArgsUsage: "[PATH | NAME=PATH]...", Usage: "take a snapshot and push it to every remote", Description: backupHelp, Action: s(backup), Flags: createFlags()},
		{Name: "create", ArgsUsage: "[PATH | NAME=PATH]...", Usage: "take a snapshot into the local store", Action: s(create), Flags: createFlags()},
		{Name: "push", ArgsUsage: "[SNAPSHOT]...", Usage: "copy snapshots from the local store to every remote; all that are missing there, if none is named", Action: s(push), Flags: waitFlags()},
		{Name: "pull", ArgsUsage: "SNAPSHOT", Usage: "copy a snapshot from a remote to the local store", Action: s(pull), Flags: waitFlags()},
		{Name: "list", Aliases: []string{"snapshots"}, Usage: "list snapshots, their state, and where they are", Action: s(list)},
		{Name: "show", ArgsUsage: "[SNAPSHOT]", Usage: "what is known of one snapshot", Description: snapshotHelp, Action: s(show)},
		{Name: "ls", ArgsUsage: "SNAPSHOT [PATH]", Usage: "list files in a snapshot", Description: snapshotHelp, Action: s(ls), Flags: lsFlags()},
		{Name: "cat", ArgsUsage: "SNAPSHOT PATH", Usage: "write a file in a snapshot to standard output", Description: snapshotHelp, Action: s(cat)},
		{Name: "validate", Aliases: []string{"verify", "check"}, ArgsUsage: "[SNAPSHOT]...", Usage: "prove that a snapshot is whole, at every place that has it", Description: validateHelp, Action: s(validateCommand), Flags: validateFlags()},
		{Name: "restore", ArgsUsage: "SNAPSHOT --target DIR", Usage: "bring a snapshot back", Description: restoreHelp, Action: s(restoreCommand), Flags: restoreFlags()},
		{Name: "config", Usage: "look at the configuration", Subcommands: []*cli.Command{
			{Name: "validate", Usage: "say everything that is wrong with the configuration", Action: s(configValidate)},
			{Name: "show", Usage: "the configuration with defaults filled in", Action: s(configShow)},
			{Name: "example", Usage: "a configuration to start from", Action: s(configExample)},
		}},
		{Name: "version", Usage: "the version of this program and of the store format", Action: s(versionCommand)},
	}
	for _, c := range list {
		addGlobalFlags(c)
	}
	return list
}
