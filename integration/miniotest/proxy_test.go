package miniotest_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lifeboat/integration/miniotest"
)

// once returns a client of the proxy that does not repeat requests.
func once(t *testing.T, s *miniotest.Server) *minio.Core {
	t.Helper()
	c, err := minio.NewCore(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: s.Region, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func putOnce(t *testing.T, c *minio.Core, bucket, key string, data []byte) error {
	t.Helper()
	_, err := c.PutObject(t.Context(), bucket, key, bytes.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{DisableContentSha256: true})
	return err
}

func TestProxyRecords(t *testing.T) {
	s := miniotest.Start(t)
	bucket := s.Bucket(t)
	p := s.Proxy(t)
	data := bytes.Repeat([]byte("x"), 100_000)
	if err := put(t, p.Server, bucket, "a key", data); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, p.Server, bucket, "a key"); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("get through the proxy: %d bytes, %v", len(got), err)
	}
	requests := p.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d requests recorded, want 2: %v", len(requests), requests)
	}
	r := requests[0]
	if want := "PUT /" + bucket + "/a%20key"; r.String() != want || r.Status != 200 || r.Header.Get("X-Amz-Content-Sha256") == "" {
		t.Errorf("request 0 = %v, status %d, header %v; want %s", r, r.Status, r.Header, want)
	}
	if r.Sent < 100_000 || r.Sent > 110_000 {
		t.Errorf("request 0 sent %d bytes, want 100000 and the framing", r.Sent)
	}
	if r := requests[1]; r.Method != "GET" || r.Received != 100_000 {
		t.Errorf("request 1 = %v, received %d; want GET, 100000", r, r.Received)
	}
	p.Reset()
	if n := len(p.Requests()); n != 0 {
		t.Errorf("%d requests after Reset", n)
	}
}

// A request that fails before its effect leaves nothing in the bucket; one that fails after it, all.
func TestProxyFails(t *testing.T) {
	s := miniotest.Start(t)
	bucket := s.Bucket(t)
	p := s.Proxy(t)
	client := once(t, p.Server)
	tests := []struct {
		key    string
		act    miniotest.Action
		effect bool
		code   string // of the error, as minio-go reads it; "" when there was no answer
	}{
		{"cut-before", miniotest.Action{Fail: miniotest.Before}, false, ""},
		{"cut-after", miniotest.Action{Fail: miniotest.After}, true, ""},
		{"503-before", miniotest.Action{Fail: miniotest.Before, Status: 503, Code: "SlowDown"}, false, "SlowDown"},
		{"503-after", miniotest.Action{Fail: miniotest.After, Status: 503, Code: "SlowDown"}, true, "SlowDown"},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			p.Reset()
			p.Inject(func(n int, r *http.Request) miniotest.Action {
				if n == 0 {
					return tt.act
				}
				return miniotest.Action{}
			})
			err := putOnce(t, client, bucket, tt.key, bytes.Repeat([]byte("y"), 1<<20))
			if err == nil {
				t.Fatal("PutObject succeeded")
			}
			if tt.code != "" && minio.ToErrorResponse(err).Code != tt.code {
				t.Errorf("PutObject = %v, want code %s", err, tt.code)
			}
			_, err = client.StatObject(t.Context(), bucket, tt.key, minio.StatObjectOptions{})
			if there := err == nil; there != tt.effect {
				t.Errorf("object is there: %v, want %v (%v)", there, tt.effect, err)
			}
			if r := p.Requests(); r[0].Status != tt.act.Status {
				t.Errorf("recorded status %d, want %d", r[0].Status, tt.act.Status)
			}
		})
	}
}

func TestProxyCutsTheAnswer(t *testing.T) {
	s := miniotest.Start(t)
	bucket := s.Bucket(t)
	if err := put(t, s, bucket, "k", make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	p := s.Proxy(t)
	p.Inject(func(int, *http.Request) miniotest.Action { return miniotest.Action{Cut: 1000, Rate: 1 << 30} })
	resp, err := http.Get(presigned(t, p.Server, bucket, "k"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got bytes.Buffer
	n, err := got.ReadFrom(resp.Body)
	if n != 1000 || err == nil {
		t.Errorf("read %d bytes, %v; want 1000 and an error", n, err)
	}
	if r := p.Requests(); len(r) != 1 || r[0].Received != 1000 {
		t.Errorf("recorded %v", r)
	}
}

// A request that the proxy holds back ends with its client.
func TestProxyDelays(t *testing.T) {
	s := miniotest.Start(t)
	bucket := s.Bucket(t)
	p := s.Proxy(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.Inject(func(int, *http.Request) miniotest.Action {
		cancel()
		return miniotest.Action{Delay: time.Hour}
	})
	if _, err := once(t, p.Server).StatObject(ctx, bucket, "k", minio.StatObjectOptions{}); err == nil {
		t.Error("StatObject succeeded")
	}
	if r := p.Requests(); len(r) != 1 || r[0].Status != 0 {
		t.Errorf("recorded %v, want one request without an answer", r)
	}
}

func presigned(t *testing.T, s *miniotest.Server, bucket, key string) string {
	t.Helper()
	u, err := s.Client(t).PresignedGetObject(t.Context(), bucket, key, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}
