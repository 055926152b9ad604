package main

import (
	"fmt"
	"sync"

	"lifeboat/internal/diskspace"
	"lifeboat/internal/durable"
)

// scratchPrefix begins the names of the directories in which commands keep temporary files.
const scratchPrefix = "lifeboat-scratch-"

// scratch is the directory for the temporary files of one command. It is made when it is first wanted.
type scratch struct {
	mu  sync.Mutex
	dir *durable.TempDir
}

// scratchIn returns the directory for temporary files, made in parent, or in the system's place for them if that is "". What commands
// that were killed have left in that place is removed. The session removes it at the end.
func (s *session) scratchIn(parent string) (string, error) {
	s.scratch.mu.Lock()
	defer s.scratch.mu.Unlock()
	if s.scratch.dir != nil {
		return s.scratch.dir.Path, nil
	}
	parent = s.sweepScratch(parent)
	dir, err := durable.MakeTempDir(parent, scratchPrefix+"*")
	if err != nil && !diskspace.Full(err) {
		return "", &failure{codeFailed, "no_scratch", fmt.Errorf("make a directory for temporary files: %w", err), "make that directory, or name another: TMPDIR=DIR lifeboat ..."}
	}
	if err != nil {
		return "", fmt.Errorf("make a directory for temporary files: %w", err)
	}
	s.scratch.dir = dir
	return dir.Path, nil
}

// sweepScratch removes what commands that were killed have left where scratchIn makes directories, and returns that place.
func (s *session) sweepScratch(parent string) string {
	if parent == "" {
		parent = s.env.TempDir()
	}
	for _, dir := range durable.SweepDirs(parent, scratchPrefix) {
		s.detail("removed %s, which a command that was killed had left", dir)
	}
	return parent
}

// temporary returns the directory for temporary files in the system's place for them.
func (s *session) temporary() (string, error) { return s.scratchIn("") }

// close removes what the command needed only while it ran.
func (s *session) close() {
	s.scratch.mu.Lock()
	defer s.scratch.mu.Unlock()
	if s.scratch.dir != nil {
		s.scratch.dir.Remove()
		s.scratch.dir = nil
	}
}
