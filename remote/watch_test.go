package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// A bench is a store and a server that are joined by pipes, on a clock that jumps (testing/synctest): what a real server does with a
// real connection, with time limits of minutes.
type bench struct {
	*s3Store
	requests atomic.Int64
	serving  sync.WaitGroup

	mu      sync.Mutex
	objects map[string][]byte

	// intercept may serve a request in place of the server; n counts them from 1.
	intercept func(n int64, w http.ResponseWriter, r *http.Request) bool
}

// onBench runs a test in a bubble of time.
func onBench(t *testing.T, cfg Config, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		b := &bench{objects: map[string][]byte{}}
		b.s3Store = (&line{}).store(t, cfg)
		transport := newWire(nil, cfg).base.(*http.Transport)
		transport.Proxy = nil
		transport.DialContext = l.dial
		b.wire.base = transport
		server := &http.Server{Handler: b}
		b.serving.Go(func() { server.Serve(l) })
		defer func() {
			transport.CloseIdleConnections()
			server.Close()
			b.serving.Wait()
			time.Sleep(time.Minute) // net/http takes leave of its connections
		}()
		test(t, b)
	})
}

// pipes is a net.Listener.
type pipes chan net.Conn

func (l pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.serving.Add(1)
	defer b.serving.Done()
	w.Header().Set("Etag", `"e"`)
	w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	if n := b.requests.Add(1); b.intercept != nil && b.intercept(n, w, r) {
		return
	}
	b.serve(w, r)
}

func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		data, err := io.ReadAll(r.Body)
		if err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.objects[r.URL.Path] = data
		}
		return
	}
	b.mu.Lock()
	data := b.objects[r.URL.Path]
	b.mu.Unlock()
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (b *bench) put(ctx context.Context, data []byte) error {
	return b.Put(ctx, "key", Body{bytes.NewReader(data), int64(len(data)), sha256.Sum256(data)}, PutOptions{})
}

func (b *bench) get(ctx context.Context) ([]byte, error) {
	r, err := b.Open(ctx, "key", 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func noisy(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

const megabyte = 1 << 20

// A transfer in which nothing moves any more is ended, and done again, wherever it stands.
func TestStall(t *testing.T) {
	data := noisy(5 * megabyte)
	silence := func(r *http.Request) { <-r.Context().Done() }
	for name, front := range map[string]func(b *bench, w http.ResponseWriter, r *http.Request){
		"reads nothing": func(b *bench, w http.ResponseWriter, r *http.Request) { time.Sleep(time.Hour) },
		"reads a part": func(b *bench, w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 3*megabyte)
			time.Sleep(time.Hour)
		},
		"reads all": func(b *bench, w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			silence(r)
		},
		"answers a part": func(b *bench, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:len(data)/2])
			w.(http.Flusher).Flush()
			silence(r)
		},
	} {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			if name == "answers a part" && method == http.MethodPut {
				continue
			}
			t.Run(name+"/"+method, func(t *testing.T) {
				onBench(t, Config{}, func(t *testing.T, b *bench) {
					if err := b.put(t.Context(), noisy(1)); err != nil { // so that the server has been heard of
						t.Fatal(err)
					}
					if method == http.MethodGet {
						b.objects["/bucket/app/key"] = data
					}
					b.intercept = func(n int64, w http.ResponseWriter, r *http.Request) bool {
						if n > 2 {
							return false
						}
						front(b, w, r)
						return true
					}
					began := time.Now()
					var err error
					if method == http.MethodPut {
						err = b.put(t.Context(), data)
					} else {
						var got []byte
						if got, err = b.get(t.Context()); !bytes.Equal(got, data) {
							t.Errorf("read %d bytes", len(got))
						}
					}
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(b.objects["/bucket/app/key"], data) {
						t.Error("another object")
					}
					most := DefaultStall + 2*time.Second
					if name == "reads all" && method == http.MethodPut {
						most += mostBuffered / slowestLine * time.Second
					}
					if took := time.Since(began); took < DefaultStall || took > most || b.requests.Load() != 3 {
						t.Errorf("%s and %d requests, want at most %s and 3", took, b.requests.Load(), most)
					}
				})
			})
		}
	}
}

// A line that is slow but moves is left alone, however long it takes: 32 MiB at 50 KB/s, in one request.
func TestSlowLine(t *testing.T) {
	const perSecond = 50_000
	data := noisy(32 * megabyte)
	onBench(t, Config{}, func(t *testing.T, b *bench) {
		b.intercept = func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Length", fmt.Sprint(len(data)))
				for rest := data; len(rest) > 0; rest = rest[min(len(rest), 30*perSecond):] { // in bursts
					time.Sleep(30 * time.Second)
					w.Write(rest[:min(len(rest), 30*perSecond)])
					w.(http.Flusher).Flush()
				}
				return true
			}
			var got bytes.Buffer
			for {
				time.Sleep(30 * time.Second)
				if _, err := io.CopyN(&got, r.Body, 30*perSecond); err != nil {
					break
				}
			}
			time.Sleep(150 * time.Second) // as if the last of it had been in the system's buffers
			b.objects[r.URL.Path] = got.Bytes()
			return true
		}
		began := time.Now()
		if err := b.put(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		got, err := b.get(t.Context())
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if n, took := b.requests.Load(), time.Since(began); n != 2 || took < 20*time.Minute {
			t.Errorf("%d requests in %s", n, took)
		}
	})
}

// Who reads slowly is no slow server.
func TestSlowReader(t *testing.T) {
	data := noisy(3 * megabyte)
	onBench(t, Config{}, func(t *testing.T, b *bench) {
		b.objects["/bucket/app/key"] = data
		r, err := b.Open(t.Context(), "key", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got bytes.Buffer
		for err == nil {
			time.Sleep(10 * DefaultStall)
			_, err = io.CopyN(&got, r, 300_000)
		}
		if !errors.Is(err, io.EOF) || !bytes.Equal(got.Bytes(), data) || b.requests.Load() != 1 {
			t.Errorf("read %d bytes in %d requests, %v", got.Len(), b.requests.Load(), err)
		}
	})
}

// A counter is a limiter that lets everything pass, and counts it.
type counter struct {
	burst int
	n     atomic.Int64
	most  atomic.Int64
}

func (c *counter) Burst() int { return c.burst }
func (c *counter) WaitN(ctx context.Context, n int) error {
	c.n.Add(int64(n))
	if int64(n) > c.most.Load() {
		c.most.Store(int64(n))
	}
	return ctx.Err()
}

// Each byte of an object that goes up or down is waited for, once, and in pieces that a limiter can give.
func TestLimiterSeesEveryByte(t *testing.T) {
	up, down := &counter{burst: 1000}, &counter{burst: 700}
	data := noisy(2*megabyte + 17)
	onBench(t, Config{Upload: up, Download: down}, func(t *testing.T, b *bench) {
		if err := b.put(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		if up.n.Load() != int64(len(data)) || down.n.Load() != 0 || up.most.Load() != 1000 {
			t.Errorf("after a PUT: up %d in pieces of %d, down %d", up.n.Load(), up.most.Load(), down.n.Load())
		}
		got, err := b.get(t.Context())
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if up.n.Load() != int64(len(data)) || down.n.Load() != int64(len(data)) || down.most.Load() != 700 {
			t.Errorf("after a GET: up %d, down %d in pieces of %d", up.n.Load(), down.n.Load(), down.most.Load())
		}
	})
}

// One limiter bounds what several transfers move together, and waiting for it is no stall, however slow it is.
func TestLimitIsShared(t *testing.T) {
	const perSecond, burst = 2000, 150_000 // 75 s for a piece, and longer for each of four
	up := rate.NewLimiter(perSecond, burst)
	onBench(t, Config{Upload: up}, func(t *testing.T, b *bench) {
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				data := noisy(1_000_000)
				err := b.Put(t.Context(), fmt.Sprint(i), Body{bytes.NewReader(data), int64(len(data)), sha256.Sum256(data)}, PutOptions{})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want := (4_000_000 - burst) / perSecond * time.Second
		if took := time.Since(began); took < want || took > want+time.Second || b.requests.Load() != 4 {
			t.Errorf("%d requests took %s on the limiter's clock, want %s", b.requests.Load(), took, want)
		}
	})
}

// An upload that waits for its limiter ends when it is cancelled.
func TestCancelWhileLimited(t *testing.T) {
	onBench(t, Config{Upload: rate.NewLimiter(1, 1000)}, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		began := time.Now()
		if err := b.put(ctx, noisy(megabyte)); !errors.Is(err, context.Canceled) || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
