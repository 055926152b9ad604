package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"lifeboat/manifest"
)

// An Object receives the bytes of one archive while it is packed. Nobody sees it before Commit.
type Object interface {
	io.Writer
	// Commit makes the object visible under the name that a.SHA256 determines, durably.
	Commit(a *manifest.Archive) error
	// Discard forgets what was written. After Commit it does nothing.
	Discard()
}

// Options of a Writer. Create is required.
type Options struct {
	// Create begins a new object. It may wait for room, until ctx ends: nothing of the Writer is held up that is on its way.
	Create func(ctx context.Context) (Object, error)
	// Stored, if set, is told of each archive after its Commit, in any order and from other
	// goroutines, one call at a time. An error stops the Writer.
	Stored func(a *manifest.Archive) error
	// Limit is where an archive ends, in bytes of tar stream; 0 means DefaultLimit.
	Limit int64
}

// A Segment is one member to be: some bytes of one file, and the sums of the chunks that they are.
type Segment struct {
	Name  string // of the member: WholeName, PartName, MapName or PieceName
	Data  []byte // not kept after Add returns
	Chunk int    // chunk size
	Sums  []ChunkSum
}

// A Writer packs segments into a row of archives. Its methods are for one goroutine; encoding and storing go on in
// others, at most [committing] archives behind. Close or Discard ends it.
type Writer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	pool   *Pool
	opts   Options

	cur     *building
	ordinal int
	head    []byte        // of the member that Add packs
	index   []byte        // of an archive before, to be used again
	slots   chan struct{} // one for each archive that is not committed
	wg      sync.WaitGroup

	mu       sync.Mutex
	archives []*manifest.Archive // by ordinal
}

// committing is how many archives of a Writer may be open: one that is filled, and one that is being made durable.
const committing = 2

// NewWriter returns a Writer that encodes in pool. When ctx ends, so does everything that the Writer does.
func NewWriter(ctx context.Context, pool *Pool, opts Options) *Writer {
	if opts.Limit <= 0 {
		opts.Limit = DefaultLimit
	}
	w := &Writer{pool: pool, opts: opts, slots: make(chan struct{}, committing)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// Add packs one segment and says where it will lie. The error may be about a segment added before.
func (w *Writer) Add(s Segment) (Place, error) {
	if err := context.Cause(w.ctx); err != nil {
		return Place{}, err
	}
	n := int64(len(s.Data))
	if n == 0 || n > manifest.MaxPiece {
		return Place{}, fmt.Errorf("pack %q: segment of %d bytes", s.Name, n)
	}
	head, err := appendHeader(w.head[:0], s.Name, n)
	if err != nil {
		return Place{}, err
	}
	w.head = head
	if w.cur != nil && w.cur.off+int64(len(head))+n+padding(n) > w.opts.Limit {
		if err := w.finish(); err != nil {
			return Place{}, err
		}
	}
	if w.cur == nil {
		if err := w.begin(); err != nil {
			return Place{}, err
		}
	}
	b := w.cur
	off, err := b.member(head, s.Data)
	if err != nil {
		return Place{}, w.fail(err)
	}
	b.index = appendRun(b.index, off, n, s.Chunk, s.Sums)
	b.data += n
	return Place{b.ordinal, off, n}, nil
}

// Cut ends the archive that is open, if one is, before it is full.
func (w *Writer) Cut() error { return w.finish() }

// Close ends the last archive and waits until all are stored. A Writer that was given no segment stores nothing.
func (w *Writer) Close() error {
	err := w.finish()
	w.wg.Wait()
	if err == nil {
		err = context.Cause(w.ctx)
	}
	w.cancel(errClosed)
	return err
}

// Discard stops the Writer and waits until nothing of it runs. Archives that are stored stay. After Close it
// does nothing.
func (w *Writer) Discard() {
	w.cancel(errClosed)
	if w.cur != nil {
		w.cur.abandon()
		w.cur = nil
	}
	w.wg.Wait()
}

var errClosed = errors.New("archive writer is closed")

// Archives returns the descriptions of the archives, by ordinal. It is complete after Close.
func (w *Writer) Archives() []*manifest.Archive {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.archives)
}

// fail makes err the error of everything that follows.
func (w *Writer) fail(err error) error {
	w.cancel(err)
	return context.Cause(w.ctx)
}

// begin starts a new archive and the goroutine that stores its frames in order.
func (w *Writer) begin() error {
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	obj, err := w.opts.Create(w.ctx)
	if err != nil {
		<-w.slots
		return w.fail(fmt.Errorf("begin an archive: %w", err))
	}
	b := &building{w: w, ordinal: w.ordinal, index: w.index[:0], frames: make(chan *frame, cap(w.pool.free))}
	w.ordinal++
	w.cur = b
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		defer obj.Discard()
		if err := b.store(obj); err != nil {
			w.fail(err)
		}
	})
	return nil
}

// finish adds the chunk index and the end of the tar stream to the archive that is open.
func (w *Writer) finish() error {
	b := w.cur
	if b == nil {
		return nil
	}
	w.cur = nil
	err := b.end()
	w.index = b.index
	close(b.frames)
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// stored records an archive that was committed.
func (w *Writer) stored(ordinal int, a *manifest.Archive) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.archives) <= ordinal {
		w.archives = append(w.archives, nil)
	}
	w.archives[ordinal] = a
	if w.opts.Stored == nil {
		return nil
	}
	return w.opts.Stored(a)
}

// building is an archive that is not complete.
type building struct {
	w       *Writer
	ordinal int
	off     int64 // bytes of tar stream so far
	data    int64
	index   []byte
	cur     *frame      // being filled
	frames  chan *frame // handed to the encoders, in order

	// Set by end, read by store after frames is closed.
	indexAt manifest.Index
	ended   bool
}

// member appends one member to the tar stream and returns where its data begins.
func (b *building) member(head, data []byte) (int64, error) {
	if err := b.write(head); err != nil {
		return 0, err
	}
	off := b.off
	if err := b.write(data); err != nil {
		return 0, err
	}
	return off, b.write(zeroBlocks[:padding(int64(len(data)))])
}

var zeroBlocks [2 * blockSize]byte // what a tar stream ends with

// write appends to the tar stream, handing on each frame that is full.
func (b *building) write(p []byte) error {
	for len(p) > 0 {
		if b.cur == nil {
			f, err := b.w.pool.take(b.w.ctx)
			if err != nil {
				return err
			}
			b.cur = f
		}
		n := min(len(p), frameSize-len(b.cur.raw))
		b.cur.raw = append(b.cur.raw, p[:n]...)
		b.off += int64(n)
		p = p[n:]
		if len(b.cur.raw) == frameSize {
			b.handOn()
		}
	}
	return nil
}

func (b *building) handOn() {
	b.w.pool.encode(b.cur)
	b.frames <- b.cur // never waits: there are no more frames than it has room for
	b.cur = nil
}

// end completes the tar stream.
func (b *building) end() error {
	head, err := appendHeader(nil, indexName, int64(len(b.index)))
	if err != nil {
		return err
	}
	at, err := b.member(head, b.index)
	if err != nil {
		return err
	}
	if err := b.write(zeroBlocks[:]); err != nil {
		return err
	}
	if b.cur != nil {
		b.handOn()
	}
	b.indexAt = manifest.Index{Off: at, Len: int64(len(b.index)), SHA256: manifest.HashOf(b.index)}
	b.ended = true
	return nil
}

// abandon gives up an archive that will not be completed.
func (b *building) abandon() {
	if b.cur != nil {
		b.w.pool.release(b.cur)
		b.cur = nil
	}
	close(b.frames)
}

// store writes the frames to obj as they are encoded, and commits it. It takes frames to the end even after a failure, so that
// the pool gets them back.
func (b *building) store(obj Object) error {
	a := &manifest.Archive{}
	digest := sha256.New()
	var failed error
	for f := range b.frames {
		<-f.done
		if failed == nil {
			failed = appendFrame(obj, digest, a, f.encoded)
		}
		b.w.pool.release(f)
	}
	if failed != nil {
		return fmt.Errorf("write an archive: %w", failed)
	}
	if !b.ended || context.Cause(b.w.ctx) != nil {
		return context.Cause(b.w.ctx)
	}
	digest.Sum(a.SHA256[:0])
	a.Length, a.Index, a.Data = b.off, b.indexAt, b.data
	if err := obj.Commit(a); err != nil {
		return fmt.Errorf("store archive %s: %w", a.SHA256, err)
	}
	return b.w.stored(b.ordinal, a)
}

func appendFrame(obj Object, digest hash.Hash, a *manifest.Archive, encoded []byte) error {
	if _, err := obj.Write(encoded); err != nil {
		return err
	}
	digest.Write(encoded)
	a.Frames = append(a.Frames, int64(len(encoded)))
	a.Size += int64(len(encoded))
	return nil
}
