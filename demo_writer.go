package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/sampleapp"
)

// A demoProcess is the application of the demonstration at work, as a process of its own.
type demoProcess struct {
	cmd       *exec.Cmd
	in        io.Closer
	lines     *bufio.Scanner
	complaint strings.Builder
}

// startDemoWriter starts the application in dir, which program, this one, has in it, and returns when it has committed its first
// transaction. That ctx is done ends it, as stop does.
func startDemoWriter(ctx context.Context, program, dir string) (*demoProcess, error) {
	p := &demoProcess{cmd: exec.CommandContext(ctx, program, "demo", "--writer", dir)}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.lines, p.cmd.Stderr = in, bufio.NewScanner(out), &p.complaint
	p.cmd.Cancel, p.cmd.WaitDelay = in.Close, 5*time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if !p.lines.Scan() {
		p.stop()
		return nil, fmt.Errorf("the application did not start: %s", p.complaint.String())
	}
	return p, nil
}

// stop ends the application and returns how many transactions it has committed. Stopping nothing, or again, does nothing.
func (p *demoProcess) stop() (commits int, err error) {
	if p == nil || p.cmd.ProcessState != nil {
		return 0, nil
	}
	p.in.Close()
	last := ""
	for p.lines.Scan() {
		last = p.lines.Text()
	}
	if err := p.cmd.Wait(); err != nil {
		return 0, errors.Join(err, errors.New(strings.TrimSpace(p.complaint.String())))
	}
	return strconv.Atoi(last)
}

// demoWriter is that process: it works until its input ends, and prints a line when it has begun and how often it committed at the end.
func demoWriter(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, in)
		cancel()
	}()
	commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{Pause: -1}, func(commits int) {
		if commits == 1 {
			fmt.Fprintln(out, "begun")
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, commits)
	return err
}
