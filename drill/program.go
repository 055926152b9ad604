package drill

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// keptOutput is how much of what a program says is kept, in bytes.
const keptOutput = 1000

// tail keeps the last bytes that are written to it.
type tail struct {
	data []byte
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - keptOutput; over > 0 {
		t.data, t.cut = append([]byte(nil), t.data[over:]...), true
	}
	return len(p), nil
}

func (t *tail) String() string {
	said := strings.TrimSpace(string(t.data))
	if t.cut {
		said = "…" + said
	}
	return said
}

// runProgram runs a program in a directory, with nothing on its standard input, and returns why it did not succeed, or "". When ctx ends, so do
// the program and what it has started.
func runProgram(ctx context.Context, words []string, dir string, env []string) (why string) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out tail
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &out
	cmd.WaitDelay = 2 * time.Second // for pipes that something which it started has open
	together(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exit):
		why = exit.ProcessState.String()
	default:
		why = fmt.Sprintf("cannot run %s: %v", words[0], err)
	}
	if said := out.String(); said != "" {
		why += ": " + said
	}
	return why
}
