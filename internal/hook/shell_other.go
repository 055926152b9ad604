//go:build !unix

package hook

import (
	"context"
	"os/exec"
)

func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}

// together does nothing: a command that is ended leaves what it has started.
func together(*exec.Cmd) {}

// killAll does nothing: what the shell has started goes on without it.
func killAll(*exec.Cmd) {}
