package strike

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supported reports whether Run can do anything here.
const Supported = true

// Run runs a program to its end.
func Run(p Program) (*Result, error) {
	type outcome struct {
		res *Result
		err error
	}
	done := make(chan outcome)
	go func() {
		// Only the thread that began it may debug a program; it ends with this goroutine, and with it what it still holds.
		runtime.LockOSThread()
		res, err := run(p)
		done <- outcome{res, err}
	}()
	o := <-done
	return o.res, o.err
}

// A tracer follows one program.
type tracer struct {
	program Program
	pid     int
	threads map[int]*thread
	end     syscall.WaitStatus
}

type thread struct {
	inside  bool // a system call
	verdict Verdict
}

func run(p Program) (*Result, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var output [2]*os.File
	for i := range output {
		if output[i], err = os.CreateTemp("", "strike-*"); err != nil {
			return nil, err
		}
		os.Remove(output[i].Name())
		defer output[i].Close()
	}
	pid, err := syscall.ForkExec(p.Path, append([]string{p.Path}, p.Args...), &syscall.ProcAttr{
		Dir: p.Dir, Env: p.Env, Files: []uintptr{null.Fd(), output[0].Fd(), output[1].Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	limit := p.Limit
	if limit == 0 {
		limit = time.Minute
	}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		syscall.Kill(pid, syscall.SIGKILL)
	})
	t := &tracer{program: p, pid: pid, threads: map[int]*thread{pid: {}}}
	err = t.follow()
	timer.Stop()
	if err != nil {
		syscall.Kill(pid, syscall.SIGKILL)
		return nil, fmt.Errorf("follow %s: %w", p.Path, err)
	}
	res := &Result{Code: t.end.ExitStatus()}
	if t.end.Signaled() {
		res.Killed = t.end.Signal()
	}
	for i, text := range []*string{&res.Stdout, &res.Stderr} {
		if _, err := output[i].Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		data, err := io.ReadAll(output[i])
		if err != nil {
			return nil, err
		}
		*text = string(data)
	}
	if late.Load() {
		return res, fmt.Errorf("%s %q did not end within %s:\n%s", p.Path, p.Args, limit, res.Stderr)
	}
	return res, nil
}

// wait returns the next thread of the program at which something happened. The program has a process group of its own, so that the other
// children of this process are left alone.
func (t *tracer) wait() (tid int, ws syscall.WaitStatus, err error) {
	for {
		tid, err = syscall.Wait4(-t.pid, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, syscall.EINTR) {
			return tid, ws, err
		}
	}
}

func (t *tracer) follow() error {
	tid, ws, err := t.wait()
	if err != nil || tid != t.pid || !ws.Stopped() {
		return fmt.Errorf("it did not begin: %v, %w", ws, err)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(tid, options); err != nil {
		return err
	}
	t.resume(tid, 0)
	for {
		tid, ws, err := t.wait()
		if errors.Is(err, syscall.ECHILD) {
			return nil
		}
		if err != nil {
			return err
		}
		th, known := t.threads[tid]
		if !known {
			th = &thread{}
			t.threads[tid] = th
		}
		switch {
		case ws.Exited() || ws.Signaled():
			delete(t.threads, tid)
			if tid == t.pid {
				t.end = ws
			}
		case !ws.Stopped():
		case ws.StopSignal() == syscall.SIGTRAP|0x80:
			t.call(tid, th)
			t.resume(tid, 0)
		case ws.StopSignal() == syscall.SIGTRAP && ws.TrapCause() > 0, ws.StopSignal() == syscall.SIGSTOP && !known:
			t.resume(tid, 0)
		default:
			t.resume(tid, ws.StopSignal())
		}
	}
}

// resume lets a thread go on. That it is gone shows in the next wait.
func (t *tracer) resume(tid int, sig syscall.Signal) { _ = syscall.PtraceSyscall(tid, int(sig)) }

// call is called when a thread enters a system call and when it leaves it.
func (t *tracer) call(tid int, th *thread) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	if th.inside {
		th.inside = false
		t.leave(tid, th.verdict, &regs)
		th.verdict = Verdict{}
		return
	}
	th.inside = true
	c, ok := callOf(tid, &regs)
	if !ok {
		return
	}
	v := t.program.Judge(c)
	th.verdict = v
	if v.Signal != 0 {
		syscall.Kill(t.pid, v.Signal)
	}
	if v.After {
		return
	}
	if v.Kill {
		syscall.Kill(t.pid, syscall.SIGKILL)
	}
	if v.Fail != 0 {
		regs.Orig_rax = ^uint64(0) // no call has this number, so none is made
		syscall.PtraceSetRegs(tid, &regs)
	}
}

func (t *tracer) leave(tid int, v Verdict, regs *syscall.PtraceRegs) {
	if v.Kill && v.After {
		syscall.Kill(t.pid, syscall.SIGKILL)
	}
	if v.Fail != 0 {
		regs.Rax = uint64(-int64(v.Fail))
		syscall.PtraceSetRegs(tid, regs)
	}
}
