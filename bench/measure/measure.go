//go:build unix

// Package measure runs a program and says what it took: wall time, processor time and peak memory, as the
// system counts them for the program and everything that it started and waited for.
package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Usage is what one run took.
type Usage struct {
	Wall time.Duration
	CPU  time.Duration // user and system, of all processes
	Peak int64         // bytes of resident memory, of the largest process
}

// role makes a process of this program the one that measures.
const role = "LIFEBOAT_BENCH_MEASURE"

// Main must be called first by the main function, or TestMain, of a program that calls Run. In the process that
// measures it does not return.
//
// There is such a process because a program begins with the peak memory of the one that started it: getrusage(2)
// counts what was there before execve. One that does nothing else has not grown.
func Main() {
	if os.Getenv(role) != "" {
		os.Exit(measure(os.Args[1:]))
	}
}

// output tells the process that measures that a file waits for the program's standard output, as its descriptor 3.
const output = "LIFEBOAT_BENCH_OUTPUT"

// Run runs cmd and measures it. Its standard output goes to cmd.Stdout if that is a file, and to standard error otherwise. That it
// fails is an error.
func Run(cmd *exec.Cmd) (Usage, error) {
	var u Usage
	self, err := os.Executable()
	if err != nil {
		return u, err
	}
	m := exec.Command(self, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	m.Env, m.Dir, m.Stderr = append(cmd.Environ(), role+"=1"), cmd.Dir, cmd.Stderr
	if f, ok := cmd.Stdout.(*os.File); ok {
		m.Env, m.ExtraFiles = append(m.Env, output+"=1"), []*os.File{f}
	}
	out, err := m.Output()
	if err != nil {
		return u, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return u, json.Unmarshal(out, &u)
}

// measure runs a command and prints its Usage. It returns the exit code.
func measure(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, role+"=") || strings.HasPrefix(v, output+"=") })
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if os.Getenv(output) != "" {
		cmd.Stdout = os.NewFile(3, "output")
	}
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(1, exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes, and elsewhere in KiB
		peak <<= 10
	}
	json.NewEncoder(os.Stdout).Encode(Usage{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak})
	return 0
}
