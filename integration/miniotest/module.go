package miniotest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"lifeboat/internal/durable"
)

// fromModule starts the server that integration/minioserver pins, and builds it first if no test on this
// machine did so before.
func fromModule(ctx context.Context, root string) (*Server, func(), error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, nil, fmt.Errorf("find a place to keep the server: %w", err)
	}
	cache = filepath.Join(cache, "lifeboat-test")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, nil, err
	}
	// Test processes run in parallel: one builds, the others wait for it.
	lock := flock.New(filepath.Join(cache, "lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, nil, fmt.Errorf("wait for %s: %w", lock.Path(), err)
	}
	defer lock.Close()

	program, version, err := build(ctx, cache, filepath.Join(root, "integration", "minioserver"))
	if err != nil {
		return nil, nil, err
	}
	data, discard, err := dataDirectory()
	if err != nil {
		return nil, nil, err
	}
	secret := uuid.NewString()
	p, endpoint, err := serve(ctx, program, data, secret)
	if err != nil {
		discard()
		return nil, nil, fmt.Errorf("%s: %w", program, err)
	}
	stop := func() {
		p.kill()
		discard()
	}
	s := &Server{Endpoint: endpoint, AccessKey: "lifeboat-test", SecretKey: secret, Region: defaultRegion, Origin: "server module " + version}
	return s, stop, nil
}

// The line of go.mod that pins the server.
var pin = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/minio/minio (v\S+)`)

// build returns the path of the server's program, whose name holds the version that module pins.
func build(ctx context.Context, cache, module string) (program, version string, err error) {
	text, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", "", err
	}
	m := pin.FindSubmatch(text)
	if m == nil {
		return "", "", fmt.Errorf("%s does not name the version of github.com/minio/minio", filepath.Join(module, "go.mod"))
	}
	version = string(m[1])
	program = filepath.Join(cache, "minio-"+version)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err == nil {
		return program, version, nil
	}
	say("building the MinIO server %s once, into %s; that takes about three minutes", version, cache)
	tmp := filepath.Join(cache, durable.TempPrefix+filepath.Base(program))
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", tmp, "github.com/minio/minio")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build the MinIO server in %s: %w\n%s", module, err, out)
	}
	return program, version, durable.Rename(tmp, program)
}

// serve starts the program on a free port of the loopback interface.
func serve(ctx context.Context, program, data, secret string) (*process, string, error) {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MINIO_") {
			env = append(env, e)
		}
	}
	env = append(env, "HOME="+data, "MINIO_ROOT_USER=lifeboat-test", "MINIO_ROOT_PASSWORD="+secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	// Between our looking for a free port and the server's taking it, another program can.
	var failures []error
	for range 3 {
		addr, err := freeAddress()
		if err != nil {
			return nil, "", err
		}
		cmd := exec.Command(program, "server", "--address", addr, filepath.Join(data, "objects"))
		cmd.Env, cmd.Dir = env, data
		p, err := startProcess(cmd)
		if err != nil {
			return nil, "", err
		}
		err = p.healthy(ctx, "http://"+addr, time.Minute)
		if err == nil {
			return p, "http://" + addr, nil
		}
		p.kill()
		failures = append(failures, err)
	}
	return nil, "", errors.Join(failures...)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
