package archive

import (
	"context"
	"runtime"

	"lifeboat/internal/zst"
)

// A Pool encodes frames on several processors and holds the memory that this takes: frames, of 1 MiB and what it
// compresses to. Writers share it. A Writer that finds no free frame waits, so a Pool is also what keeps a fast
// reader from outrunning the encoders.
type Pool struct {
	enc  *zst.Encoder
	free chan *frame
}

// A frame is on its way from tar bytes to zstd bytes.
type frame struct {
	raw     []byte
	encoded []byte
	done    chan struct{} // closed when encoded is there
}

// maxWriters is how many Writers can share a Pool. Each keeps one frame that it is filling, and there must be
// frames beside those.
const maxWriters = 8

// mostWorkers is how many processors encode at most. These keep up with what reads databases and disks, and each takes some 10 MiB.
const mostWorkers = 4

// PoolOptions are choices that have a good default.
type PoolOptions struct {
	Workers int       // processors that encode; 0 means all. There are never more than mostWorkers
	Level   zst.Level // of compression
}

// NewPool returns a Pool. Nothing need be closed; it is garbage when its Writers are.
func NewPool(opts PoolOptions) (*Pool, error) {
	n := opts.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	n = min(n, mostWorkers)
	enc, err := zst.NewEncoder(opts.Level, n)
	if err != nil {
		return nil, err
	}
	p := &Pool{enc: enc, free: make(chan *frame, maxWriters+2*n)}
	for range cap(p.free) {
		p.free <- &frame{}
	}
	return p, nil
}

// take waits for a free frame.
func (p *Pool) take(ctx context.Context) (*frame, error) {
	select {
	case f := <-p.free:
		if f.raw == nil {
			f.raw = make([]byte, 0, frameSize)
			f.encoded = make([]byte, 0, frameSize+frameSize/64) // and what a frame of noise has beside it
		}
		f.raw = f.raw[:0]
		f.done = make(chan struct{})
		return f, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// encode fills f.encoded in the background. The encoder itself limits how many run at once.
func (p *Pool) encode(f *frame) {
	go func() {
		defer close(f.done)
		f.encoded = p.enc.Encode(f.encoded[:0], f.raw)
	}()
}

// release gives a frame back.
func (p *Pool) release(f *frame) { p.free <- f }
