package remote

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// span returns how many bytes Open(off, n) covers in an object of the given size.
func span(off, n, size int64) (int64, error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("offset %d: %w", off, fs.ErrInvalid)
	case off > size, n > size-off:
		return 0, &rangeError{off, n, size}
	case n < 0:
		return size - off, nil
	}
	return n, nil
}

// A rangeError says that a range does not lie inside an object.
type rangeError struct{ off, n, size int64 }

func (e *rangeError) Error() string {
	to := "the end"
	if e.n >= 0 {
		to = fmt.Sprint(e.off + e.n)
	}
	return fmt.Sprintf("bytes %d to %s of %d: %v", e.off, to, e.size, io.ErrUnexpectedEOF)
}

func (e *rangeError) Unwrap() error { return io.ErrUnexpectedEOF }

// A source reads the bytes of a Body and remembers why it could not, so that a failure on this side is
// not taken for a failure of the network that carries them.
//
// An HTTP transport may go on reading a request's body after the request has failed, so a source can
// be shut: the Body is not touched after Put has returned.
type source struct {
	size   int64
	sha256 [32]byte

	mu   sync.Mutex
	body io.ReaderAt
	err  *sourceError
}

// A sourceError says that the content of an object to be stored could not be read.
type sourceError struct{ cause error }

func (e *sourceError) Error() string { return "read what is to be stored: " + e.cause.Error() }
func (e *sourceError) Unwrap() error { return e.cause }

func newSource(body Body) (*source, error) {
	if body.Size < 0 || body.Size > 0 && body.ReaderAt == nil {
		return nil, fmt.Errorf("body of %d bytes: %w", body.Size, fs.ErrInvalid)
	}
	return &source{size: body.Size, sha256: body.SHA256, body: body.ReaderAt}, nil
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body == nil {
		return 0, fs.ErrClosed
	}
	n, err := s.body.ReadAt(p, off)
	switch {
	case n == len(p):
		return n, nil
	case err == io.EOF && off+int64(n) >= s.size:
		return n, err
	case err == io.EOF:
		err = fmt.Errorf("%w: it ends at %d of %d bytes", ErrMismatch, off+int64(n), s.size)
	}
	s.err = &sourceError{err}
	return n, s.err
}

// failed returns why the body could not be read, or nil.
func (s *source) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return s.err
}

func (s *source) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = nil
}

func (s *source) reader() io.ReadSeeker { return io.NewSectionReader(s, 0, s.size) }

// copyTo writes the body to w and fails with ErrMismatch after writing one that is not what it says.
func (s *source) copyTo(ctx context.Context, w io.Writer) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), contextReader{ctx, s.reader()})
	switch {
	case err != nil:
		return err
	case n != s.size || [32]byte(h.Sum(nil)) != s.sha256:
		return ErrMismatch
	}
	return nil
}

// md5 returns the MD5 of the body, and ErrMismatch if the body is not what it says.
func (s *source) md5(ctx context.Context) ([]byte, error) {
	h := md5.New()
	if err := s.copyTo(ctx, h); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// contextReader fails once its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// exactReader reads n bytes, and fails with io.ErrUnexpectedEOF when there are fewer. Closing it
// closes c, if there is one.
type exactReader struct {
	r      io.Reader
	n      int64
	c      io.Closer
	closed bool
}

func (r *exactReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, fs.ErrClosed
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.n)])
	r.n -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if r.n > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (r *exactReader) Close() error {
	if r.closed || r.c == nil {
		r.closed = true
		return nil
	}
	r.closed = true
	return r.c.Close()
}
