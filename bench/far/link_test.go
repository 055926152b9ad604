//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// On a clock that stands still while anybody works, what a lane takes is known to the nanosecond: for one piece its length and the
// delay, for many at once the length of all of them, since they share it.
func TestLane(t *testing.T) {
	for _, streams := range []int{1, 5} {
		synctest.Test(t, func(t *testing.T) {
			const rate, size = 1 << 20, 1 << 20
			l := lane{rate: rate, delay: 25 * time.Millisecond}
			began := time.Now()
			var all sync.WaitGroup
			for range streams {
				all.Go(func() {
					var out bytes.Buffer
					in := bytes.Repeat([]byte("x"), size)
					if err := l.carry(&out, bytes.NewReader(in), 0); err != nil || !bytes.Equal(out.Bytes(), in) {
						t.Errorf("%d bytes arrived, not %d: %v", out.Len(), size, err)
					}
				})
			}
			all.Wait()
			if got, want := time.Since(began), time.Duration(streams)*time.Second+l.delay; got != want {
				t.Errorf("%d streams of a second each took %v, not %v", streams, got, want)
			}
			if l.carried() != int64(streams)*size {
				t.Errorf("it says that it carried %d bytes", l.carried())
			}
		})
	}
}

// A question and its answer take the round trip, and over a new connection one more.
func TestRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(1<<30, 50*time.Millisecond)
		client, near := net.Pipe()
		far, server := net.Pipe()
		var all sync.WaitGroup
		all.Go(func() { l.join(near, far) })
		all.Go(func() { io.Copy(server, server); server.Close() })
		for n := range 3 {
			began := time.Now()
			if _, err := client.Write([]byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 1)
			if _, err := io.ReadFull(client, answer); err != nil || answer[0] != byte(n) {
				t.Fatalf("%v: %v", answer, err)
			}
			want := 50
			if n == 0 {
				want = 100
			}
			if got := time.Since(began).Milliseconds(); got != int64(want) {
				t.Errorf("exchange %d took %d ms, not %d", n, got, want)
			}
		}
		client.Close()
		all.Wait()
	})
}

// Who does not get rid of it ends, and says why.
func TestLaneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lane{rate: 1 << 20}
		r, w := io.Pipe()
		r.CloseWithError(io.ErrNoProgress)
		if err := l.carry(w, io.LimitReader(zeros{}, 1<<20), 0); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("to who does not read: %v", err)
		}
		r, w = io.Pipe()
		w.CloseWithError(io.ErrNoProgress)
		if err := l.carry(io.Discard, r, 0); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("from who fails: %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Over a real network: everything comes through, both ways, by many connections.
func TestServe(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	server, front := listen(), listen()
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.(*net.TCPConn).CloseWrite() }()
		}
	}()
	l := newLink(1<<30, 2*time.Millisecond)
	ended := make(chan error)
	go func() { ended <- l.serve(front, server.Addr().String()) }()
	const size = 300 << 10
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			c, err := net.Dial("tcp", front.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			text := bytes.Repeat([]byte{byte(n)}, size)
			go func() { c.Write(text); c.(*net.TCPConn).CloseWrite() }()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes came back: %v", len(got), err)
			}
		})
	}
	all.Wait()
	front.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if l.up.carried() != 8*size || l.down.carried() != 8*size {
		t.Errorf("up %d and down %d bytes", l.up.carried(), l.down.carried())
	}
}
