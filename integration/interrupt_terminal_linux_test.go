package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lifeboat/integration/miniotest"
)

// newTerminal returns both ends of a terminal of 80 columns: the user's, and the program's.
func newTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// Ctrl-C under a progress bar: the bar goes, and the message stands in lines of its own.
func TestInterruptedUnderABar(t *testing.T) {
	w := newLiveWorld(t)
	w.proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if isArchiveRequest(r, http.MethodPut) {
			return miniotest.Action{Rate: 20_000}
		}
		return miniotest.Action{}
	})
	user, program := newTerminal(t)
	cmd := w.command("backup", w.app, "--app", "app", "--remote", w.remote)
	cmd.Env = append(w.env, "TERM=xterm")
	cmd.Stderr = program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	screen, buf, asked := "", make([]byte, 4096), false
	for {
		n, err := user.Read(buf)
		screen += string(buf[:n])
		if err != nil { // the program's end is closed
			break
		}
		if !asked && strings.Contains(screen, "send") {
			asked = true
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	before, message, ok := strings.Cut(screen, "lifeboat: interrupted")
	if !ok || strings.Contains(message, "send") || !strings.HasSuffix(message, "\n") {
		t.Errorf("the screen ends with %q", message)
	}
	// What is on the line where the message begins: all since the last return, which must be blank.
	line := before[strings.LastIndexAny(before, "\r\n")+1:]
	if strings.TrimSpace(strings.ReplaceAll(line, "\x1b[2K", "")) != "" || strings.Contains(screen, "\x1b[?25l") {
		t.Errorf("the message begins on a line with %q", line)
	}
	w.proxy.Inject(nil)
	w.noLitter()
	w.sound()
	w.writer.stop()
}
