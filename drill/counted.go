package drill

import (
	"context"
	"io"
	"sync/atomic"

	"lifeboat/remote"
)

// counted is a store that counts the bytes that are read from it.
type counted struct {
	remote.Store
	bytes atomic.Int64
}

// Open implements remote.Store.
func (c *counted) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := c.Store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &countedReader{r, c}, nil
}

type countedReader struct {
	io.ReadCloser
	c *counted
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.c.bytes.Add(int64(n))
	return n, err
}
