package transfer

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
)

// A Stream sends archives of a snapshot that is still being made, so that sending and packing overlap. Archives wait in the
// local store, not in memory, so a slow remote never holds up the capture. The manifest is not its business: Copy, at the end,
// finds what the Stream has sent, sends the rest, and commits.
type Stream struct {
	from, to layout.Store
	opts     Options

	mu    sync.Mutex
	queue []publish.Need
	ended bool
	wake  chan struct{}
	group *errgroup.Group

	failed sync.Once
	ctx    context.Context
}

// NewStream starts a Stream. Close ends it.
func NewStream(ctx context.Context, from, to layout.Store, opts Options) *Stream {
	s := &Stream{from: from, to: to, opts: opts, wake: make(chan struct{}, 1)}
	s.group, s.ctx = errgroup.WithContext(ctx)
	n := opts.Concurrency
	if n <= 0 {
		n = DefaultConcurrency
	}
	for range n {
		s.group.Go(func() error {
			err := s.work()
			if err != nil && opts.Failed != nil {
				s.failed.Do(func() { opts.Failed(err) })
			}
			return err
		})
	}
	return s
}

// Add queues an archive that is in the local store. It does not wait.
func (s *Stream) Add(a *manifest.Archive) {
	s.mu.Lock()
	s.queue = append(s.queue, publish.Need{SHA256: a.SHA256, Size: a.Size})
	s.mu.Unlock()
	s.signal()
}

// Close waits until everything is sent, or something failed.
func (s *Stream) Close() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
	return s.group.Wait()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for an archive; false means that there will be none.
func (s *Stream) next() (publish.Need, bool) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			a := s.queue[0]
			s.queue = s.queue[1:]
			s.mu.Unlock()
			s.signal() // there may be more for another worker
			return a, true
		}
		ended := s.ended
		s.mu.Unlock()
		if ended {
			s.signal()
			return publish.Need{}, false
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return publish.Need{}, false
		}
	}
}

func (s *Stream) work() error {
	for {
		a, ok := s.next()
		if !ok {
			return context.Cause(s.ctx)
		}
		there, err := s.has(a)
		if err != nil {
			return err
		}
		if there {
			s.sent(a)
			continue
		}
		if err := copyFrom(s.ctx, s.ctx, s.from, s.to, a, s.opts); err != nil {
			return err
		}
		if s.opts.Progress != nil {
			s.opts.Progress(a.Size)
		}
		s.sent(a)
	}
}

// has reports whether an archive need not be sent.
func (s *Stream) has(a publish.Need) (bool, error) {
	if s.opts.Always {
		return false, nil
	}
	if s.opts.Listed != nil {
		return s.opts.Listed[a.SHA256].Size == a.Size, nil
	}
	info, err := s.to.Stat(s.ctx, layout.ArchiveKey(a.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size == a.Size, err
}

func (s *Stream) sent(a publish.Need) {
	if s.opts.Sent != nil {
		s.opts.Sent(a.SHA256)
	}
}
