package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// DefaultStall is for how long nothing may move in a request.
const DefaultStall = time.Minute

// What was handed to the system has not left the machine yet: up to so many bytes wait in the buffers of a connection, and go
// at the speed of the line. A line of this speed is not taken to stall when all of the body has been handed over.
const (
	mostBuffered = 4 << 20
	slowestLine  = 32 << 10 // bytes per second
)

// A stalledError says that nothing moved.
type stalledError struct{ limit time.Duration }

func (e *stalledError) Error() string { return fmt.Sprintf("nothing moved for %s", e.limit) }

// A watch ends a request when it is not touched for some time.
type watch struct {
	stalled *stalledError
	cancel  context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	answered bool // the request's body no longer counts
}

// touch says that something moved, or begins to be waited for. extra adds to the time limit.
func (w *watch) touch(extra time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.stalled.limit + extra)
}

// hold says that the other side is not waited for until the next touch.
func (w *watch) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// sent is touch, and sending is hold, for the request's body: after the answer nobody needs it.
func (w *watch) sent(extra time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered {
		w.timer.Reset(w.stalled.limit + extra)
	}
}

func (w *watch) sending() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered {
		w.timer.Stop()
	}
}

func (w *watch) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered = true
	w.timer.Stop()
}

// watched makes a request, and ends it when nothing moves, until the answer's body is closed.
func (w *wire) watched(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := &watch{stalled: &stalledError{w.stall}, cancel: cancel}
	watch.timer = time.AfterFunc(w.stall, func() { cancel(watch.stalled) })
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		body, get := req.Body, req.GetBody
		wrap := func(body io.ReadCloser) io.ReadCloser {
			return &sentBody{body, ctx, watch, w.up, req.ContentLength, req.ContentLength}
		}
		req.Body = wrap(body)
		if get != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := get()
				return wrap(body), err
			}
		}
	}
	resp, err := w.base.RoundTrip(req)
	watch.answer()
	if err != nil {
		if context.Cause(ctx) == watch.stalled {
			err = watch.stalled
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &receivedBody{resp.Body, ctx, watch, w.down}
	return resp, nil
}

// A sentBody is the body of a request.
type sentBody struct {
	io.ReadCloser
	ctx   context.Context
	watch *watch
	limit Limiter
	size  int64 // bytes
	left  int64 // of them
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.watch.sending()
	n, err := b.ReadCloser.Read(pieceOf(p, b.limit))
	if waitErr := pace(b.ctx, b.limit, n); waitErr != nil {
		return 0, waitErr
	}
	extra := time.Duration(0)
	if b.left -= int64(n); b.left <= 0 {
		extra = time.Duration(min(b.size, mostBuffered)) * time.Second / slowestLine
	}
	b.watch.sent(extra)
	return n, err
}

// A receivedBody is the body of an answer. Only while somebody reads is the server waited for.
type receivedBody struct {
	io.ReadCloser
	ctx   context.Context
	watch *watch
	limit Limiter
}

func (b *receivedBody) Read(p []byte) (int, error) {
	b.watch.touch(0)
	n, err := b.ReadCloser.Read(pieceOf(p, b.limit))
	b.watch.hold()
	if err != nil && context.Cause(b.ctx) == b.watch.stalled {
		return n, b.watch.stalled
	}
	if waitErr := pace(b.ctx, b.limit, n); waitErr != nil && err == nil {
		err = waitErr
	}
	return n, err
}

func (b *receivedBody) Close() error {
	b.watch.hold()
	defer b.watch.cancel(nil)
	return b.ReadCloser.Close()
}
