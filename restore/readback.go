package restore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/sparse"
	"lifeboat/manifest"
)

// What a file that arrives in parts is proved by is read back from it: the bytes that lie in the file, after all of them were written, and not those
// that were to be written. Every byte is read back once, in order, and is hashed; how far that has come follows what has arrived, so that little is
// left to do when the last byte comes. Nothing is ever written again to what was read back.

const (
	readers    = 2       // files that are read back at once
	followStep = 4 << 20 // bytes that must be there before they are read back, but at the end
)

// parts is how much of a file has arrived, and how much of that was read back.
type parts struct {
	mu     sync.Mutex
	front  int64           // what lies before it is all there
	begins map[int64]int64 // what is there behind it: where each part ends, by where it begins; no two of them touch
	ends   map[int64]int64 // and the other way round

	following atomic.Bool // somebody is about to read back, or does
	read      atomic.Int64
	reading   sync.Mutex // held by who reads back
	digest    hash.Hash  // of the first read bytes
}

func newParts() *parts {
	return &parts{begins: map[int64]int64{}, ends: map[int64]int64{}, digest: sha256.New()}
}

// add notes that n bytes at off are there, which were not before, and returns up to where everything is.
func (p *parts) add(off, n int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, to := off, off+n
	if begin, ok := p.ends[from]; ok {
		delete(p.ends, from)
		from = begin
	}
	if end, ok := p.begins[to]; ok {
		delete(p.begins, to)
		delete(p.ends, end)
		to = end
	}
	if from == p.front {
		p.front = to
	} else {
		p.begins[from], p.ends[to] = to, from
	}
	return p.front
}

// arrived notes that bytes of a file are in their place. When they are the last, the file is read back to its end and finished, in the background.
func (l *layer) arrived(out *output, at, n int64) {
	l.opts.Meter.Add(n)
	front := out.parts.add(at, n)
	if out.left.Add(-n) == 0 {
		l.complete(out)
	} else if front-out.parts.read.Load() >= followStep {
		l.follow(out, front)
	}
}

// follow reads a file back to where everything is there, in the background, unless somebody does already or too many others do.
func (l *layer) follow(out *output, front int64) {
	p := out.parts
	if !p.following.CompareAndSwap(false, true) {
		return
	}
	if !l.readers.tryTake() {
		p.following.Store(false)
		return
	}
	began := l.checking.TryGo(func() error {
		defer p.following.Store(false)
		defer l.readers.free()
		return l.readBack(out, front)
	})
	if !began {
		l.readers.free()
		p.following.Store(false)
	}
}

// readBack reads back what was not read of the first n bytes of a file, all of which are there, and begins to bring them to the disk. Holes are not read,
// but they count as the zeros that they are.
func (l *layer) readBack(out *output, n int64) error {
	p := out.parts
	p.reading.Lock()
	defer p.reading.Unlock()
	from := p.read.Load()
	if from >= n {
		return nil
	}
	f, err := l.root.Open(out.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := sparse.Part(f, from, n, func(_ int64, part []byte, _ bool) error {
		p.digest.Write(part)
		return context.Cause(l.checkCtx)
	}); err != nil {
		return fmt.Errorf("read back %q: %w", out.file.Path, cause(err))
	}
	if !l.verifying {
		durable.Begin(f, from, n-from)
	}
	p.read.Store(n)
	return nil
}

// complete reads a file back that has all its bytes, and finishes it, in the background.
func (l *layer) complete(out *output) {
	l.checking.Go(func() error {
		if l.salvage.has(out) {
			return nil
		}
		if err := l.verify(out); errors.Is(err, layout.ErrDigest) {
			if l.salvage != nil {
				l.salvage.wrongDigest(out)
				return nil
			}
			return errors.Join(l.wrong(err), l.forget(out))
		} else if err != nil {
			return err
		}
		return l.checked(out)
	})
}

// verify reads a file back to its end and compares it with its SHA-256.
func (l *layer) verify(out *output) error {
	if err := l.readers.take(l.checkCtx); err != nil {
		return err
	}
	defer l.readers.free()
	if err := l.readBack(out, out.file.Size); err != nil {
		return err
	}
	if sum := manifest.Hash(out.parts.digest.Sum(nil)); sum != out.file.SHA256 {
		return &layout.DigestError{Path: out.file.Path, Want: out.file.SHA256, Got: sum}
	}
	return nil
}

// slots bound how many do something at once.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slots) tryTake() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) free() { <-s }
