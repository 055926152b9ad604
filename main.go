// Lifeboat takes an application's whole runtime state, live, as one consistent snapshot: SQLite databases under load,
// configuration files, data directories. It keeps snapshots in a local store and in any S3-compatible bucket, and brings them back
// onto a fresh machine, verified.
//
// This package is the command line. Each command is in a file of its own, cmd_<verb>.go, and reads like the flow that it is; what
// they share is the session: the configuration, the local store and the remotes that a command line names. The work is
// done by the packages below, which neither print nor exit:
//
//	snapshot   captures sources into archives and a manifest
//	transfer   copies snapshots between stores: push, pull, copy
//	heal       finds what stores have lost of the snapshots that they list
//	restore    lays a snapshot down, verified
//	validate   proves that a store has all of a snapshot
//	drill      proves that a snapshot comes back
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
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

// version is what `lifeboat version` says and what manifests record.
const version = "0.1.0"

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP) // the terminal is gone
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the process at once
	stopProfiles := startProfiles()
	code := run(ctx, os.Args, environ.Current(), os.Stdout, os.Stderr)
	stopProfiles()
	os.Exit(code)
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, env environ.Env, stdout, stderr io.Writer) int {
	ui := newUI(stdout, stderr, env)
	ui.json = wantsJSON(args, env)
	err := runCommand(ctx, ui, args, env)
	if err == nil {
		return codeOK
	}
	var told reported
	if errors.As(err, &told) { // also when it was interrupted since: the work was done, and the document is out
		return int(told)
	}
	f := classify(ctx, err)
	ui.fail(f)
	return f.code
}

func runCommand(ctx context.Context, ui *ui, args []string, env environ.Env) error {
	app := newApp(ui, env)
	if len(args) > 2 && args[1] == completeCommand && args[2] == "--" {
		complete(ctx, ui.out, app.Commands, env, args[3:])
		return nil
	}
	args, err := arrange(app.Commands, args)
	if err != nil {
		return err
	}
	return app.RunContext(ctx, args)
}

func newApp(ui *ui, env environ.Env) *cli.App {
	s := func(do func(*session, *cli.Context) error) cli.ActionFunc {
		return func(c *cli.Context) error {
			if c.Command.ArgsUsage == "" && c.Args().Present() {
				name := strings.TrimPrefix(c.Command.HelpName, "lifeboat ")
				return usagef(helpOf(strings.Fields(name)), "%s takes no arguments", name)
			}
			session := newSession(c, ui, env)
			defer session.close()
			return do(session, c)
		}
	}
	return &cli.App{
		Name:                      "lifeboat",
		Usage:                     "live SQLite databases and files as one snapshot, and back again",
		Commands:                  commands(s),
		Writer:                    ui.out,
		ErrWriter:                 ui.err,
		DisableSliceFlagSeparator: true, // paths may have commas in them
		HideHelp:                  true, // see cmd_help.go
		HideVersion:               true, // -v is for more words; see cmd_version.go
		ExitErrHandler:            func(*cli.Context, error) {},
	}
}

func commands(s func(func(*session, *cli.Context) error) cli.ActionFunc) []*cli.Command {
	list := []*cli.Command{
		{Name: "demo", Usage: "the whole life cycle, on a sample application at work", Description: demoHelp, Action: s(demo), Flags: demoFlags()},
		{Name: "backup", ArgsUsage: "[PATH | NAME=PATH]...", Usage: "take a snapshot and push it to every remote", Description: backupHelp, Action: s(backup), Flags: slices.Concat(createFlags(), remoteFlags(), sendFlags(), afterBackupFlags())},
		{Name: "create", ArgsUsage: "[PATH | NAME=PATH]...", Usage: "take a snapshot into the local store", Description: createHelp, Action: s(create), Flags: createFlags()},
		{Name: "push", ArgsUsage: "[SNAPSHOT]...", Usage: "copy snapshots from the local store to every remote", Description: pushHelp, Action: s(push), Flags: append(slices.Concat(remoteFlags(), sendFlags()), memoryFlag(), waitFlag())},
		{Name: "pull", ArgsUsage: "SNAPSHOT", Usage: "copy a snapshot from a remote to the local store", Description: pullHelp, Action: s(pull), Flags: []cli.Flag{downloadFlag(), concurrencyFlag("3"), memoryFlag(), waitFlag()}},
		{Name: "copy", ArgsUsage: "[SNAPSHOT]...", Usage: "copy snapshots to one more store, and repair it", Description: copyHelp, Action: s(copyCommand), Flags: copyFlags()},
		{Name: "list", Aliases: []string{"snapshots"}, Usage: "list snapshots, their state, and where they are", Description: listHelp, Action: s(list), Flags: []cli.Flag{freesFlag()}},
		{Name: "show", ArgsUsage: "[SNAPSHOT]", Usage: "what is known of one snapshot", Description: showHelp, Action: s(show), Flags: []cli.Flag{freesFlag()}},
		{Name: "ls", ArgsUsage: "SNAPSHOT [PATH]", Usage: "list files in a snapshot", Description: lsHelp, Action: s(ls), Flags: lsFlags()},
		{Name: "cat", ArgsUsage: "SNAPSHOT PATH", Usage: "write a file in a snapshot to standard output", Description: catHelp, Action: s(cat)},
		{Name: "diff", ArgsUsage: "SNAPSHOT SNAPSHOT [PATH]", Usage: "what changed from one snapshot to another", Description: diffHelp, Action: s(diff), Flags: diffFlags()},
		{Name: "history", ArgsUsage: "FILE", Usage: "sizes and rows of a file in every snapshot", Description: historyHelp, Action: s(history), Flags: historyFlags()},
		{Name: "pin", ArgsUsage: "SNAPSHOT...", Usage: "keep a snapshot, whatever a policy says", Description: pinHelp, Action: s(pin), Flags: []cli.Flag{waitFlag()}},
		{Name: "unpin", ArgsUsage: "SNAPSHOT...", Usage: "leave a snapshot to the policies again", Description: unpinHelp, Action: s(unpin), Flags: []cli.Flag{waitFlag()}},
		{Name: "validate", Aliases: []string{"verify", "check"}, ArgsUsage: "[SNAPSHOT]...", Usage: "prove that a snapshot is whole, wherever it is", Description: validateHelp, Action: s(validateCommand), Flags: validateFlags()},
		{Name: "restore", ArgsUsage: "SNAPSHOT --target DIR | --in-place", Usage: "bring a snapshot back", Description: restoreHelp, Action: s(restoreCommand), Flags: restoreFlags()},
		{Name: "drill", ArgsUsage: "[SNAPSHOT]", Usage: "prove that a snapshot comes back, and how long that takes", Description: drillHelp, Action: s(drillCommand), Flags: drillFlags()},
		{Name: "status", Usage: "is everything fresh and proven; for monitors", Description: statusHelp, Action: s(status), Flags: statusFlags()},
		{Name: "undo", Usage: "put back what the last restore in place replaced", Description: undoHelp, Action: s(undo), Flags: undoFlags()},
		{Name: "prune", Aliases: []string{"forget"}, ArgsUsage: "[SNAPSHOT]...", Usage: "remove the snapshots that no rule keeps, and what nothing needs", Description: pruneHelp, Action: s(pruneCommand), Flags: pruneFlags()},
		{Name: "remove", ArgsUsage: "SNAPSHOT...", Usage: "remove a snapshot, whatever the rules say", Description: removeHelp, Action: s(remove), Flags: []cli.Flag{waitFlag()}},
		{Name: "adopt", ArgsUsage: "DIR", Usage: "take over the snapshots of the tool before lifeboat", Description: adoptHelp, Action: s(adoptCommand), Flags: adoptFlags()},
		{Name: "recovery-kit", ArgsUsage: "[DIR]", Usage: "write what recovers a snapshot without lifeboat", Description: recoveryKitHelp, Action: s(recoveryKit), Flags: recoveryKitFlags()},
		{Name: "config", Usage: "look at the configuration", Action: s(configCommand), Subcommands: []*cli.Command{
			{Name: "validate", Usage: "say everything that is wrong with it", Description: configValidateHelp, Action: s(configValidate)},
			{Name: "show", Usage: "what holds, with defaults filled in", Description: configShowHelp, Action: s(configShow)},
			{Name: "example", Usage: "a configuration to start from", Description: configExampleHelp, Action: s(configExample)},
		}},
		{Name: "completion", ArgsUsage: "SHELL", Usage: "what a shell needs to complete command lines", Description: completionHelp, Action: s(completionCommand)},
		{Name: "version", Usage: "the version of this program and of the store format", Description: versionHelp, Action: s(versionCommand)},
		{Name: "help", ArgsUsage: "[COMMAND]", Usage: "explain a command, or a topic: exit-codes, environment", Description: helpHelp, Action: s(help)},
	}
	for _, c := range list {
		prepare(c)
	}
	return list
}
