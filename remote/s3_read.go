package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"
)

// resumeProgress is how many bytes of a body that broke off must come for the next break to count as the first.
const resumeProgress = 1 << 20

func (s *s3Store) Open(ctx context.Context, key string, off, n int64) (_ io.ReadCloser, err error) {
	defer s.explain(ctx, &err, "open", key)
	object, err := s.object(key)
	if err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("offset %d: %w", off, fs.ErrInvalid)
	}
	r := &s3Reader{store: s, ctx: ctx, key: key, object: object, off: off}
	if n == 0 {
		return r.checkEmpty()
	}
	err = s.try(ctx, func() error { return r.open(n) })
	if isBadRange(err) {
		return r.checkEnd(n)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// An s3Reader reads a range of an object. When the connection breaks it asks for the rest, of the
// same content: If-Match holds it to the ETag.
type s3Reader struct {
	store       *s3Store
	ctx         context.Context
	key, object string

	body io.ReadCloser // nil: none, or closed
	off  int64         // of the next byte
	left int64         // bytes still to come
	etag string

	attempt  *attempt // at getting on, after the body broke off; else nil
	progress int64    // bytes since then
	err      error    // the reader has failed
}

// open asks for n bytes from r.off, to the end if n is negative, and checks that they are announced.
func (r *s3Reader) open(n int64) error {
	opts := minio.GetObjectOptions{}
	if n > 0 {
		opts.Set("Range", fmt.Sprintf("bytes=%d-%d", r.off, r.off+n-1))
	} else if r.off > 0 {
		opts.Set("Range", fmt.Sprintf("bytes=%d-", r.off))
	}
	if r.etag != "" {
		if err := opts.SetMatchETag(r.etag); err != nil {
			return err
		}
	}
	body, info, header, err := r.store.core.GetObject(r.ctx, r.store.loc.Bucket, r.object, opts)
	if err != nil {
		return err
	}
	left := info.Size
	if opts.Header().Get("Range") != "" {
		left, err = checkContentRange(header.Get("Content-Range"), r.off, n)
	}
	switch {
	case err != nil:
	case info.ETag == "" || left < 0 || info.Size >= 0 && info.Size != left:
		err = errNotS3
	case r.etag != "" && info.ETag != r.etag:
		err = errChanged
	}
	if err != nil {
		body.Close()
		return err
	}
	r.body, r.left, r.etag = body, left, info.ETag
	return nil
}

// errChanged says that an object was replaced while it was read.
var errChanged = errors.New("the object was replaced while it was read")

// checkEmpty opens no bytes: HTTP has no such range.
func (r *s3Reader) checkEmpty() (io.ReadCloser, error) {
	err := r.store.try(r.ctx, func() error {
		o, err := r.store.head(r.ctx, r.object)
		if err == nil {
			_, err = span(r.off, 0, o.Size)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// checkEnd opens a range that the server refused. One that begins at the end of the object and goes
// to its end is no mistake.
func (r *s3Reader) checkEnd(n int64) (io.ReadCloser, error) {
	var size int64
	err := r.store.try(r.ctx, func() error {
		o, err := r.store.head(r.ctx, r.object)
		size = o.Size
		return err
	})
	if err != nil {
		return nil, err
	}
	left, err := span(r.off, n, size)
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, errChanged
	}
	return r, nil
}

func (r *s3Reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	for r.left > 0 {
		if err := r.resume(); err != nil {
			return 0, r.fail(err)
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
		r.off += int64(n)
		r.left -= int64(n)
		if r.progress += int64(n); r.progress >= resumeProgress {
			r.attempt = nil
		}
		if err != nil && r.left > 0 {
			if err := r.broken(err); err != nil {
				return n, r.fail(err)
			}
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// broken waits until it is time to ask for the rest of a body that broke off. An error says that there is no use. The server does
// answer, with the beginning of a body, so this is not an outage, and is bounded as what happens to one request alone.
func (r *s3Reader) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.closeBody()
	if r.attempt == nil {
		r.attempt, r.progress = r.store.attempt(), 0
		return r.ctx.Err()
	}
	r.attempt.began = time.Now() // the body took its time, not the failure
	return r.attempt.again(r.ctx, err)
}

// resume asks for the rest if the body broke off.
func (r *s3Reader) resume() error {
	if r.body != nil {
		return nil
	}
	left := r.left
	err := r.store.try(r.ctx, func() error { return r.open(left) })
	if isPrecondition(err) || isBadRange(err) {
		return errChanged
	}
	return err
}

func (r *s3Reader) fail(err error) error {
	r.store.explain(r.ctx, &err, "read", r.key)
	r.err = err
	return err
}

func (r *s3Reader) closeBody() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// Close ends the reading. The rest of the body is not read.
func (r *s3Reader) Close() error {
	r.closeBody()
	if r.err == nil {
		r.err = fs.ErrClosed
	}
	return nil
}
