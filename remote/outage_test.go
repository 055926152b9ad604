package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run the whole store, minio-go and all, on a clock that jumps ahead when everybody waits (testing/synctest), so that an
// outage of a quarter of an hour takes no time. There is no network in such a bubble: a line stands for it.

// A line is a server and what leads to it. From down on it is not to be reached, until up.
type line struct {
	down, up time.Time
	fails    func() (*http.Response, error) // how; nil: connection refused
	attempts atomic.Int64

	mu       sync.Mutex
	asked    map[string]int // by method, answered or not
	answered map[string]int
}

var somebody = []byte("somebody's data")

func (l *line) RoundTrip(req *http.Request) (*http.Response, error) {
	l.attempts.Add(1)
	l.count(&l.asked, req.Method)
	if now := time.Now(); !now.Before(l.down) && now.Before(l.up) {
		if l.fails != nil {
			return l.fails()
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	l.count(&l.answered, req.Method)
	resp := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: req, Body: http.NoBody}
	resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	resp.Header.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	resp.Header.Set("Etag", `"e"`)
	content := somebody
	switch {
	case req.URL.Query().Has("list-type"):
		resp.Header.Set("Content-Type", "application/xml")
		content = []byte("<ListBucketResult><Name>bucket</Name></ListBucketResult>")
	case req.Method == http.MethodDelete:
		resp.StatusCode = http.StatusNoContent
		return resp, nil
	case req.Method == http.MethodPut:
		return resp, nil
	}
	resp.ContentLength = int64(len(content))
	resp.Header.Set("Content-Length", fmt.Sprint(len(content)))
	if req.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(content))
	}
	return resp, nil
}

func (l *line) count(what *map[string]int, method string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *what == nil {
		*what = map[string]int{}
	}
	(*what)[method]++
}

// store opens a store at the other end of the line.
func (l *line) store(t *testing.T, cfg Config) *s3Store {
	t.Helper()
	cfg.URL = "s3://bucket/app?endpoint=http://example.com"
	env := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	cfg.Getenv = func(name string) string { return env[name] }
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := store.(*s3Store)
	s.wire.base = l
	return s
}

func (l *line) outage(after, lasts time.Duration) {
	l.down = time.Now().Add(after)
	l.up = l.down.Add(lasts)
}

// operations are all that a store does.
func operations(ctx context.Context, s Store) map[string]func() error {
	data := somebody
	return map[string]func() error{
		"put": func() error {
			return s.Put(ctx, "key", Body{bytes.NewReader(data), int64(len(data)), sha256.Sum256(data)}, PutOptions{})
		},
		"create": func() error {
			return s.Put(ctx, "key", Body{bytes.NewReader(data), int64(len(data)), sha256.Sum256(data)}, PutOptions{IfAbsent: true})
		},
		"read": func() error {
			r, err := s.Open(ctx, "key", 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(got, somebody) {
				err = fmt.Errorf("read %q", got)
			}
			return err
		},
		"stat":   func() error { _, err := s.Stat(ctx, "key"); return err },
		"delete": func() error { return s.Delete(ctx, "key") },
		"list": func() error {
			for _, err := range s.List(ctx, "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// what a server that is down may look like
var outages = map[string]func() (*http.Response, error){
	"refused":      nil,
	"no such host": func() (*http.Response, error) { return nil, &net.DNSError{Name: "example.com", IsNotFound: true} },
	"silent": func() (*http.Response, error) {
		time.Sleep(10 * time.Second)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ETIMEDOUT}
	},
	"hangs up": func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	"bad gateway": func() (*http.Response, error) {
		return &http.Response{StatusCode: 502, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>")), ContentLength: 6}, nil
	},
	"slow down": func() (*http.Response, error) {
		text := "<Error><Code>SlowDown</Code></Error>"
		return &http.Response{StatusCode: 503, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
	},
}

// Without being told anything, a store outlives ten minutes in which its server is away, whatever it is asked for and whatever that
// looks like, and says so.
func TestTenMinutesOfOutage(t *testing.T) {
	for look, fails := range outages {
		for name := range operations(t.Context(), nil) {
			t.Run(look+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := &line{fails: fails}
					var told []Outage
					s := l.store(t, Config{Outage: func(o Outage) { told = append(told, o) }})
					if _, err := s.Stat(t.Context(), "key"); err != nil {
						t.Fatal(err)
					}
					l.outage(0, 10*time.Minute)
					if err := operations(t.Context(), s)[name](); err != nil {
						t.Fatal(err)
					}
					if time.Now().Before(l.up) {
						t.Error("it did not meet the outage")
					}
					if late := time.Since(l.up); late > longestWait+10*time.Second {
						t.Errorf("it noticed %s late that the server is back", late)
					}
					if len(told) < 10 || len(told) > 12 || !told[len(told)-1].Over() {
						t.Fatalf("told %d times: %v", len(told), told)
					}
					for i, o := range told[:len(told)-1] {
						if o.Over() || o.Left <= 0 || o.Lasts+o.Left != DefaultRetryFor {
							t.Errorf("told %d: %+v", i, o)
						}
					}
					if lasts := told[len(told)-1].Lasts; lasts < 9*time.Minute {
						t.Errorf("it lasted %s", lasts)
					}
				})
			})
		}
	}
}

// However many requests there are at once, and one after the other, together they wait as long as one.
func TestOneOutageForAll(t *testing.T) {
	for look, fails := range outages {
		t.Run(look, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &line{fails: fails}
				s := l.store(t, Config{})
				if _, err := s.Stat(t.Context(), "key"); err != nil {
					t.Fatal(err)
				}
				l.outage(0, time.Hour)
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * 30 * time.Second) // they do not begin together
						_, err := s.Stat(t.Context(), "key")
						if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "(for 15m") {
							t.Errorf("request %d: %v", i, err)
						}
						if waited := time.Since(l.down); waited < DefaultRetryFor || waited > DefaultRetryFor+30*time.Second {
							t.Errorf("request %d gave up %s after the beginning of the outage", i, waited)
						}
					})
				}
				wg.Wait()
				began, before := time.Now(), l.attempts.Load()
				for i := range 100 {
					if _, err := s.Stat(t.Context(), "key"); !errors.Is(err, ErrUnavailable) {
						t.Errorf("request %d after that: %v", i, err)
					}
				}
				if took := time.Since(began); took > 20*time.Second || l.attempts.Load() > before+1 {
					t.Errorf("a hundred requests after that took %s and %d attempts", took, l.attempts.Load()-before)
				}
				time.Sleep(time.Until(l.up)) // and nothing is held against it
				if _, err := s.Stat(t.Context(), "key"); err != nil {
					t.Errorf("when it was back: %v", err)
				}
			})
		})
	}
}

// A server that is known is waited for from the first request on; one that is not, is not.
func TestKnownServer(t *testing.T) {
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := &line{}
			asked := 0
			var s *s3Store
			s = l.store(t, Config{Known: func(url string) bool {
				asked++
				return known && url == s.String()
			}})
			began := time.Now()
			l.outage(0, 10*time.Minute)
			_, err := s.Stat(t.Context(), "key")
			if known && err != nil {
				t.Errorf("a known server: %v", err)
			}
			if !known && (!errors.Is(err, ErrUnavailable) || time.Since(began) > time.Second) { // minio-go takes up to 0.4 s
				t.Errorf("an unknown server: %v after %s", err, time.Since(began))
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// Who can go elsewhere does not wait, and spoils nothing for who cannot.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		s := l.store(t, Config{Known: func(string) bool { return true }})
		l.outage(0, 10*time.Minute)
		short := WithPatience(t.Context(), 30*time.Second)
		for i := range 10 {
			began := time.Now()
			_, err := s.Stat(short, "key")
			if !errors.Is(err, ErrUnavailable) {
				t.Fatalf("request %d: %v", i, err)
			}
			if took := time.Since(began); took > 31*time.Second || i > 0 && took > 0 {
				t.Errorf("request %d took %s", i, took)
			}
		}
		if _, err := s.Stat(WithPatience(short, time.Hour), "key"); err == nil {
			t.Error("patience grew")
		}
		if _, err := s.Stat(t.Context(), "key"); err != nil {
			t.Errorf("the patient: %v", err)
		}
		if _, err := s.Stat(short, "key"); err != nil {
			t.Errorf("when it was back: %v", err)
		}
	})
}

// An object that the server cannot give, though it gives others, is no outage.
func TestOneRequestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		s := l.store(t, Config{})
		bad := errors.New("of this object only")
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				s.Stat(ctx, "other")
				time.Sleep(time.Second)
			}
		})
		time.Sleep(time.Minute)
		began := time.Now()
		err := s.try(t.Context(), func() error { return bad })
		if took := time.Since(began); !errors.Is(err, bad) || took < aloneFor || took > aloneFor+2*longestWait {
			t.Errorf("after %s: %v", took, err)
		}
		stop()
		wg.Wait()
	})
}

// Cancelling ends the waiting at once.
func TestCancelDuringOutage(t *testing.T) {
	for name := range operations(t.Context(), nil) {
		synctest.Test(t, func(t *testing.T) {
			l := &line{}
			s := l.store(t, Config{Known: func(string) bool { return true }})
			l.outage(0, time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			const at = 100*time.Second + 1
			time.AfterFunc(at, cancel)
			began := time.Now()
			if err := operations(ctx, s)[name](); !errors.Is(err, context.Canceled) || time.Since(began) != at {
				t.Errorf("%s: %v after %s", name, err, time.Since(began))
			}
		})
	}
}
