//go:build unix

package drill

import (
	"os/exec"
	"syscall"
)

// together makes a program, and what it starts, one group, which ends as a whole.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
