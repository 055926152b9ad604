package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A clock is that of the machine and of the stores, which stands still until it is set.
type clock struct{ now time.Time }

// Now implements publish.Clock.
func (c *clock) Now() publish.Reading {
	return publish.Reading{Wall: c.now, Monotonic: c.now.Sub(time.Time{}.AddDate(2000, 0, 0))}
}

// Sleep implements publish.Clock.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return ctx.Err()
}

// A counting store counts what is asked of it.
type counting struct {
	remote.Store
	uploaded   atomic.Int64 // bytes
	tables     atomic.Int64 // of that, archives with tables and maps
	downloaded atomic.Int64 // bytes that were asked for

	mu       sync.Mutex
	requests map[string]int // for bytes, by key
}

// Put implements remote.Store.
func (c *counting) Put(ctx context.Context, key string, body remote.Body, opts remote.PutOptions) error {
	c.uploaded.Add(body.Size)
	return c.Store.Put(ctx, key, body, opts)
}

// Open implements remote.Store.
func (c *counting) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	c.downloaded.Add(max(0, n))
	c.mu.Lock()
	c.requests[key]++
	c.mu.Unlock()
	return c.Store.Open(ctx, key, off, n)
}

// A shop is a store, how long snapshots stay in it, and what came to it.
type shop struct {
	layout.Store
	counting *counting
}

func newShop(c *clock) *shop {
	counting := &counting{Store: remote.NewMemory(func() time.Time { return c.now }), requests: map[string]int{}}
	return &shop{layout.Store{Store: counting}, counting}
}

// stored returns how much lies in the store, in bytes.
func (s *shop) stored(ctx context.Context) (n int64, err error) {
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return 0, err
		}
		n += info.Size
	}
	return n, nil
}

// A target writes a snapshot to shops at once, as backup does, but without a local store in between.
type target struct {
	shops []*shop
	clock publish.Clock
}

// Create implements snapshot.Target.
func (t *target) Create(ctx context.Context, source string) (archive.Object, error) {
	return &object{ctx: ctx, shops: t.shops, tables: source == ""}, nil
}

// Commit implements snapshot.Target.
func (t *target) Commit(ctx context.Context, id manifest.ID, stored []byte) error {
	near := layout.Store{Store: remote.NewMemory(nil)}
	if err := near.Commit(ctx, id, stored); err != nil {
		return err
	}
	for _, s := range t.shops {
		snap, err := layout.OpenSnapshot(ctx, id, 1, near, s.Store)
		if err != nil {
			return err
		}
		if err := publish.Commit(ctx, snap, s.Store, publish.Options{Clock: t.clock}, unsafe); err != nil {
			return err
		}
	}
	return nil
}

// unsafe is called for archives that a snapshot was made to lean on, and must not.
func unsafe(_ context.Context, needs []publish.Need) error {
	return fmt.Errorf("%d archives that are leaned on are not there, or may go", len(needs))
}

// An object is an archive that is being written.
type object struct {
	bytes.Buffer
	ctx    context.Context
	shops  []*shop
	tables bool
}

// Commit implements archive.Object.
func (o *object) Commit(a *manifest.Archive) error {
	var errs []error
	for _, s := range o.shops {
		if o.tables {
			s.counting.tables.Add(a.Size)
		}
		errs = append(errs, s.PutSmall(o.ctx, layout.ArchiveKey(a.SHA256), o.Bytes(), remote.PutOptions{}))
	}
	return errors.Join(errs...)
}

// Discard implements archive.Object.
func (o *object) Discard() {}
