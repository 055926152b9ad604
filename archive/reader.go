package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"lifeboat/internal/zst"
	"lifeboat/manifest"
)

// A Source gives the stored bytes of archives: a store, or a layer over one.
type Source interface {
	// OpenArchive returns n stored bytes of an archive from off on. The caller closes it.
	OpenArchive(ctx context.Context, archive manifest.Hash, off, n int64) (io.ReadCloser, error)
	// ArchiveKey returns the name of the object, for messages.
	ArchiveKey(archive manifest.Hash) string
	// String names the store, for messages.
	String() string
}

// A Range is Len bytes at Off of a tar stream.
type Range struct{ Off, Len int64 }

// A Reader reads extents. Several goroutines may use one.
type Reader struct {
	sources []Source
	dec     *zst.Decoder
	buffers sync.Pool
}

// NewReader returns a Reader of archives that are in any of sources. It asks them in that order, and goes on with the next one
// where an archive is absent or damaged, or the store fails. At most workers goroutines decode at once.
func NewReader(workers int, sources ...Source) (*Reader, error) {
	dec, err := zst.NewDecoder(max(1, workers))
	if err != nil {
		return nil, err
	}
	return &Reader{sources: sources, dec: dec, buffers: sync.Pool{New: func() any { return new(buffers) }}}, nil
}

// maxGap is how many stored bytes between two ranges are read over rather than asked for in a request of their own. A request
// costs about what a few hundred KiB cost.
const maxGap = 512 << 10

// Read reads ranges of one archive, which ascend by Off and may overlap, and passes the bytes of each to fn, in order. The
// bytes are valid until fn returns. An error of fn ends the reading and is returned as it is.
//
// Every frame is verified by its own checksum, which finds accidents; whether the bytes are the right ones is for
// the caller to decide, by the digest of what they are part of.
func (r *Reader) Read(ctx context.Context, a *manifest.Archive, ranges []Range, fn func(i int, data []byte) error) error {
	if err := checkRanges(a, ranges); err != nil {
		return err
	}
	bufs := r.buffers.Get().(*buffers)
	defer r.buffers.Put(bufs)
	for first := 0; first < len(ranges); {
		run := planRun(a, ranges, first)
		w := &window{dec: r.dec, a: a, bufs: bufs, next: run.firstFrame, frames: bufs.frames[:0]}
		if err := r.readRun(ctx, w, run, ranges, fn); err != nil {
			return err
		}
		first = run.end
	}
	return nil
}

// checkRanges reports ranges that do not lie in an archive, or do not ascend.
func checkRanges(a *manifest.Archive, ranges []Range) error {
	last := int64(0)
	for _, g := range ranges {
		if err := a.Contains(g.Off, g.Len); err != nil {
			return err
		}
		if g.Off < last {
			return fmt.Errorf("read archive %s: ranges do not ascend", a.SHA256)
		}
		last = g.Off
	}
	return nil
}

// ReadAll reads one range into memory.
func (r *Reader) ReadAll(ctx context.Context, a *manifest.Archive, off, n int64) ([]byte, error) {
	if n > manifest.MaxPiece {
		return nil, fmt.Errorf("read archive %s: %d bytes at once", a.SHA256, n)
	}
	out := make([]byte, 0, n)
	err := r.Read(ctx, a, []Range{{off, n}}, func(_ int, data []byte) error {
		out = append(out, data...)
		return nil
	})
	return out, err
}

// A run is ranges that one request fetches: those from first to end, in frames that follow each other.
type run struct {
	first, end            int
	firstFrame, lastFrame int64
}

// planRun collects ranges from first on, while the gap between them is small.
func planRun(a *manifest.Archive, ranges []Range, first int) run {
	n := run{first: first, end: first + 1}
	n.firstFrame, n.lastFrame = framesOf(ranges[first])
	for ; n.end < len(ranges); n.end++ {
		from, to := framesOf(ranges[n.end])
		gap := int64(0)
		for f := n.lastFrame + 1; f < from && gap <= maxGap; f++ {
			gap += a.Frames[f]
		}
		if gap > maxGap {
			break
		}
		n.lastFrame = max(n.lastFrame, to)
	}
	return n
}

// framesOf returns the first and the last frame that a range touches.
func framesOf(g Range) (from, to int64) {
	return g.Off / frameSize, max(g.Off, g.Off+g.Len-1) / frameSize
}

// readRun reads one run, from the first source that can, and from the next where one fails on the way.
func (r *Reader) readRun(ctx context.Context, w *window, n run, ranges []Range, fn func(int, []byte) error) error {
	var errs []error
	i := n.first
	for _, src := range r.sources {
		err := w.open(ctx, src, n.lastFrame)
		for err == nil && i < n.end {
			var data []byte
			data, err = w.read(ranges[i])
			if err == nil {
				if err := fn(i, data); err != nil {
					w.close()
					return err
				}
				i++
			}
		}
		w.close()
		if i == n.end {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return errors.New("read an archive: no store to read from")
	}
	return errors.Join(errs...)
}

// buffers are reused from one Read to the next.
type buffers struct {
	stored []byte // a frame as it is stored
	frames []byte // decoded frames that a range still touches
}

// A window is the decoded frames around the range that is being read.
type window struct {
	dec  *zst.Decoder
	a    *manifest.Archive
	bufs *buffers

	src    Source
	body   io.ReadCloser
	at     int64 // the frame that body stands before
	next   int64 // the frame that comes after those in bufs.frames
	frames []byte
}

// open starts a request for the frames that are not decoded yet, up to last.
func (w *window) open(ctx context.Context, src Source, last int64) error {
	w.src, w.at = src, w.next
	if w.next > last {
		return nil // a range at the end of what is decoded
	}
	off, n := int64(0), int64(0)
	for f, size := range w.a.Frames[:last+1] {
		if int64(f) < w.next {
			off += size
		} else {
			n += size
		}
	}
	var err error
	if w.body, err = src.OpenArchive(ctx, w.a.SHA256, off, n); err != nil {
		w.body = nil
		// A manifest lists it, and its frames, so it is missing or too short.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &DamageError{src.String(), src.ArchiveKey(w.a.SHA256), wholeObject, err}
		}
		return fmt.Errorf("read %s: %s: %w", src, src.ArchiveKey(w.a.SHA256), err)
	}
	return nil
}

func (w *window) close() {
	if w.body != nil {
		w.body.Close()
		w.body = nil
	}
}

// read returns the bytes of a range, decoding up to its last frame and forgetting what lies before its first.
func (w *window) read(g Range) ([]byte, error) {
	if g.Len == 0 {
		return nil, nil
	}
	from, to := framesOf(g)
	w.forget(from)
	for w.next <= to {
		if err := w.decode(w.next < from); err != nil {
			return nil, err
		}
	}
	start := w.start()
	return w.frames[g.Off-start:][:g.Len:g.Len], nil
}

// start returns where in the tar stream the decoded frames begin.
func (w *window) start() int64 {
	end := min(w.next*frameSize, w.a.Length)
	return end - int64(len(w.frames))
}

// forget drops decoded frames before frame from.
func (w *window) forget(from int64) {
	drop := min(from*frameSize-w.start(), int64(len(w.frames)))
	if drop <= 0 {
		return
	}
	kept := copy(w.frames, w.frames[drop:])
	w.frames = w.frames[:kept]
}

// decode takes the next frame from the body; skip says that nobody needs it.
func (w *window) decode(skip bool) error {
	f := w.next
	size := w.a.Frames[f]
	if skip {
		if _, err := io.CopyN(io.Discard, w.body, size); err != nil {
			return w.readError(f, err)
		}
		w.next++
		w.frames = w.frames[:0]
		return nil
	}
	w.bufs.stored = grow(w.bufs.stored[:0], size)[:size]
	if _, err := io.ReadFull(w.body, w.bufs.stored); err != nil {
		return w.readError(f, err)
	}
	want := min(frameSize, w.a.Length-f*frameSize)
	have := len(w.frames)
	w.bufs.frames = grow(w.frames, want)
	out, err := w.dec.Decode(w.bufs.frames[have:have:have+int(want)], w.bufs.stored)
	if err == nil && int64(len(out)) != want {
		err = fmt.Errorf("decodes to %d bytes, not %d", len(out), want)
	}
	if err != nil {
		w.frames = w.bufs.frames[:have]
		return &DamageError{w.src.String(), w.src.ArchiveKey(w.a.SHA256), w.place(f), err}
	}
	w.frames = w.bufs.frames[:have+len(out)]
	w.next++
	return nil
}

// place says where a frame lies in the object, for who looks at its bytes.
func (w *window) place(f int64) string {
	off := int64(0)
	for _, size := range w.a.Frames[:f] {
		off += size
	}
	return fmt.Sprintf("frame %d, bytes %d to %d", f, off, off+w.a.Frames[f]-1)
}

func (w *window) readError(f int64, err error) error {
	return fmt.Errorf("read %s: %s: frame %d: %w", w.src, w.src.ArchiveKey(w.a.SHA256), f, err)
}

// grow returns b with room for n more bytes: mostly a frame, and another that a range may begin in.
func grow(b []byte, n int64) []byte {
	if int64(cap(b)-len(b)) >= n {
		return b
	}
	if n == frameSize {
		n = 2 * frameSize
	}
	g := make([]byte, len(b), int64(len(b))+n)
	copy(g, b)
	return g
}
