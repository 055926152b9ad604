//go:build unix

package hook

import (
	"context"
	"os/exec"
	"syscall"
)

func shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	together(cmd)
	return cmd
}

// together puts a command into a process group of its own, which a Ctrl-C at the terminal does not reach: a hook that lets an application
// go on has to run to its end. The group is told to end as a whole.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killAll ends what is left of a command that was told to end: its group goes on to exist, under the number of the shell, as long as
// anything in it does.
func killAll(cmd *exec.Cmd) {
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
