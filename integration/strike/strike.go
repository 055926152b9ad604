// Package strike runs a program and strikes at a chosen one of its system calls: lets it fail before or after its effect, kills the
// program there, or sends it a signal. Calls are counted over all threads, so that a test can go through them one by one.
//
// It is a debugger in the sense of ptrace(2), written for Linux on amd64; elsewhere Supported is false.
package strike

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// A Program is what is run, without standard input.
type Program struct {
	Path string
	Args []string // without the program's name
	Env  []string
	Dir  string

	// Judge is called before each call that is about files, in turn, and says what becomes of it. It is called by one goroutine.
	Judge func(Call) Verdict

	// Limit is how long the program may run before it is killed and Run fails; 0 means a minute.
	Limit time.Duration
}

// A Call is a system call that is about to begin.
type Call struct {
	Name   string   // such as renameat
	Paths  []string // of the files that it is about, absolute
	Writes bool     // it changes a file, a name or metadata, or makes a change durable; else it reads
}

// String returns name and paths.
func (c Call) String() string { return fmt.Sprintf("%s(%s)", c.Name, strings.Join(c.Paths, ", ")) }

// A Verdict says what becomes of a call. The zero value lets it be.
type Verdict struct {
	Fail   syscall.Errno  // the call fails with it
	Kill   bool           // the program is killed, as by kill -9
	After  bool           // Fail or Kill comes when the call has had its effect, and not instead
	Signal syscall.Signal // is sent to the program before the call
}

// A Result is how a program ended.
type Result struct {
	Code   int // the exit code; -1 when a signal ended it
	Killed syscall.Signal
	Stdout string
	Stderr string
}
