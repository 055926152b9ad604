package miniotest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"lifeboat/internal/durable"
)

// Program returns the path of the program that integration/minioserver pins, and builds it if it is not yet
// in the user's cache directory.
func Program(ctx context.Context) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	cache, unlock, err := cacheDirectory(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	program, _, err := build(ctx, cache, root)
	return program, err
}

// fromModule starts that program.
func fromModule(ctx context.Context, root string) (*Server, func(), error) {
	cache, unlock, err := cacheDirectory(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	program, version, err := build(ctx, cache, root)
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

// cacheDirectory returns the directory that keeps the server, locked: test processes run in parallel, and one
// builds while the others wait for it.
func cacheDirectory(ctx context.Context) (dir string, unlock func(), err error) {
	dir, err = os.UserCacheDir()
	if err != nil {
		return "", nil, fmt.Errorf("find a place to keep the server: %w", err)
	}
	dir = filepath.Join(dir, "lifeboat-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", nil, fmt.Errorf("wait for %s: %w", lock.Path(), err)
	}
	return dir, func() { lock.Close() }, nil
}

// The line of go.mod that pins the server.
var pin = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/minio/minio (v\S+)`)

// build returns the path of the server's program, whose name holds its version.
func build(ctx context.Context, cache, root string) (program, version string, err error) {
	module := filepath.Join(root, "integration", "minioserver")
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
