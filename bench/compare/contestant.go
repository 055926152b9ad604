//go:build unix

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/integration/miniotest"
)

// A contestant keeps backups of a source below a prefix of the bucket. A command that is nil is one that it does not have.
type contestant struct {
	name, version string

	prepare []func(p place) *exec.Cmd // before the first backup, not measured
	backup  func(p place) *exec.Cmd   // the same for the first and for every later one
	forget  func(p place) *exec.Cmd   // drops what it cached, not measured; before each restore
	restore func(p place) *exec.Cmd   // into p.target, which does not exist
	one     func(p place) *exec.Cmd   // a small file to standard output or into p.target
	list    func(p place) *exec.Cmd
	verify  func(p place) *exec.Cmd // every byte at the server

	laid func(p place) string // where the source's files lie after a restore
}

// A place is what a contestant has in one run.
type place struct {
	source string // absolute
	prefix string // in the bucket, its own
	dir    string // its own, for caches and what it stages
	target string
}

// A sample is one measured command.
type sample struct {
	measure.Usage
	Server time.Duration    // processor time of the server meanwhile
	Sent   int64            // bytes of the bodies that the server received
	Got    int64            // and of those that it sent
	Calls  map[string]int64 // requests by the name of the S3 operation
}

// sample runs cmd and measures it.
func (b *bench) sample(cmd *exec.Cmd) (s sample, err error) {
	cmd.Env = append(cmd.Environ(), b.env()...)
	var said strings.Builder
	cmd.Stderr = &said
	cpu, err := b.serverCPU()
	if err != nil {
		return s, err
	}
	before, err := b.server.Traffic()
	if err != nil {
		return s, err
	}
	if s.Usage, err = measure.Run(cmd); err != nil {
		return s, fmt.Errorf("%w\n%s", err, said.String())
	}
	after, err := b.server.Traffic()
	if err != nil {
		return s, err
	}
	used, err := b.serverCPU()
	s.Server, s.Sent, s.Got, s.Calls = used-cpu, after.Received-before.Received, after.Sent-before.Sent, difference(before, after)
	return s, err
}

func difference(before, after miniotest.Traffic) map[string]int64 {
	calls := maps.Clone(after.Calls)
	for name, n := range before.Calls {
		if calls[name] -= n; calls[name] == 0 {
			delete(calls, name)
		}
	}
	return calls
}

// serverCPU returns the processor time of the server so far, and 0 where the system does not tell.
func (b *bench) serverCPU() (time.Duration, error) {
	cpu, err := measure.CPUOf(b.server.PID)
	if errors.Is(err, errors.ErrUnsupported) {
		return 0, nil
	}
	return cpu, err
}

// quietly runs a command that is not measured.
func (b *bench) quietly(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Environ(), b.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

func (b *bench) env() []string {
	host := strings.TrimPrefix(b.server.Endpoint, "http://")
	return append(b.server.Env(), fmt.Sprintf("MC_HOST_bench=http://%s:%s@%s", b.server.AccessKey, b.server.SecretKey, host),
		"MC_CONFIG_DIR="+filepath.Join(b.scratch, "mc"), "HOME="+b.scratch)
}

const bucket = "bench"

func (b *bench) makeBucket() error {
	return b.quietly(exec.Command(b.mc, "mb", "--quiet", "bench/"+bucket))
}

// with returns a command with more in its environment.
func with(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func bash(script string, env ...string) *exec.Cmd {
	return with(exec.Command("bash", "-c", "set -euo pipefail\n"+script), env...)
}
