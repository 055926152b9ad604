package hook

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// Program runs one program, not by a shell, in a directory, with an environment and with nothing on its standard input. why says how it did not
// succeed, with the last that it printed; "" if it did. When ctx ends, it is told to end, with all that it has started, and killed Grace later;
// what that means is for the caller to say.
func Program(ctx context.Context, words []string, dir string, env []string) (why string) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	together(cmd)
	var last tail
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &last, &last
	cmd.WaitDelay = Grace
	err := cmd.Run()
	if ctx.Err() != nil {
		killAll(cmd)
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil: // as in Runner.run
		return ""
	case errors.As(err, &exit):
		why = exit.ProcessState.String()
	default:
		why = fmt.Sprintf("cannot run %s: %v", words[0], err)
	}
	if said := last.String(); said != "" {
		why += ": " + said
	}
	return why
}
