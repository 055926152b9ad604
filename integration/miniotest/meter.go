package miniotest

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

type actionKey struct{}

// withAction hands act to those callbacks of the reverse proxy that see a request only by its context.
func withAction(ctx context.Context, act Action) context.Context {
	return context.WithValue(ctx, actionKey{}, act)
}

func actionOf(ctx context.Context) Action {
	act, _ := ctx.Value(actionKey{}).(Action)
	return act
}

// pace is the largest piece of a body that passes at once when it is slowed down.
const pace = 16 << 10

// sleep takes the time that n bytes take at a rate.
func sleep(n int, rate int64) {
	if rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
}

// A meter counts what is read from a request's body.
type meter struct {
	io.ReadCloser
	rate int64
	cut  int64        // fail when so many were read; 0 does not
	n    atomic.Int64 // the transport may still read when the answer is there
}

func (m *meter) Read(p []byte) (int, error) {
	if m.rate > 0 && len(p) > pace {
		p = p[:pace]
	}
	if m.cut > 0 {
		left := m.cut - m.n.Load()
		if left <= 0 {
			return 0, errInjected
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := m.ReadCloser.Read(p)
	m.n.Add(int64(n))
	sleep(n, m.rate)
	return n, err
}

func (m *meter) read() int64 { return m.n.Load() }

// A recorder counts what is written to the client, slows it down, and cuts it.
type recorder struct {
	http.ResponseWriter
	act    Action
	status int
	sent   int64
}

func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	written := 0
	for len(p) > 0 {
		piece := p
		if w.act.Rate > 0 && len(piece) > pace {
			piece = piece[:pace]
		}
		if w.act.Cut > 0 {
			piece = piece[:min(int64(len(piece)), w.act.Cut-w.sent)]
		}
		n, err := w.ResponseWriter.Write(piece)
		w.sent += int64(n)
		written += n
		if err != nil {
			return written, err
		}
		if w.act.Cut > 0 && w.sent == w.act.Cut {
			w.Flush()
			panic(http.ErrAbortHandler)
		}
		sleep(n, w.act.Rate)
		p = p[n:]
	}
	return written, nil
}

// Flush sends what was written, as the reverse proxy asks.
func (w *recorder) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
