//go:build !unix

package hook

import (
	"context"
	"os/exec"
)

func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}

// killAll does nothing: what the shell has started goes on without it.
func killAll(*exec.Cmd) {}
