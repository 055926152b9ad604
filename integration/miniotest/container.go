package miniotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An imageError reports that the image which somebody asked for by name gave no server.
type imageError struct{ image, why string }

func (e *imageError) Error() string {
	return fmt.Sprintf("LIFEBOAT_TEST_S3_IMAGE %s: %s", e.image, e.why)
}

// fromContainer starts the service of docker-compose.test.yml as a project of its own, on a port that the
// engine picks. Without a server, it says why.
func fromContainer(ctx context.Context, root string) (s *Server, stop func(), why string) {
	compose, why := Compose(ctx)
	if why != "" {
		return nil, nil, why
	}
	project := "lifeboat-test-" + uuid.NewString()[:8]
	run := func(ctx context.Context, args ...string) *exec.Cmd {
		args = append(compose[1:len(compose):len(compose)], args...)
		cmd := exec.CommandContext(ctx, compose[0], args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+project, "COMPOSE_FILE=docker-compose.test.yml", "LIFEBOAT_TEST_S3_PORT=0")
		return cmd
	}
	down := func() { run(context.Background(), "down", "--volumes", "--timeout", "1").Run() }

	// Containers that an earlier run left behind when it was killed, stopped and labelled as ours.
	exec.CommandContext(ctx, "docker", "container", "prune", "--force", "--filter", "label=lifeboat.test", "--filter", "until=1h").Run()

	say("starting the container of docker-compose.test.yml")
	pullCtx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if out, err := run(pullCtx, "up", "--no-start").CombinedOutput(); err != nil {
		down()
		return nil, nil, fmt.Sprintf("its container cannot be made: %v: %s", err, strings.TrimSpace(string(out)))
	}
	remove := afterwards(run(context.Background(), "down", "--volumes", "--timeout", "1"))
	up, err := startProcess(run(context.Background(), "up", "--no-color"))
	if err != nil {
		remove()
		return nil, nil, err.Error()
	}
	stop = func() {
		remove()
		up.wait(10 * time.Second)
	}
	addr, err := publishedAddress(ctx, run, up)
	if err == nil {
		err = up.healthy(ctx, "http://"+addr, time.Minute)
	}
	if err != nil {
		stop()
		return nil, nil, err.Error()
	}
	return &Server{
		Endpoint:  "http://" + addr,
		AccessKey: "lifeboat-test", // as in docker-compose.test.yml
		SecretKey: "lifeboat-test-secret",
		Region:    defaultRegion,
		Origin:    "container of docker-compose.test.yml, project " + project,
	}, stop, ""
}

// Compose returns the command line of docker compose, or why there is none that works.
func Compose(ctx context.Context) (command []string, why string) {
	if answers(ctx, "docker", "info") != nil {
		return nil, "no Docker engine answers"
	}
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if answers(ctx, command[0], append(command[1:len(command):len(command)], "version")...) == nil {
			return command, ""
		}
	}
	return nil, "a Docker engine answers, but neither docker compose nor docker-compose is there"
}

// afterwards returns a function that runs a command and waits for it. Where there is a shell, the command also runs when this
// process is killed: the shell waits for the end of its input, which comes then at the latest.
func afterwards(cmd *exec.Cmd) func() {
	shell := exec.Command("sh", append([]string{"-c", `trap "" HUP INT TERM; cat >/dev/null; exec "$0" "$@"`}, cmd.Args...)...)
	shell.Dir, shell.Env = cmd.Dir, cmd.Env
	in, err := shell.StdinPipe()
	if err == nil {
		err = shell.Start()
	}
	if err != nil {
		return func() { cmd.Run() }
	}
	return func() {
		in.Close()
		shell.Wait()
	}
}

// answers runs a command that asks whether something is there.
func answers(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, name, args...).Run()
}

// publishedAddress asks for the address of the service until the container runs.
func publishedAddress(ctx context.Context, run func(context.Context, ...string) *exec.Cmd, up *process) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		out, err := run(ctx, "port", "minio", "9000").Output()
		if addr := strings.TrimSpace(string(out)); err == nil && strings.HasPrefix(addr, "127.0.0.1:") && !strings.HasSuffix(addr, ":0") {
			return addr, nil
		}
		select {
		case <-up.done:
			return "", errors.New("docker-compose ended; it printed:\n" + up.output())
		case <-ctx.Done():
			return "", errors.New("the container publishes no port on 127.0.0.1; docker-compose printed:\n" + up.output())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
