package miniotest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
)

// noEngine is an environment in which no Docker engine answers.
const noEngine = "DOCKER_HOST=tcp://127.0.0.1:1"

// child prepares a run of one test of this package in a process of its own, which finds its server anew.
func child(t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), "LIFEBOAT_TEST_S3_ENDPOINT=", "LIFEBOAT_TEST_S3_IMAGE="+os.Getenv("LIFEBOAT_TEST_S3_IMAGE"))
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// engine skips a test where there are no containers.
func engine(t *testing.T) {
	t.Helper()
	if err := exec.Command("docker", "info").Run(); err != nil {
		t.Skipf("NOT CHECKED: the server in a container, because no Docker engine answers (docker info: %v)", err)
	}
}

// container skips a test where the server cannot be had in a container.
func container(t *testing.T) {
	t.Helper()
	engine(t)
	if os.Getenv("LIFEBOAT_TEST_S3_IMAGE") == "" {
		if out, err := exec.Command("docker", "pull", "--quiet", defaultImage(t)).CombinedOutput(); err != nil {
			t.Skipf("NOT CHECKED: the server in a container, because its image cannot be pulled (%s)", strings.TrimSpace(string(out)))
		}
	}
}

func defaultImage(t *testing.T) string {
	return find(t, "../../docker-compose.test.yml", `IMAGE:-(\S+)}`)
}

// find returns the first group of a pattern in a file.
func find(t *testing.T, path, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s does not match %s", path, pattern)
	}
	return string(m[1])
}

// Every place that a server may come from gives one that keeps objects.
func TestSources(t *testing.T) {
	s := miniotest.Start(t)
	tests := []struct {
		name, origin string
		need         func(*testing.T)
		env          []string
	}{
		{"environment", "named by LIFEBOAT_TEST_S3_ENDPOINT", nil, append(s.Env(), "LIFEBOAT_TEST_S3_ENDPOINT="+s.Endpoint)},
		{"container", "container of docker-compose.test.yml", container, nil},
		{"module", "server module v0.0.0-", nil, []string{noEngine, "LIFEBOAT_TEST_S3_IMAGE="}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.need != nil {
				tt.need(t)
			}
			out, err := child(t, "TestBucket", tt.env...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.origin) {
				t.Errorf("%v; want a server %q in:\n%s", err, tt.origin, out)
			}
		})
	}
}

// Without a server the test fails, and says what to do or shows what the server said.
func TestFailures(t *testing.T) {
	miniotest.Start(t)
	tests := []struct {
		name, want string
		need       func(*testing.T)
		env        []string
	}{
		{"no keys", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY too", nil, []string{"LIFEBOAT_TEST_S3_ENDPOINT=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID="}},
		{"no image", "LIFEBOAT_TEST_S3_IMAGE lifeboat.invalid/none:1: its container cannot be made", engine, []string{"LIFEBOAT_TEST_S3_IMAGE=lifeboat.invalid/none:1"}},
		{"no start", "boom: cannot start", scripts, []string{noEngine, "LIFEBOAT_TEST_S3_IMAGE=", "XDG_CACHE_HOME=" + brokenServer(t)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.need != nil {
				tt.need(t)
			}
			out, err := child(t, "TestBucket", tt.env...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v; want a failure with %q in:\n%s", err, tt.want, out)
			}
		})
	}
}

// brokenServer returns a cache directory whose server fails to start.
func brokenServer(t *testing.T) string {
	t.Helper()
	version := find(t, "../minioserver/go.mod", `github\.com/minio/minio (v\S+)`)
	cache := t.TempDir()
	dir := filepath.Join(cache, "lifeboat-test")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "minio-"+version), []byte("#!/bin/sh\necho boom: cannot start\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return cache
}

func scripts(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("NOT CHECKED: a server that does not start; its place in the cache is set by XDG_CACHE_HOME, which only Linux has")
	}
}

// TestHold is no test: it is the process that TestKill kills.
func TestHold(t *testing.T) {
	if os.Getenv("LIFEBOAT_TEST_HOLD") == "" {
		return
	}
	s := miniotest.Start(t)
	fmt.Printf("HOLD %s %s\n", s.Endpoint, s.Origin)
	io.Copy(io.Discard, os.Stdin)
}

// A test process that is killed takes its server with it, and the next one removes what was left on disk.
func TestKill(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT CHECKED: that the server ends with a killed test; only Linux can promise it")
	}
	miniotest.Start(t)
	tests := []struct {
		name string
		need func(*testing.T)
		env  []string
	}{
		{"container", container, nil},
		{"module", nil, []string{noEngine, "LIFEBOAT_TEST_S3_IMAGE="}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.need != nil {
				tt.need(t)
			}
			dir := t.TempDir()
			env := append(tt.env, "TMPDIR="+dir)
			endpoint, origin := killed(t, child(t, "TestHold", append(env, "LIFEBOAT_TEST_HOLD=1")...))
			if _, project, ok := strings.Cut(origin, "project "); ok {
				t.Cleanup(func() { removeContainers(t, project) })
			}
			gone(t, endpoint)
			if out, err := child(t, "TestBucket", env...).CombinedOutput(); err != nil {
				t.Errorf("the next run: %v\n%s", err, out)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left on disk: %v, %v", left, err)
			}
		})
	}
}

// killed starts a process that holds a server, and kills it when the server answers.
func killed(t *testing.T, cmd *exec.Cmd) (endpoint, origin string) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "HOLD "); ok {
			endpoint, origin, _ = strings.Cut(rest, " ")
			if resp, err := http.Get(endpoint + "/minio/health/live"); err != nil {
				t.Fatalf("the server does not answer while it is held: %v", err)
			} else {
				resp.Body.Close()
			}
			return endpoint, origin
		}
	}
	t.Fatal("the process ended without a server")
	return "", ""
}

// gone waits until nobody answers at endpoint.
func gone(t *testing.T, endpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		resp, err := client.Get(endpoint + "/minio/health/live")
		if err != nil {
			return
		}
		resp.Body.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the server at %s still answers", endpoint)
}

func removeContainers(t *testing.T, project string) {
	t.Helper()
	ids, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+project).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(string(ids)) {
		if out, err := exec.Command("docker", "rm", "--force", id).CombinedOutput(); err != nil {
			t.Errorf("docker rm %s: %s", id, out)
		}
	}
}
