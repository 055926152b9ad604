package remote_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lifeboat/remote"
)

// calls are all the ways to ask a store for something.
func calls(t *testing.T, s remote.Store) map[string]func() error {
	return map[string]func() error{
		"put":    func() error { return s.Put(t.Context(), "key", body([]byte("x")), remote.PutOptions{}) },
		"put2":   func() error { return s.Put(t.Context(), "key", body([]byte("x")), remote.PutOptions{IfAbsent: true}) },
		"open":   func() error { _, err := s.Open(t.Context(), "key", 0, -1); return err },
		"range":  func() error { _, err := s.Open(t.Context(), "key", 1, 1); return err },
		"empty":  func() error { _, err := s.Open(t.Context(), "key", 0, 0); return err },
		"stat":   func() error { _, err := s.Stat(t.Context(), "key"); return err },
		"delete": func() error { return s.Delete(t.Context(), "key") },
		"list": func() (err error) {
			for _, err = range s.List(t.Context(), "") {
			}
			return err
		},
	}
}

// wantUnavailable wants every call to fail as unavailable, not as absent, with a text that says what
// to do and no secret.
func wantUnavailable(t *testing.T, s remote.Store, hint string) {
	t.Helper()
	for name, call := range calls(t, s) {
		err := call()
		if !errors.Is(err, remote.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v; want ErrUnavailable alone", name, err)
			continue
		}
		if !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), "s3://bucket/app") {
			t.Errorf("%s: %v; want the object and %q", name, err, hint)
		}
		if strings.ContainsAny(err.Error(), "\n\u202e") || len(err.Error()) > 1000 {
			t.Errorf("%s: %q is no line", name, err)
		}
	}
	if strings.Contains(s.String(), fakeSecret) {
		t.Errorf("String = %q has the secret", s)
	}
}

// Refusals of a server, each by one request where repeating cannot mend it.
func TestRefusals(t *testing.T) {
	page := func(status int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status); io.WriteString(w, text) }
	}
	s3 := func(status int, code, message string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { answer(w, status, code, message) }
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		hint   string
	}{
		{"bucket", s3(404, "NoSuchBucket", "The specified bucket does not exist"), "there is no bucket"},
		{"denied", s3(403, "AccessDenied", "Access Denied."), "allow these credentials s3:"},
		{"denied, no body", page(403, ""), "allow these credentials s3:"},
		{"key", s3(403, "InvalidAccessKeyId", "The key you provided does not exist"), "AWS_ACCESS_KEY_ID"},
		{"secret", s3(403, "SignatureDoesNotMatch", "The signature does not match"), "AWS_SECRET_ACCESS_KEY"},
		{"expired", s3(400, "ExpiredToken", "The provided token has expired."), "renew them"},
		{"clock", s3(403, "RequestTimeTooSkewed", "The difference is too large."), "set this machine's clock"},
		{"region", func(w http.ResponseWriter) {
			w.Header().Set("x-amz-bucket-region", "eu-west-9")
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(301)
		}, "eu-west-9"},
		{"region in XML", s3(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-9'"), "eu-west-9"},
		{"no S3: 404", page(404, "<html><h1>404 Not Found</h1></html>"), "check the endpoint"},
		{"no S3: 404, nothing", page(404, ""), "check the endpoint"},
		{"no S3: 400", page(400, "Bad Request"), "check the endpoint"},
		{"https", page(400, "Client sent an HTTP request to an HTTPS server.\n"), "https://"},
		{"quota", s3(507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."), "minimum free drive"},
		{"hostile text", s3(400, "Strange", "\u202e\n\n"+strings.Repeat("x", 100_000)), "Strange"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, false)
			f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
				io.Copy(io.Discard, r.Body)
				if r.Method == http.MethodHead { // as servers do: no body, so no code
					rec := httptest.NewRecorder()
					c.answer(rec)
					w.WriteHeader(rec.Code)
					return true
				}
				c.answer(w)
				return true
			}
			wantUnavailable(t, f.open(t, nil), c.hint)
			// put, open, range, delete and list by one, put2 by HEAD and PUT, empty and stat by HEAD and GET.
			if got := len(f.requests); got != 11 {
				t.Errorf("%d requests, want 11: %s", got, f.methods())
			}
		})
	}
}

// A server that is not well is asked again for a while.
func TestRefusalsThatPass(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		answer(w, 503, "SlowDown", "Please reduce your request rate.")
		return true
	}
	s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: 900 * time.Millisecond}, nil)
	_, err := s.Stat(t.Context(), "key")
	if !errors.Is(err, remote.ErrUnavailable) || !strings.Contains(err.Error(), "attempts") {
		t.Errorf("Stat = %v, want ErrUnavailable after some attempts", err)
	}
	if len(f.requests) < 3 {
		t.Errorf("%d requests, want several", len(f.requests))
	}
	f.methods()
	s = open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: -1}, nil)
	if _, err := s.Stat(t.Context(), "key"); !errors.Is(err, remote.ErrUnavailable) || len(f.requests) != 1 {
		t.Errorf("Stat without retries = %v after %d requests, want one", err, len(f.requests))
	}
}

// What is mistyped shows at once; after the server has been heard of, the same failure is waited out.
func TestNoServer(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	plain, tls := newFake(t, false), newFake(t, true)
	for name, c := range map[string]struct{ endpoint, hint string }{
		"refused":       {closed.URL, "is the server running"},
		"no such host":  {"https://no-such-host.invalid", "check "}, // its name, or DNS
		"plain as TLS":  {"https://" + strings.TrimPrefix(plain.URL, "http://"), "http://"},
		"TLS as plain":  {"http://" + strings.TrimPrefix(tls.URL, "https://"), "https://"},
		"unknown CA":    {tls.URL, "AWS_CA_BUNDLE"},
		"not a server":  {"http://" + listenAndHangUp(t), "https://"},
		"wrong CA file": {tls.URL, "AWS_CA_BUNDLE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{}
			if name == "wrong CA file" {
				env["AWS_CA_BUNDLE"] = rootsOf(t, otherTLS(t))
			}
			s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: c.endpoint, RetryFor: time.Hour}, env) // which nobody waits
			wantUnavailable(t, s, c.hint)
			_, err := s.Stat(t.Context(), "key")
			for _, final := range []string{"refused", "there is no host", "plain http", "certificate"} {
				if strings.Contains(err.Error(), final) && strings.Contains(err.Error(), "attempts") {
					t.Errorf("Stat: %v; want it at once", err)
				}
			}
		})
	}
	env := map[string]string{"AWS_CA_BUNDLE": rootsOf(t, tls.Server)}
	if err := tls.open(t, env).Put(t.Context(), "key", body(nil), remote.PutOptions{}); err != nil {
		t.Errorf("with the right CA: %v", err)
	}
}

// otherTLS is a server whose certificate is not that of httptest.
func otherTLS(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(nil)
	s.TLS = otherCertificate(t)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// listenAndHangUp accepts connections and closes them.
func listenAndHangUp(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// A server that was there and restarts is waited for.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	address := f.Listener.Addr().String()
	s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL}, nil)
	if err := s.Put(t.Context(), "key", body([]byte("x")), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	again := make(chan error, 1)
	timer := time.AfterFunc(700*time.Millisecond, func() { // not timed: any moment will do
		l, err := net.Listen("tcp", address)
		if err == nil {
			g := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
			g.Start()
			t.Cleanup(g.Close)
		}
		again <- err
	})
	defer timer.Stop()
	_, err := s.Stat(t.Context(), "key")
	if e := <-again; e != nil {
		t.Fatalf("the port is taken: %v", e)
	}
	if err != nil {
		t.Errorf("Stat = %v, want it to wait", err)
	}
}

// A redirection is not followed: the request is signed, and could carry a session token elsewhere.
func TestRedirect(t *testing.T) {
	elsewhere := newFake(t, false)
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
			return true
		}
		wantUnavailable(t, f.open(t, map[string]string{"AWS_SESSION_TOKEN": "token-of-the-session"}), "check the region and the endpoint")
	}
	if got := elsewhere.methods(); got != "" {
		t.Errorf("the other server was asked: %s", got)
	}
}

// No error shows a secret, wherever it comes from.
func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	const token = "FwoGZXIvYXdzEXAMPLETOKEN"
	f := newFake(t, false)
	f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
		answer(w, []int{400, 401, 403, 404, 500}[n%5], "Code", "no")
		return true
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for endpoint, rounds := range map[string]int{f.URL: 5, closed.URL: 1, "https://" + f.Listener.Addr().String(): 1} {
		s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: endpoint, RetryFor: -1}, map[string]string{"AWS_SESSION_TOKEN": token})
		for range rounds {
			for name, call := range calls(t, s) {
				if err := call(); err == nil || strings.Contains(err.Error(), fakeSecret) || strings.Contains(err.Error(), token) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	for _, r := range f.requests {
		var b bytes.Buffer
		r.Header.Write(&b)
		if strings.Contains(b.String(), fakeSecret) || strings.Contains(r.URL.String(), token) {
			t.Fatalf("a request has the secret: %s %s", r.URL, b.String())
		}
	}
}

// The store's clock is the server's.
func TestNow(t *testing.T) {
	there := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, status := range []int{200, 403, 404, 500} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Date", there.Format(http.TimeFormat))
			w.WriteHeader(status)
			return true
		}
		s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: -1}, nil)
		now, err := s.Now(t.Context())
		if err != nil || now.Before(there) || now.After(there.Add(time.Hour)) {
			t.Errorf("after %d: Now = %v, %v; want %v and a little", status, now, err, there)
		}
		asked := f.methods()
		if _, err := s.Now(t.Context()); err != nil || asked == "" || f.methods() != "" {
			t.Errorf("after %d: Now asks again, or has not asked: %q, %v", status, asked, err)
		}
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: closed.URL}, nil)
	if now, err := s.Now(t.Context()); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Now without a server = %v, %v; want ErrUnavailable", now, err)
	}
}
