package miniotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const defaultRegion = "us-east-1"

// fromEnvironment returns the server that somebody else runs.
func fromEnvironment(ctx context.Context) (*Server, error) {
	s := &Server{
		Endpoint:  strings.TrimSuffix(os.Getenv("LIFEBOAT_TEST_S3_ENDPOINT"), "/"),
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		Region:    os.Getenv("AWS_REGION"),
		Origin:    "named by LIFEBOAT_TEST_S3_ENDPOINT",
	}
	if s.AccessKey == "" || s.SecretKey == "" {
		return nil, errors.New("LIFEBOAT_TEST_S3_ENDPOINT is set: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY too")
	}
	if s.Region == "" {
		s.Region = defaultRegion
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return nil, fmt.Errorf("LIFEBOAT_TEST_S3_ENDPOINT %s: %w", s.Endpoint, err)
	}
	if _, err := client.ListBuckets(ctx); err != nil {
		return nil, fmt.Errorf("list the buckets at LIFEBOAT_TEST_S3_ENDPOINT %s: %w", s.Endpoint, err)
	}
	return s, nil
}

// repository returns the root of the working tree, which holds the server's module and the compose file.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "integration", "minioserver", "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no integration/minioserver above %s", dir)
		}
	}
}

// say reports on standard error what a person who waits wants to know.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "miniotest: "+format+"\n", args...)
}
