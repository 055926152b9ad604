package miniotest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// A process runs until it is stopped, or until this process ends where the system can see to that.
type process struct {
	cmd  *exec.Cmd
	log  *os.File      // what it prints
	done chan struct{} // closed when it has ended
}

// startProcess starts cmd. Either kill or wait ends it.
//
// Its output goes to a file without a name, not to a pipe: docker-compose prints when it is told to end, and
// would fail on a pipe that nobody reads any more before it has stopped its container.
func startProcess(cmd *exec.Cmd) (*process, error) {
	log, err := os.CreateTemp("", "lifeboat-output-*")
	if err != nil {
		return nil, err
	}
	os.Remove(log.Name()) // where an open file cannot be removed, release does it
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	endWithParent(cmd)
	started := make(chan error)
	go func() {
		// Linux sends the death signal when the thread that started the child ends, so the thread is held.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// release closes the output of a process that has ended.
func (p *process) release() {
	p.log.Close()
	os.Remove(p.log.Name())
}

// kill ends the process and returns when it has ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.release()
}

// wait gives the process d to end by itself, and kills it then.
func (p *process) wait(d time.Duration) {
	select {
	case <-p.done:
	case <-time.After(d):
	}
	p.kill()
}

// healthy returns when MinIO at endpoint serves requests, or fails when the process ends before, or after d.
// The answer 200 alone does not say so: until its storage is ready, MinIO sends it with the header
// X-Minio-Server-Status: offline.
func (p *process) healthy(ctx context.Context, endpoint string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		select {
		case <-p.done:
			return fmt.Errorf("the server ended (%s); it printed:\n%s", p.cmd.ProcessState, p.output())
		case <-ctx.Done():
			return fmt.Errorf("the server at %s is not healthy after %s (%s); it printed:\n%s", endpoint, d, last, p.output())
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/minio/health/live", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err.Error()
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK && resp.Header.Get("X-Minio-Server-Status") == "" {
			return nil
		}
		last = resp.Status + " " + resp.Header.Get("X-Minio-Server-Status")
	}
}

// tailSize is how much of a program's output an error shows.
const tailSize = 8 << 10

// output returns the end of what the process printed.
func (p *process) output() string {
	size, err := p.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from := max(0, size-tailSize)
	text := make([]byte, size-from)
	if _, err := p.log.ReadAt(text, from); err != nil {
		return err.Error()
	}
	return string(text)
}
