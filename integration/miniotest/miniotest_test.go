package miniotest_test

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main{M: m}.Run()) }

func put(t *testing.T, s *miniotest.Server, bucket, key string, data []byte) error {
	t.Helper()
	_, err := s.Client(t).PutObject(t.Context(), bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{DisableMultipart: true})
	return err
}

func get(t *testing.T, s *miniotest.Server, bucket, key string) ([]byte, error) {
	t.Helper()
	o, err := s.Client(t).GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

// The server keeps what it is given, and a bucket is gone with its test.
func TestBucket(t *testing.T) {
	s := miniotest.Start(t)
	if !strings.HasPrefix(s.Endpoint, "http://127.0.0.1:") && os.Getenv("LIFEBOAT_TEST_S3_ENDPOINT") == "" {
		t.Errorf("server listens at %s, not on the loopback interface", s.Endpoint)
	}
	want := bytes.Repeat([]byte("lifeboat"), 300_000)
	var bucket string
	t.Run("use", func(t *testing.T) {
		bucket = s.Bucket(t)
		if other := s.Bucket(t); other == bucket {
			t.Errorf("two buckets of one name %s", bucket)
		}
		if err := put(t, s, bucket, "a/b", want); err != nil {
			t.Fatal(err)
		}
		if got, err := get(t, s, bucket, "a/b"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("get %d bytes, %v; want the %d that were put", len(got), err, len(want))
		}
	})
	if ok, err := s.Client(t).BucketExists(t.Context(), bucket); ok || err != nil {
		t.Errorf("after its test, BucketExists(%s) = %v, %v", bucket, ok, err)
	}
}

func TestStartIsShared(t *testing.T) {
	first := miniotest.Start(t)
	t.Run("inner", func(t *testing.T) { miniotest.Start(t) })
	if second := miniotest.Start(t); first != second {
		t.Errorf("two servers in one process: %s and %s", first.Endpoint, second.Endpoint)
	}
	if _, err := first.Client(t).ListBuckets(t.Context()); err != nil {
		t.Errorf("the server ended with an inner test: %v", err)
	}
}

func TestEnvHidesTheUsersOwnSettings(t *testing.T) {
	env := miniotest.Start(t).Env()
	for _, want := range []string{"AWS_PROFILE=", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true"} {
		if !slices.Contains(env, want) {
			t.Errorf("Env lacks %s", want)
		}
	}
}
