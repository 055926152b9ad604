package remote

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// wire carries the requests of one store, and nothing else's. It ends those in which nothing moves, paces the bytes, and keeps the
// server's time.
type wire struct {
	base     http.RoundTripper
	stall    time.Duration
	up, down Limiter // nil: as fast as it goes

	mu   sync.Mutex
	date time.Time // the Date of an answer; zero when none has come
	at   time.Time // when it came, on this machine's monotonic clock
}

// newWire makes the transport. Its limits are on silence, not on the length of a transfer: a slow line
// is not an error.
func newWire(roots *x509.CertPool, cfg Config) *wire {
	return &wire{stall: cmp.Or(cfg.Stall, DefaultStall), up: cfg.Upload, down: cfg.Download, base: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   32,
		DisableCompression:    true, // bytes are to arrive as they are
	}}
}

// expectFrom is the size from which a PUT waits for the server's consent before it sends the body
// (RFC 9110, 10.1.1): a refusal costs nothing then, and is not lost in a connection that the server closes
// on a client that is still sending. The AWS SDKs do the same from this size on.
const expectFrom = 2 << 20

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && req.ContentLength >= expectFrom {
		req = req.Clone(req.Context())
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := w.watched(req)
	if err != nil {
		return nil, err
	}
	w.record(resp.Header)
	if req.URL.Query().Has("list-type") && resp.StatusCode == http.StatusOK {
		// An empty page of a login portal must not pass for an empty bucket.
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "" && (!strings.HasSuffix(kind, "xml") || strings.Contains(kind, "html")) {
			resp.Body.Close()
			return nil, fmt.Errorf("a listing of type %.60q: %w", kind, errNotS3)
		}
	}
	return resp, nil
}

// errNotS3 says that an answer cannot be that of an S3 server.
var errNotS3 = errors.New("this is not the answer of an S3 server")

// record notes the time of an answer. What is known already is kept while it agrees with the Date,
// which has no fractions of a second, so that the clock does not jump back. An answer out of a cache
// tells an old time.
func (w *wire) record(h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return
	}
	if now, ok := w.nowLocked(); ok && !now.Before(date) && now.Before(date.Add(time.Second)) {
		return
	}
	w.date, w.at = date, time.Now()
}

// now returns the server's time, if it is known.
func (w *wire) now() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nowLocked()
}

func (w *wire) nowLocked() (time.Time, bool) {
	if w.date.IsZero() {
		return time.Time{}, false
	}
	return w.date.Add(time.Since(w.at)), true
}

// answered reports whether a server was ever heard of: every one of S3 sends a Date. What a server of
// https says to plain http has none.
func (w *wire) answered() bool {
	_, ok := w.now()
	return ok
}
