package remotetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lifeboat/remote"
)

// A Server is an S3 server and credentials that may make buckets and users' sessions there (STS
// AssumeRole), as the root credentials of a MinIO server may.
type Server struct {
	Endpoint        string // http://host:port
	AccessKeyID     string
	SecretAccessKey string
}

// S3 runs the suite on an S3 server, in a bucket that it makes and removes. It does so with temporary
// credentials that may do nothing but put, get and delete objects below one prefix and list that
// prefix, and it looks at every request: they are those kinds, below the prefix, and every object goes
// up in one PUT.
func S3(t *testing.T, server Server) {
	admin := client(t, server.Endpoint, credentials.NewStaticV4(server.AccessKeyID, server.SecretAccessKey, ""))
	bucket := "remotetest-" + strings.ToLower(rand.Text()[:16])
	if err := admin.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatalf("make bucket %s: %v", bucket, err)
	}
	t.Cleanup(func() { removeBucket(t, admin, bucket) })

	confined := server.confined(t, bucket, "some/app")
	log := &requestLog{bucket: bucket, prefix: "some/app/"}
	proxy := httptest.NewServer(log.proxy(t, server.Endpoint))
	t.Cleanup(proxy.Close)
	encrypted := httptest.NewTLSServer(log.proxy(t, server.Endpoint))
	t.Cleanup(encrypted.Close)
	confined.trust(t, encrypted)

	var n atomic.Int64
	empty := func(proxy *httptest.Server) func(*testing.T) remote.Store {
		return func(t *testing.T) remote.Store {
			return confined.open(t, remote.Config{
				URL: fmt.Sprintf("s3://%s/some/app/%d?endpoint=%s", bucket, n.Add(1), url.QueryEscape(proxy.URL)),
			})
		}
	}
	Test(t, empty(proxy))
	t.Run("TLS", func(t *testing.T) {
		for _, p := range parts() {
			switch p.name { // those in which a request that is signed and sent otherwise could matter
			case "Content", "IfAbsent", "FalseBody", "Keys", "Ranges":
				t.Run(p.name, func(t *testing.T) { p.run(t, empty(encrypted)(t)) })
			}
		}
	})
	t.Run("Requests", func(t *testing.T) { log.check(t) })
	t.Run("Confined", func(t *testing.T) { confined.check(t, server.Endpoint, bucket) })
}

func client(t *testing.T, endpoint string, creds *credentials.Credentials) *minio.Client {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: creds, Secure: u.Scheme == "https"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func removeBucket(t *testing.T, admin *minio.Client, bucket string) {
	ctx := context.WithoutCancel(t.Context()) // a test's context has ended when it cleans up
	objects := admin.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true})
	for e := range admin.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{}) {
		t.Errorf("remove %s: %v", e.ObjectName, e.Err)
	}
	if err := admin.RemoveBucket(ctx, bucket); err != nil {
		t.Errorf("remove bucket %s: %v", bucket, err)
	}
}

// A session is credentials that are confined to a prefix.
type session struct {
	credentials.Value
	roots string // file of certificates to trust
}

// trust has stores of this session trust the certificate of a test's server.
func (s *session) trust(t *testing.T, server *httptest.Server) {
	t.Helper()
	s.roots = filepath.Join(t.TempDir(), "roots.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(s.roots, block, 0o600); err != nil {
		t.Fatal(err)
	}
}

// confined asks the server for a session with a policy that grants what remote.Store needs, and no
// more.
func (s Server) confined(t *testing.T, bucket, prefix string) session {
	t.Helper()
	type statement struct {
		Effect, Action, Resource any
		Condition                any `json:",omitempty"`
	}
	arn := "arn:aws:s3:::" + bucket
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []statement{
			{Effect: "Allow", Action: []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"}, Resource: arn + "/" + prefix + "/*"},
			{Effect: "Allow", Action: "s3:ListBucket", Resource: arn,
				Condition: map[string]any{"StringLike": map[string]string{"s3:prefix": prefix + "/*"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	creds, err := credentials.NewSTSAssumeRole(s.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: s.AccessKeyID, SecretKey: s.SecretAccessKey, Policy: string(policy), DurationSeconds: 3600,
	})
	if err != nil {
		t.Fatalf("ask for a session: %v", err)
	}
	v, err := creds.GetWithContext(&credentials.CredContext{Client: http.DefaultClient, Endpoint: s.Endpoint})
	if err != nil {
		t.Fatalf("ask for a session: %v", err)
	}
	return session{Value: v}
}

// open opens a store with these credentials alone, whatever the environment has.
func (s session) open(t *testing.T, cfg remote.Config) remote.Store {
	t.Helper()
	env := map[string]string{
		"AWS_ACCESS_KEY_ID":     s.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": s.SecretAccessKey,
		"AWS_SESSION_TOKEN":     s.SessionToken,
		"AWS_CA_BUNDLE":         s.roots,
	}
	cfg.Getenv = func(name string) string { return env[name] }
	store, err := remote.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// check makes sure that the session is confined: else the suite has not shown that little suffices.
func (s session) check(t *testing.T, endpoint, bucket string) {
	outside := s.open(t, remote.Config{URL: "s3://" + bucket + "/some", Endpoint: endpoint})
	if err := outside.Put(t.Context(), "other/key", body(nil), remote.PutOptions{}); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Put outside the prefix = %v, want ErrUnavailable", err)
	}
	var err error
	for _, err = range outside.List(t.Context(), "") {
	}
	if !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("List outside the prefix = %v, want ErrUnavailable", err)
	}
	direct := client(t, endpoint, credentials.NewStaticV4(s.AccessKeyID, s.SecretAccessKey, s.SessionToken))
	if _, err := direct.BucketExists(t.Context(), bucket); minio.ToErrorResponse(err).Code != minio.AccessDenied {
		t.Errorf("asking for the bucket: %v, want %s", err, minio.AccessDenied)
	}
}

// A requestLog counts the requests that pass through a proxy, by what they are.
type requestLog struct {
	bucket, prefix string

	mu   sync.Mutex
	kind map[string]int
	bad  []string
}

func (l *requestLog) proxy(t *testing.T, endpoint string) http.Handler {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
			r.Out.URL.RawPath = r.In.URL.RawPath
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			panic(http.ErrAbortHandler) // a client that goes away is part of the suite
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.note(r)
		forward.ServeHTTP(w, r)
	})
}

// note classifies a request.
func (l *requestLog) note(r *http.Request) {
	q := r.URL.Query()
	kind := "?"
	switch {
	case strings.HasPrefix(r.URL.Path, "/"+l.bucket+"/"+l.prefix) && len(q) == 0:
		switch r.Method {
		case http.MethodPut, http.MethodGet, http.MethodHead, http.MethodDelete:
			kind = r.Method
		}
		if r.Method == http.MethodPut && (r.ContentLength < 0 || r.Header.Get("Content-Encoding") != "" || r.Header.Get("X-Amz-Checksum-Sha256") == "" && r.Header.Get("Content-Md5") == "") {
			kind = "PUT in chunks or without a checksum"
		}
	case strings.TrimSuffix(r.URL.Path, "/") == "/"+l.bucket && r.Method == http.MethodGet &&
		q.Get("list-type") == "2" && strings.HasPrefix(q.Get("prefix"), l.prefix):
		kind = "ListObjectsV2"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kind == nil {
		l.kind = map[string]int{}
	}
	l.kind[kind]++
	if len(kind) > len("ListObjectsV2") || kind == "?" {
		l.bad = append(l.bad, r.Method+" "+r.URL.String()+": "+kind)
	}
}

func (l *requestLog) check(t *testing.T) {
	t.Logf("requests: %v", l.kind)
	for _, kind := range []string{"PUT", "GET", "HEAD", "DELETE", "ListObjectsV2"} {
		if l.kind[kind] == 0 {
			t.Errorf("no %s was seen", kind)
		}
	}
	for _, r := range l.bad {
		t.Errorf("not allowed: %s", r)
	}
}
