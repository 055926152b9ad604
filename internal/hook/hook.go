// Package hook runs the commands that an operator has configured: around a capture, so that an application can be told to hold still, and
// on what a drill has restored. They come from the configuration file, or from one that the operator named, and from nowhere else.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// DefaultTimeout is how long a command may run, unless the configuration says otherwise.
const DefaultTimeout = 5 * time.Minute

// Grace is how long a command has to end by itself after it was told to, and how long its children may hold its output open.
const Grace = 5 * time.Second

// A Runner runs commands by the system's shell: `sh -c`, and `cmd /C` on Windows.
type Runner struct {
	Timeout time.Duration // of each command; 0 means DefaultTimeout
	Env     []string      // NAME=value, beside the environment of this process
	Output  io.Writer     // gets what commands print; nil for nobody
}

// Run runs commands in turn, and stops at the first that fails. One that is still running after the timeout, or when ctx ends, is told
// to end, with all that it has started, and killed Grace later. The error names the command and ends with the last that it printed.
func (r *Runner) Run(ctx context.Context, commands []string) error {
	for _, command := range commands {
		if err := r.run(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// RunAll runs every command, whatever comes of the ones before.
func (r *Runner) RunAll(ctx context.Context, commands []string) error {
	var errs []error
	for _, command := range commands {
		errs = append(errs, r.run(ctx, command))
	}
	return errors.Join(errs...)
}

func (r *Runner) run(ctx context.Context, command string) error {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := shell(limited, command)
	cmd.Env = append(os.Environ(), r.Env...)
	cmd.WaitDelay = Grace
	var last tail
	cmd.Stdout = &last
	if r.Output != nil {
		cmd.Stdout = io.MultiWriter(&last, r.Output)
	}
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	if limited.Err() != nil {
		killAll(cmd)
	}
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && limited.Err() == nil: // it ended well, and left something running that holds its output open
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("hook %q: %w", command, context.Cause(ctx))
	case limited.Err() != nil:
		err = fmt.Errorf("it was still running after %s, and was ended", timeout)
	}
	if said := last.String(); said != "" {
		return fmt.Errorf("hook %q: %w; it printed: %s", command, err, said)
	}
	return fmt.Errorf("hook %q: %w", command, err)
}

// maxTail is how much of what a command printed is in an error.
const maxTail = 500

// A tail keeps the last bytes that are written to it.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if over := len(t.last) - maxTail; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.ToValidUTF8(string(bytes.TrimSpace(t.last)), "\uFFFD")
}
