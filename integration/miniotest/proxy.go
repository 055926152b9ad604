package miniotest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy stands in front of a server. It records what passes and, on demand, makes requests fail or go
// slowly. The embedded Server is the server as seen through the proxy.
type Proxy struct {
	*Server
	forward http.Handler
	address string // host and port

	frontMu sync.Mutex
	front   *httptest.Server // nil while the proxy is down

	mu       sync.Mutex
	idle     *sync.Cond // signalled when active falls to 0
	active   int
	requests []*Request
	inject   func(n int, r *http.Request) Action
}

// A Request is one that the proxy saw.
type Request struct {
	Method   string
	Path     string      // escaped: /bucket/key
	Query    url.Values  // empty, not nil, when there is none
	Header   http.Header // as the client sent it
	Sent     int64       // bytes of the body that were read from the client
	Status   int         // of the answer; 0 when the connection was cut before it
	Received int64       // bytes of the answer's body that were sent
}

// String returns method, path and query, for messages.
func (r Request) String() string {
	if len(r.Query) == 0 {
		return r.Method + " " + r.Path
	}
	return r.Method + " " + r.Path + "?" + r.Query.Encode()
}

// An Action says what becomes of a request. The zero value passes it on.
type Action struct {
	Fail   Fail
	Status int           // with Fail: the answer's status; 0 cuts the connection
	Code   string        // with Status: the S3 error code
	Delay  time.Duration // before anything else happens; nothing of the body is read meanwhile
	Rate   int64         // bytes per second of either body; 0 does not slow it down
	Cut    int64         // cut the connection after so many bytes of the answer's body; 0 does not
	CutPut int64         // cut the connections, to either side, after so many bytes of the request's body; 0 does not
}

// Fail says whether and when a request fails.
type Fail int

const (
	Never  Fail = iota
	Before      // the server does not see the request
	After       // the server has done what was asked, and the answer is lost
)

// Proxy starts a proxy on the loopback interface. It stops when the test ends.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatalf("proxy to %s: %v", s.Endpoint, err)
	}
	p := &Proxy{}
	p.idle = sync.NewCond(&p.mu)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	p.forward = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ModifyResponse: afterEffect,
		ErrorHandler:   fail,
	}
	p.front = httptest.NewServer(p)
	p.address = p.front.Listener.Addr().String()
	t.Cleanup(func() {
		p.Down()
		transport.CloseIdleConnections()
	})
	through := *s
	through.Endpoint = p.front.URL
	through.Origin = "proxy to " + s.Endpoint + ", " + s.Origin
	p.Server = &through
	return p
}

// Down cuts every connection and refuses new ones, as a server does that is not running, until Up.
func (p *Proxy) Down() {
	p.frontMu.Lock()
	defer p.frontMu.Unlock()
	if p.front == nil {
		return
	}
	p.front.Listener.Close()
	p.front.CloseClientConnections()
	p.front.Close()
	p.front = nil
}

// Up ends what Down began, at the same address.
func (p *Proxy) Up() error {
	p.frontMu.Lock()
	defer p.frontMu.Unlock()
	if p.front != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return fmt.Errorf("the proxy cannot come back: %w", err)
	}
	p.front = &httptest.Server{Listener: l, Config: &http.Server{Handler: p}}
	p.front.Start()
	return nil
}

// Inject makes f decide over every request from now on; nil passes all. f gets the number of the request,
// counted from 0 since the proxy started or was Reset, and may be called by several goroutines at once.
func (p *Proxy) Inject(f func(n int, r *http.Request) Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inject = f
}

// Requests returns what was asked so far, in order of arrival, when no request is under way any more.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.active > 0 {
		p.idle.Wait()
	}
	out := make([]Request, len(p.requests))
	for i, r := range p.requests {
		out[i] = *r
	}
	return out
}

// Reset forgets the requests, when none is under way any more.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.active > 0 {
		p.idle.Wait()
	}
	p.requests = nil
}

// ServeHTTP passes one request on, or not.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: r.Header.Clone()}
	p.mu.Lock()
	n, inject := len(p.requests), p.inject
	p.requests = append(p.requests, rec)
	p.active++
	p.mu.Unlock()
	var act Action
	if inject != nil {
		act = inject(n, r)
	}
	body := &meter{ReadCloser: r.Body, rate: act.Rate, cut: act.CutPut}
	answer := &recorder{ResponseWriter: w, act: act}
	defer func() { // also when the connection is cut, which is a panic
		p.mu.Lock()
		defer p.mu.Unlock()
		rec.Sent, rec.Status, rec.Received = body.read(), answer.status, answer.sent
		if p.active--; p.active == 0 {
			p.idle.Broadcast()
		}
	}()
	select {
	case <-time.After(act.Delay):
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	r.Body = body
	r = r.WithContext(withAction(r.Context(), act))
	if act.Fail == Before {
		io.Copy(io.Discard, body) // an early answer could be lost with the bytes that nobody read
		fail(answer, r, errInjected)
		return
	}
	p.forward.ServeHTTP(answer, r)
}

var errInjected = errors.New("failure injected by a test")

// afterEffect loses the server's answer where that was asked for.
func afterEffect(resp *http.Response) error {
	if actionOf(resp.Request.Context()).Fail == After {
		return errInjected
	}
	return nil
}

// fail answers a request that failed. It does not return when the connection is to be cut.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	act := actionOf(r.Context())
	if act.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(act.Status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", act.Code, err)
	}
}
