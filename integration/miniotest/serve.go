package miniotest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// serve starts the program on a free port of the loopback interface.
func serve(ctx context.Context, program, data, secret string) (*process, string, error) {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MINIO_") {
			env = append(env, e)
		}
	}
	env = append(env, "HOME="+data, "MINIO_ROOT_USER=lifeboat-test", "MINIO_ROOT_PASSWORD="+secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_PROMETHEUS_AUTH_TYPE=public")
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
