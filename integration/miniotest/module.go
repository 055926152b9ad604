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
func Program(ctx context.Context) (string, error) { return program(ctx, serverTool) }

// ClientProgram does the same for MinIO's client, mc, which bench/mc pins.
func ClientProgram(ctx context.Context) (string, error) { return program(ctx, clientTool) }

func program(ctx context.Context, t tool) (string, error) {
	cache, unlock, err := cacheDirectory(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	program, _, err := t.build(ctx, cache)
	return program, err
}

// A Dedicated is a server of its own process, which nobody else uses.
type Dedicated struct {
	*Server
	PID  int
	Stop func() // ends it and removes what it stored
}

// StartDedicated starts the program that integration/minioserver pins. The caller stops it.
func StartDedicated(ctx context.Context) (*Dedicated, error) {
	cache, unlock, err := cacheDirectory(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	program, version, err := serverTool.build(ctx, cache)
	if err != nil {
		return nil, err
	}
	data, discard, err := dataDirectory()
	if err != nil {
		return nil, err
	}
	secret := uuid.NewString()
	p, endpoint, err := serve(ctx, program, data, secret)
	if err != nil {
		discard()
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return &Dedicated{
		Server: &Server{Endpoint: endpoint, AccessKey: "lifeboat-test", SecretKey: secret, Region: defaultRegion, Origin: "server module " + version},
		PID:    p.cmd.Process.Pid,
		Stop: func() {
			p.kill()
			discard()
		},
	}, nil
}

// fromModule starts that program.
func fromModule(ctx context.Context) (*Server, func(), error) {
	d, err := StartDedicated(ctx)
	if err != nil {
		return nil, nil, err
	}
	return d.Server, d.Stop, nil
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

// A tool is a program that a module in this repository pins.
type tool struct{ name, pkg, module string }

var (
	serverTool = tool{"minio", "github.com/minio/minio", "integration/minioserver"}
	clientTool = tool{"mc", "github.com/minio/mc", "bench/mc"}
)

// version returns what go.mod pins.
func (t tool) version(module string) (string, error) {
	text, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(t.pkg) + ` (v\S+)`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s does not name the version of %s", filepath.Join(module, "go.mod"), t.pkg)
	}
	return string(m[1]), nil
}

// build returns the path of the tool's program, whose name holds its version.
func (t tool) build(ctx context.Context, cache string) (program, version string, err error) {
	root, err := repository()
	if err != nil {
		return "", "", err
	}
	module := filepath.Join(root, filepath.FromSlash(t.module))
	if version, err = t.version(module); err != nil {
		return "", "", err
	}
	program = filepath.Join(cache, t.name+"-"+version)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err == nil {
		return program, version, nil
	}
	say("building %s %s once, into %s; that takes some minutes", t.name, version, cache)
	tmp := filepath.Join(cache, durable.TempPrefix+filepath.Base(program))
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", tmp, t.pkg)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build %s in %s: %w\n%s", t.pkg, module, err, out)
	}
	return program, version, durable.Rename(tmp, program)
}
