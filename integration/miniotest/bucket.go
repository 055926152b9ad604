package miniotest

import (
	"context"
	"net/url"
	"testing"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bucket makes an empty bucket and returns its name. It is removed with all it holds when the test ends.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	client := s.Client(t)
	name := "lifeboat-" + uuid.NewString()
	if err := client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		t.Fatalf("make bucket %s at %s: %v", name, s.Endpoint, err)
	}
	t.Cleanup(func() {
		// The test's own context is cancelled by now.
		if err := removeBucket(context.Background(), client, name); err != nil {
			t.Errorf("remove bucket %s at %s: %v", name, s.Endpoint, err)
		}
	})
	return name
}

// Client returns a client of the server, for tests that look at a bucket past lifeboat, or damage it.
func (s *Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	client, err := s.client()
	if err != nil {
		t.Fatalf("connect to %s: %v", s.Endpoint, err)
	}
	return client
}

func (s *Server) client() (*minio.Client, error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	return minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Secure: u.Scheme == "https",
		Region: s.Region,
	})
}

// MakeBucket makes an empty bucket, for programs that are no tests.
func (s *Server) MakeBucket(ctx context.Context, name string) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	return client.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: s.Region})
}

// RemoveBucket removes a bucket and every version of every object in it.
func (s *Server) RemoveBucket(ctx context.Context, name string) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	return removeBucket(ctx, client, name)
}

// removeBucket removes a bucket and every version of every object in it.
func removeBucket(ctx context.Context, client *minio.Client, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // else a listing that is left early goes on for ever
	for o := range client.ListObjects(ctx, name, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return o.Err
		}
		if err := client.RemoveObject(ctx, name, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID, GovernanceBypass: true}); err != nil {
			return err
		}
	}
	return client.RemoveBucket(ctx, name)
}
