package miniotest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A Front is a handler of a test's own before a server: it answers itself, or passes a request on, changed or not, and may change the
// answer. The embedded Server is the server as seen through it.
type Front struct {
	*Server
	Certificate []byte // DER, of a front that speaks TLS

	mu       sync.Mutex
	requests []*http.Request
}

// A Vendor is how a front behaves. Either may be nil. Serve returns true when it has answered; Answer changes the server's answer.
type Vendor struct {
	Serve  func(w http.ResponseWriter, r *http.Request) bool
	Answer func(resp *http.Response) error
	TLS    bool
}

// Front starts one on the loopback interface. It stops when the test ends.
func (s *Server) Front(t testing.TB, v Vendor) *Front {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	f := &Front{}
	forward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ModifyResponse: v.Answer,
		FlushInterval:  -1, // what a body that breaks off has brought arrives
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Clone(r.Context()))
		f.mu.Unlock()
		if v.Serve == nil || !v.Serve(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // failed handshakes are what is tested
	if v.TLS {
		server.StartTLS()
		f.Certificate = server.Certificate().Raw
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	through := *s
	through.Endpoint = server.URL
	through.Origin = "front of " + s.Endpoint + ", " + s.Origin
	f.Server = &through
	return f
}

// Taken returns the requests that came since the last call, without bodies.
func (f *Front) Taken() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.requests
	f.requests = nil
	return out
}
