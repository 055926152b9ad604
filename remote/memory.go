package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// NewMemory returns a store that lives as long as the process, for tests and trials. Its clock is now,
// or the machine's when now is nil. It keeps its rules strictly: a key that lies below another is an
// error.
func NewMemory(now func() time.Time) Store {
	if now == nil {
		now = time.Now
	}
	return &memory{now: now, objects: map[string]object{}}
}

type memory struct {
	now func() time.Time

	mu      sync.Mutex
	objects map[string]object
}

// object is never changed, only replaced, so that a reader keeps what it opened.
type object struct {
	data    []byte
	modTime time.Time
}

func (m *memory) String() string { return "memory:" }

func (m *memory) Put(ctx context.Context, key string, body Body, opts PutOptions) (err error) {
	defer annotate(&err, "put", "memory:"+key)
	if err := checkKey(key); err != nil {
		return err
	}
	src, err := newSource(body)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := src.copyTo(ctx, &buf); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, taken := m.objects[key]; taken && opts.IfAbsent {
		return fs.ErrExist
	}
	for other := range m.objects {
		if strings.HasPrefix(key, other+"/") || strings.HasPrefix(other, key+"/") {
			return fmt.Errorf("one of it and %q would have to be a directory: %w", other, fs.ErrInvalid)
		}
	}
	m.objects[key] = object{buf.Bytes(), m.now()}
	return nil
}

func (m *memory) get(ctx context.Context, key string) (object, error) {
	if err := checkKey(key); err != nil {
		return object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return object{}, fs.ErrNotExist
	}
	return o, ctx.Err()
}

func (m *memory) Open(ctx context.Context, key string, off, n int64) (_ io.ReadCloser, err error) {
	defer annotate(&err, "open", "memory:"+key)
	o, err := m.get(ctx, key)
	if err != nil {
		return nil, err
	}
	n, err = span(off, n, int64(len(o.data)))
	if err != nil {
		return nil, err
	}
	return &exactReader{r: contextReader{ctx, bytes.NewReader(o.data[off : off+n])}, n: n}, nil
}

func (m *memory) Stat(ctx context.Context, key string) (_ Info, err error) {
	defer annotate(&err, "stat", "memory:"+key)
	o, err := m.get(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return Info{key, int64(len(o.data)), o.modTime}, nil
}

func (m *memory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkListPrefix(prefix); err != nil {
			yield(Info{}, fmt.Errorf("list memory: %w", err))
			return
		}
		m.mu.Lock()
		objects := maps.Clone(m.objects)
		m.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(Info{}, fmt.Errorf("list memory: %w", err))
				return
			}
			if !yield(Info{key, int64(len(objects[key].data)), objects[key].modTime}, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, key string) (err error) {
	defer annotate(&err, "delete", "memory:"+key)
	if err := checkKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

func (m *memory) Now(context.Context) (time.Time, error) { return m.now(), nil }

// annotate puts verb and object before the cause, if there is one.
func annotate(err *error, verb, object string) {
	if *err != nil {
		*err = fmt.Errorf("%s %s: %w", verb, object, *err)
	}
}
