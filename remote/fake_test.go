package remote_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/remote"
)

// A fake is an S3 server of one bucket, "bucket", for what a real one cannot be made to do: to fail
// at a given place. What a real one does is checked in integration.
type fake struct {
	*httptest.Server

	checksums bool // HEAD returns the SHA-256

	mu       sync.Mutex
	objects  map[string][]byte
	requests []*http.Request // all that came, without bodies

	// intercept may answer a request in the server's place: it returns true when it has. It sees the
	// number of the request, from 1.
	intercept func(n int, w http.ResponseWriter, r *http.Request) bool
}

func newFake(t *testing.T, tls bool) *fake {
	f := &fake{objects: map[string][]byte{}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what is tested
	if tls {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(f.Close)
	return f
}

const (
	fakeID     = "AKIDEXAMPLE"
	fakeSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// open opens a store in the fake; env is added to credentials and changes them.
func (f *fake) open(t *testing.T, env map[string]string) remote.Store {
	t.Helper()
	return open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: 3 * time.Second}, env)
}

func open(t *testing.T, cfg remote.Config, env map[string]string) remote.Store {
	t.Helper()
	all := map[string]string{"AWS_ACCESS_KEY_ID": fakeID, "AWS_SECRET_ACCESS_KEY": fakeSecret}
	for k, v := range env {
		all[k] = v
	}
	cfg.Getenv = func(name string) string { return all[name] }
	s, err := remote.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Clone(r.Context()))
	n := len(f.requests)
	f.mu.Unlock()
	if f.intercept != nil && f.intercept(n, w, r) {
		return
	}
	f.serve(w, r)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, "/bucket/")
	if !ok {
		answer(w, 404, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	data, there := f.objects[key]
	switch {
	case r.URL.Query().Has("list-type"):
		f.list(w, r)
	case r.Method == http.MethodPut:
		sum, md := sha256.Sum256(body), md5.Sum(body)
		switch {
		case r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]):
			answer(w, 400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
		case r.Header.Get("Content-Md5") != "" && r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(md[:]):
			answer(w, 400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		case there && r.Header.Get("If-None-Match") == "*":
			answer(w, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		default:
			f.objects[key] = body
			w.Header().Set("ETag", etag(body))
		}
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(204)
	case !there:
		answer(w, 404, "NoSuchKey", "The specified key does not exist.")
	default:
		if f.checksums && r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
			sum := sha256.Sum256(data)
			w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
		}
		w.Header().Set("ETag", etag(data))
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(data))
	}
}

// list answers with pages of two.
func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after := max(q.Get("start-after"), q.Get("continuation-token"))
	var keys []string
	for key := range f.objects {
		if strings.HasPrefix(key, q.Get("prefix")) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>`)
	if len(keys) > 2 {
		keys = keys[:2]
		fmt.Fprintf(w, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", keys[1])
	}
	for _, key := range keys {
		fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>", key, len(f.objects[key]))
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

// methods returns what was asked, "PUT" and so on, since the last call.
func (f *fake) methods() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m []string
	for _, r := range f.requests {
		m = append(m, r.Method)
	}
	f.requests = nil
	return strings.Join(m, " ")
}

func etag(data []byte) string { return fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(data))) }

// answer answers as S3 does when something is wrong; a HEAD has no body.
func answer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func body(data []byte) remote.Body {
	return remote.Body{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// rootsOf writes the certificate of a TLS server to a file.
func rootsOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "roots.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
