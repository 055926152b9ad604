package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// program asks a program for credentials, which the system's shell starts.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
func program(command string) keySource {
	return func(ctx context.Context) (credentials.Value, error) {
		shell := []string{"sh", "-c"}
		if runtime.GOOS == "windows" {
			shell = []string{"cmd.exe", "/C"}
		}
		cmd := exec.CommandContext(ctx, shell[0], append(shell[1:], command)...)
		cmd.WaitDelay = time.Second // a child of the shell may hold its output open
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			return credentials.Value{}, fmt.Errorf("credential_process: %w: %s", err, clean(errs.String()))
		}
		var answer struct {
			Version                                    int
			AccessKeyId, SecretAccessKey, SessionToken string
			Expiration                                 time.Time
		}
		// Nothing of the answer is shown, not by the error either: it is secret.
		if json.Unmarshal(out, &answer) != nil || answer.Version != 1 {
			return credentials.Value{}, errors.New("credential_process: its output is not the JSON of version 1 that is expected")
		}
		return credentials.Value{AccessKeyID: answer.AccessKeyId, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.SessionToken,
			Expiration: answer.Expiration, SignerType: credentials.SignatureV4}, nil
	}
}
