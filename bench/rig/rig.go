//go:build unix

// Package rig is what the benchmarks that run programs have in common: lifeboat as built from this tree, a MinIO server that nobody
// else uses, a measure of one command with the server's own counts, and tables in Markdown.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/integration/miniotest"
)

// A Rig is a server and what talks to it.
type Rig struct {
	Scratch  string // a directory that Close removes
	Lifeboat string // the program
	Server   *miniotest.Dedicated
}

// Main is the main function of a benchmark: run is ended by an interrupt or SIGTERM, and its error by exit code 1. It makes the processes that
// measure, too, so nothing may come before it.
func Main(name string, run func(ctx context.Context) error) {
	measure.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// New builds the programs, the server the first time in some minutes, and starts the server. It is for within Main. The caller calls Close.
func New(ctx context.Context) (r *Rig, err error) {
	r = &Rig{}
	if r.Scratch, err = os.MkdirTemp("", "lifeboat-bench-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	r.Lifeboat = filepath.Join(r.Scratch, "lifeboat")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", r.Lifeboat, "lifeboat").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build lifeboat: %w\n%s", err, out)
	}
	r.Server, err = miniotest.StartDedicated(ctx)
	return r, err
}

// Close ends the server and removes what there is.
func (r *Rig) Close() error {
	if r.Server != nil {
		r.Server.Stop()
	}
	return os.RemoveAll(r.Scratch)
}

// Command returns a command of lifeboat that keeps its local store at store and knows one remote: a bucket, and a prefix if there is one.
func (r *Rig) Command(remote, store string, args ...string) *exec.Cmd {
	return exec.Command(r.Lifeboat, append(args, "--remote", "s3://"+remote, "--store", store, "--progress", "none")...)
}

// Env is the environment in which programs find the server. HOME is in the scratch directory.
func (r *Rig) Env() []string { return append(r.Server.Env(), "HOME="+r.Scratch) }

// Quietly runs a command that is not measured. What it has in Env comes on top of what there is and of [Rig.Env].
func (r *Rig) Quietly(cmd *exec.Cmd) error {
	cmd.Env = slices.Concat(os.Environ(), r.Env(), cmd.Env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(string(out)))
	}
	return nil
}

// A Sample is one measured command.
type Sample struct {
	measure.Usage
	Server time.Duration    // processor time of the server meanwhile
	Sent   int64            // bytes of the bodies that the server received
	Got    int64            // and of those that it sent
	Calls  map[string]int64 // requests by the name of the S3 operation
}

// Requests is how many there were of any kind.
func (s Sample) Requests() (n int64) {
	for _, calls := range s.Calls {
		n += calls
	}
	return n
}

// Sample runs a command as [Rig.Quietly] does and measures it. What it prints is in the error, if it fails.
func (r *Rig) Sample(cmd *exec.Cmd) (Sample, error) {
	LevelMemory()
	return r.Beside(cmd)
}

// Beside is Sample while something else is measured too, which LevelMemory would disturb: that is to come before both.
func (r *Rig) Beside(cmd *exec.Cmd) (s Sample, err error) {
	cmd.Env = slices.Concat(os.Environ(), r.Env(), cmd.Env)
	var said strings.Builder
	cmd.Stderr = &said
	err = r.During(&s, func() error {
		if s.Usage, err = measure.Run(cmd); err != nil {
			return fmt.Errorf("%w\n%s", err, tail(said.String()))
		}
		return nil
	})
	return s, err
}

// Output measures a command as [Rig.Sample] does, and returns what it prints.
func (r *Rig) Output(cmd *exec.Cmd) (s Sample, output []byte, err error) {
	f, err := os.CreateTemp(r.Scratch, "output-*")
	if err != nil {
		return s, nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cmd.Stdout = f
	if s, err = r.Sample(cmd); err != nil {
		return s, nil, err
	}
	output, err = os.ReadFile(f.Name())
	return s, output, err
}

// During adds to s what the server counts while do runs.
func (r *Rig) During(s *Sample, do func() error) error {
	cpu, err := r.serverCPU()
	if err != nil {
		return err
	}
	before, err := r.Server.Traffic()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := r.Server.Traffic()
	if err != nil {
		return err
	}
	used, err := r.serverCPU()
	s.Server, s.Sent, s.Got, s.Calls = used-cpu, after.Received-before.Received, after.Sent-before.Sent, difference(before.Calls, after.Calls)
	return err
}

func difference(before, after map[string]int64) map[string]int64 {
	calls := maps.Clone(after)
	for name, n := range before {
		if calls[name] -= n; calls[name] == 0 {
			delete(calls, name)
		}
	}
	return calls
}

// serverCPU returns the processor time of the server so far, and 0 where the system does not tell.
func (r *Rig) serverCPU() (time.Duration, error) {
	cpu, err := measure.CPUOf(r.Server.PID)
	if errors.Is(err, errors.ErrUnsupported) {
		return 0, nil
	}
	return cpu, err
}

// tail is the end of what a program printed.
func tail(text string) string { return text[max(0, len(text)-2048):] }

// Version is the first line that a program prints, and its name if it cannot be run.
func Version(program string, args ...string) string {
	cmd := exec.Command(program, args...)
	cmd.Stderr = io.Discard
	out, err := cmd.Output()
	if err != nil {
		return filepath.Base(program)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
