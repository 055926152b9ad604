package snaptest

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"testing"

	"lifeboat/remote"
)

// ErrFault is the failure that was asked for.
var ErrFault = errors.New("fault on purpose")

// Faults let one operation fail, of those that pass through them: the one with number At, counted from 0, before it has any
// effect or after all of it. Instead of failing it may call Instead, which then decides what becomes of the operation.
type Faults struct {
	At      int64
	After   bool
	Instead func() // such as the cancelling of a context; the operation goes on

	count atomic.Int64
}

// Count returns how many operations there were.
func (f *Faults) Count() int64 { return f.count.Load() }

// Hit reports whether the operation that was to fail has come.
func (f *Faults) Hit() bool { return f.count.Load() > f.At }

func (f *Faults) do(operation func() error) error {
	hit := f.count.Add(1)-1 == f.At
	if hit && f.Instead != nil {
		f.Instead()
		hit = false
	}
	if hit && !f.After {
		return ErrFault
	}
	err := operation()
	if hit && err == nil {
		err = ErrFault
	}
	return err
}

// FaultyStore is a store that fails when Faults say so: in every method, and while an object is read. A directory
// stays one that can open files.
func FaultyStore(s remote.Store, f *Faults) remote.Store {
	faulty := &faultyStore{s, f}
	if dir, ok := s.(*remote.Dir); ok {
		return faultyDir{faulty, dir}
	}
	return faulty
}

type faultyStore struct {
	remote.Store
	faults *Faults
}

func (s *faultyStore) Put(ctx context.Context, key string, body remote.Body, opts remote.PutOptions) error {
	return s.faults.do(func() error { return s.Store.Put(ctx, key, body, opts) })
}

func (s *faultyStore) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	var r io.ReadCloser
	err := s.faults.do(func() (err error) {
		r, err = s.Store.Open(ctx, key, off, n)
		return err
	})
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	return &faultyReader{ReadCloser: r, faults: s.faults}, nil
}

// A faultyReader counts as one operation, at its first read; to fail after it is to break off in the middle.
type faultyReader struct {
	io.ReadCloser
	faults  *Faults
	started bool
	broken  bool
}

func (r *faultyReader) Read(p []byte) (n int, err error) {
	if r.broken {
		return 0, ErrFault
	}
	if r.started {
		return r.ReadCloser.Read(p)
	}
	r.started = true
	err = r.faults.do(func() error {
		n, err = r.ReadCloser.Read(p)
		return err
	})
	if errors.Is(err, ErrFault) {
		r.broken = true
		return n / 2, err
	}
	return n, err
}

func (s *faultyStore) Stat(ctx context.Context, key string) (info remote.Info, err error) {
	err = s.faults.do(func() error {
		info, err = s.Store.Stat(ctx, key)
		return err
	})
	return info, err
}

func (s *faultyStore) Delete(ctx context.Context, key string) error {
	return s.faults.do(func() error { return s.Store.Delete(ctx, key) })
}

// List fails before the first entry or after the last.
func (s *faultyStore) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		err := s.faults.do(func() error {
			for info, err := range s.Store.List(ctx, prefix) {
				if err != nil {
					return err
				}
				if !yield(info, nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(remote.Info{}, err)
		}
	}
}

var errStop = errors.New("no more is wanted")

type faultyDir struct {
	*faultyStore
	dir *remote.Dir
}

func (d faultyDir) OpenFile(key string) (f *os.File, err error) {
	err = d.faults.do(func() error {
		f, err = d.dir.OpenFile(key)
		return err
	})
	if err != nil && f != nil {
		f.Close()
	}
	return f, err
}

// EachFault runs a test with each operation failing in turn, before and after its effect, and at last with none. run
// returns how the attempt ended; it must succeed when no operation failed.
func EachFault(t *testing.T, run func(t *testing.T, f *Faults) error) {
	t.Helper()
	for _, after := range []bool{false, true} {
		for at := int64(0); ; at++ {
			f := &Faults{At: at, After: after}
			err := run(t, f)
			if t.Failed() {
				t.Fatalf("that was with operation %d failing (after its effect: %v)", at, after)
			}
			if !f.Hit() {
				if err != nil {
					t.Fatalf("without a fault: %v", err)
				}
				t.Logf("%d operations failed in turn, after their effect: %v", at, after)
				break
			}
			if at == 10_000 {
				t.Fatal("it does not come to an end")
			}
		}
	}
}

// EachCancel runs a test with the context cancelled before each operation in turn.
func EachCancel(t *testing.T, run func(t *testing.T, ctx context.Context, f *Faults) error) {
	t.Helper()
	for at := int64(0); ; at++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := &Faults{At: at, Instead: func() { cancel(ErrFault) }}
		err := run(t, ctx, f)
		cancel(nil)
		if t.Failed() {
			t.Fatalf("that was with the context cancelled before operation %d", at)
		}
		if !f.Hit() {
			if err != nil {
				t.Fatalf("without a fault: %v", err)
			}
			t.Logf("the context was cancelled before each of %d operations", at)
			return
		}
	}
}
