//go:build unix

package hook

import (
	"context"
	"os/exec"
	"syscall"
)

// shell returns a command in a process group of its own, which a Ctrl-C at the terminal does not reach: a hook that lets an application
// go on has to run to its end.
func shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	return cmd
}

// killAll ends what is left of a command that was told to end: its group goes on to exist, under the number of the shell, as long as
// anything in it does.
func killAll(cmd *exec.Cmd) {
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
