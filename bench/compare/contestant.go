//go:build unix

package main

import (
	"os/exec"
)

// A contestant keeps backups of a source below a prefix of the bucket. A command that is nil is one that it does not have.
type contestant struct {
	name, version string

	prepare []func(p place) *exec.Cmd // before the first backup, not measured
	backup  func(p place) *exec.Cmd   // the same for the first and for every later one
	forget  func(p place) *exec.Cmd   // drops what it cached, not measured; before each restore
	restore func(p place) *exec.Cmd   // into p.target, which does not exist
	one     func(p place) *exec.Cmd   // a small file to standard output
	list    func(p place) *exec.Cmd
	verify  func(p place) *exec.Cmd // every byte at the server

	laid     func(p place) string // where the source's files lie after a restore
	stages   bool                 // its backup has databases staged first
	rewrites bool                 // what it stages has another first page than the database
}

// A place is what a contestant has in one run.
type place struct {
	source string // absolute
	small  string // a small file of it, relative
	prefix string // in the bucket, its own
	dir    string // its own, for caches and what it stages
	target string
}

// with returns a command with something in its environment.
func with(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = env
	return cmd
}

func bash(script string, env ...string) *exec.Cmd {
	return with(exec.Command("bash", "-c", "set -euo pipefail\n"+script), env...)
}
