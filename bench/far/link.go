//go:build unix

package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A link is a line between two places: so many bytes a second in each direction, and the same delay in each. All connections share it,
// piece by piece in turn. It is TCP on either side of it, whose slow start, loss and windows it does not imitate; a new connection
// costs a round trip, as its handshake would.
type link struct {
	up, down lane
	refused  atomic.Int64 // connections that the server did not take
}

// A lane is one direction.
type lane struct {
	rate  int64 // bytes a second
	delay time.Duration

	mu    sync.Mutex
	free  time.Time // when what was sent so far has left
	bytes int64
}

func newLink(rate int64, roundTrip time.Duration) *link {
	return &link{up: lane{rate: rate, delay: roundTrip / 2}, down: lane{rate: rate, delay: roundTrip / 2}}
}

// serve passes connections on to target until the listener is closed. It returns when the last has ended.
func (l *link) serve(listener net.Listener, target string) error {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		from, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() {
			defer from.Close()
			to, err := net.Dial("tcp", target)
			if err != nil {
				l.refused.Add(1)
				return
			}
			defer to.Close()
			l.join(from, to)
		})
	}
}

// join carries what either side sends until both have ended, or one has failed.
func (l *link) join(client, server net.Conn) {
	var both sync.WaitGroup
	carry := func(way *lane, from, to net.Conn, first time.Duration) {
		if err := way.carry(to, from, first); err != nil {
			from.Close()
			to.Close()
		} else if half, ok := to.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		} else {
			to.Close()
		}
	}
	both.Go(func() { carry(&l.up, client, server, l.up.delay+l.down.delay) })
	both.Go(func() { carry(&l.down, server, client, 0) })
	both.Wait()
}

const (
	piece = 16 << 10 // bytes that travel together
	queue = 20 * time.Millisecond
)

// A parcel is a piece on its way.
type parcel struct {
	bytes []byte
	due   time.Time
}

// carry copies until from ends. What is read leaves at the lane's rate, after what others have sent, and arrives with its delay; the
// first piece later by first. Who sends is held up when there is more than queue's worth before the lane, and so many pieces under way.
func (l *lane) carry(to io.Writer, from io.Reader, first time.Duration) error {
	under := make(chan parcel, 4096)
	sent := make(chan error, 1)
	go func() {
		var err error
		for p := range under {
			if err != nil {
				continue // and so carry is never left waiting
			}
			time.Sleep(time.Until(p.due))
			_, err = to.Write(p.bytes)
		}
		sent <- err
	}()
	buf := make([]byte, piece)
	var failed error
	for failed == nil {
		n, err := from.Read(buf)
		if n > 0 {
			left := l.send(n)
			under <- parcel{append([]byte(nil), buf[:n]...), left.Add(l.delay + first)}
			first = 0
			time.Sleep(time.Until(left.Add(-queue)))
		}
		failed = err
	}
	close(under)
	if err := <-sent; err != nil {
		return err
	}
	if failed == io.EOF {
		return nil
	}
	return failed
}

// send takes n bytes' time of the lane and returns when they have left.
func (l *lane) send(n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(n) * int64(time.Second) / l.rate))
	l.bytes += int64(n)
	return l.free
}

// carried returns how many bytes were sent so far.
func (l *lane) carried() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}
