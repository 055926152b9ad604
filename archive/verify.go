package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"lifeboat/manifest"
)

// Verify reads an archive as a whole from one source and checks everything that can be checked of it alone: that there is
// not a byte more or less than its size, the SHA-256 that is its name, every frame, and the chunk index. On the way it passes
// ranges of it to fn as Read does, so that one reading serves both; what fn is given has passed the checksums of its frames, and no more.
// A *DamageError says what is wrong; any other error, that it could not be read, or is fn's.
func (r *Reader) Verify(ctx context.Context, src Source, a *manifest.Archive, ranges []Range, fn func(i int, data []byte) error) error {
	damaged := func(place string, err error) error {
		return &DamageError{src.String(), src.ArchiveKey(a.SHA256), place, err}
	}
	if err := checkRanges(a, ranges); err != nil {
		return err
	}
	body, err := src.OpenArchive(ctx, a.SHA256, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(wholeObject, err) // a manifest lists it
	}
	if err != nil {
		return fmt.Errorf("verify %s: %s: %w", src, src.ArchiveKey(a.SHA256), err)
	}
	defer body.Close()
	digest := sha256.New()
	bufs := r.buffers.Get().(*buffers)
	defer r.buffers.Put(bufs)
	w := &window{dec: r.dec, a: a, bufs: bufs, src: src, body: io.NopCloser(io.TeeReader(body, digest)), frames: bufs.frames[:0]}
	check := &indexCheck{a: a}
	next := 0 // range
	for w.next < int64(len(a.Frames)) {
		from := w.next // the first frame that is still needed
		if next < len(ranges) {
			first, _ := framesOf(ranges[next])
			from = min(from, first)
		}
		w.forget(from)
		have := len(w.frames)
		if err := w.decode(false); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				return damaged("end", fmt.Errorf("shorter than %d bytes", a.Size))
			}
			return err
		}
		check.add(w.frames[have:])
		for ; next < len(ranges); next++ {
			if _, last := framesOf(ranges[next]); last >= w.next {
				break
			}
			data, err := w.read(ranges[next])
			if err != nil {
				return err
			}
			if err := fn(next, data); err != nil {
				return err
			}
		}
	}
	for ; next < len(ranges); next++ { // those of no bytes at the end
		if err := fn(next, nil); err != nil {
			return err
		}
	}
	if n, err := io.Copy(digest, body); err != nil {
		return fmt.Errorf("verify %s: %s: %w", src, src.ArchiveKey(a.SHA256), err)
	} else if n > 0 {
		return damaged("end", fmt.Errorf("%d bytes longer than %d", n, a.Size))
	}
	if got := manifest.Hash(digest.Sum(nil)); got != a.SHA256 {
		return damaged(wholeObject, fmt.Errorf("its SHA-256 is %s", got))
	}
	if err := check.end(); err != nil {
		return damaged("chunk index", err)
	}
	return nil
}

// indexCheck collects the chunk index as the tar stream passes, and checks it at the end.
type indexCheck struct {
	a     *manifest.Archive
	off   int64
	index []byte
}

func (c *indexCheck) add(p []byte) {
	from := max(0, c.a.Index.Off-c.off)
	if to := min(int64(len(p)), c.a.Index.Off+c.a.Index.Len-c.off); from < to {
		c.index = append(c.index, p[from:to]...)
	}
	c.off += int64(len(p))
}

func (c *indexCheck) end() error {
	if manifest.HashOf(c.index) != c.a.Index.SHA256 {
		return errors.New("its digest is not the one in the archives table")
	}
	_, err := ParseIndex(c.index, c.a.Length)
	return err
}
