package remote

import "context"

// A Limiter paces bytes; a *rate.Limiter of golang.org/x/time/rate is one. It may be shared by stores, and then what they move
// together keeps to its rate.
type Limiter interface {
	// WaitN returns when n more bytes may pass, or with an error when ctx ends. n is at most Burst.
	WaitN(ctx context.Context, n int) error
	Burst() int
}

// pieceOf returns as much of p as may pass at once.
func pieceOf(p []byte, limit Limiter) []byte {
	if limit == nil {
		return p
	}
	return p[:min(len(p), max(1, limit.Burst()))]
}

func pace(ctx context.Context, limit Limiter, n int) error {
	if limit == nil || n == 0 {
		return nil
	}
	return limit.WaitN(ctx, n)
}
