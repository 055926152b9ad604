package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Stream calls fn with every page of the database as it was at the pin, from 1 to Pages in order. page is
// valid only during the call, and may be SQLite's own memory: it must not be kept, nor written to.
//
// fn should be quick and must not panic: while it runs, the transaction is open. Its error ends the stream
// and is returned as it is; so does ctx. ErrChanged means that what was delivered is not one state.
func (p *Pinned) Stream(ctx context.Context, fn func(pgno uint32, page []byte) error) error {
	if p.source == nil {
		return errClosed
	}
	var err error
	switch {
	case p.image != nil:
		err = p.streamImage(ctx, fn)
	case p.conn != nil:
		err = p.stream(ctx, 1, fn)
	}
	if err != nil {
		return err
	}
	return p.verify()
}

const (
	// portion is how much of an image is read at once, in bytes: four of the largest pages.
	portion = 256 << 10
	// lockByte lies in the page that SQLite locks instead of writing to it: https://www.sqlite.org/fileformat2.html#the_lock_byte_page.
	lockByte = 1 << 30
)

// streamImage calls fn with the pages as they lie in the file: what SQLite does too where there is neither a log nor a lock to be heeded, but page by
// page and through its cache.
func (p *Pinned) streamImage(ctx context.Context, fn func(pgno uint32, page []byte) error) error {
	size := int64(p.header.pageSize)
	b := make([]byte, min(portion, p.Size()))
	for off := int64(0); off < p.Size(); off += portion {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := b[:min(portion, p.Size()-off)]
		if n, err := p.image.ReadAt(b, off); n < len(b) {
			return p.because(fmt.Errorf("read page %d: %w", (off+int64(n))/size+1, err))
		}
		for at := int64(0); at < int64(len(b)); at += size {
			page := b[at : at+size : at+size]
			if off+at == lockByte {
				clear(page)
			}
			if err := fn(uint32((off+at)/size+1), page); err != nil {
				return err
			}
		}
	}
	return nil
}

var errClosed = errors.New("the database is no longer pinned")

// stream calls fn with the pages from the given one on.
//
// https://www.sqlite.org/dbpage.html. Rows would cost a copy, a few allocations and two calls a page; an aggregate sees the pages where
// SQLite has them, and its order is that of the virtual table, which sink verifies. That table can begin with the first page or be asked for
// one: a join asks for each, which takes half as long again for each, but nothing for those before.
func (p *Pinned) stream(ctx context.Context, from uint32, fn func(pgno uint32, page []byte) error) error {
	s := &sink{ctx: ctx, size: p.header.pageSize, fn: fn, seen: from - 1}
	token := sinks.add(s)
	defer sinks.remove(token)
	query, args := "SELECT "+sinkName+"(?, pgno, data) FROM sqlite_dbpage('main')", []any{token}
	if from > 1 {
		query = "WITH RECURSIVE n(i) AS (VALUES(?) UNION ALL SELECT i+1 FROM n WHERE i<?) SELECT " + sinkName + "(?, pgno, data) FROM n CROSS JOIN sqlite_dbpage('main') WHERE pgno=i"
		args = []any{from, p.pages, token}
	}
	_, err := p.conn.ExecContext(ctx, query, args...)
	switch {
	case s.err != nil:
		return s.err
	case err != nil:
		return p.because(fmt.Errorf("read page %d: %w", s.seen+1, err))
	case s.seen != p.pages:
		return fmt.Errorf("SQLite gave %d pages of %d", s.seen, p.pages)
	}
	return nil
}

// A sink receives the pages of one stream.
type sink struct {
	ctx  context.Context
	size int
	fn   func(pgno uint32, page []byte) error
	seen uint32
	err  error
}

func (s *sink) page(number, data driver.Value) error {
	pgno, isInt := number.(int64)
	page, isBlob := data.([]byte)
	switch {
	case !isInt || !isBlob || pgno != int64(s.seen)+1 || len(page) != s.size:
		return fmt.Errorf("SQLite gave %d bytes as page %v where page %d of %d bytes was due", len(page), number, s.seen+1, s.size)
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	}
	if err := s.fn(uint32(pgno), page); err != nil {
		return err
	}
	s.seen++
	return nil
}

// sinkName is the aggregate function that hands pages to a sink. Its first argument says which.
const sinkName = "lifeboat_sink"

// sinks finds the sink of a stream. A function is registered for a driver, not for a connection, and is not
// told which connection called it.
var sinks registry

type registry struct {
	last atomic.Int64
	m    sync.Map
}

func (r *registry) add(s *sink) (token int64) {
	token = r.last.Add(1)
	r.m.Store(token, s)
	return token
}

func (r *registry) remove(token int64) { r.m.Delete(token) }

func registerSink(d *sqlite.Driver) error {
	return d.RegisterFunction(sinkName, &sqlite.FunctionImpl{
		NArgs:         3,
		VolatileArgs:  true, // pages are passed without a copy
		MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return &aggregate{}, nil },
	})
}

// An aggregate is one evaluation of the function.
type aggregate struct{ sink *sink }

// Step takes a page.
func (a *aggregate) Step(_ *sqlite.FunctionContext, row []driver.Value) error {
	if a.sink == nil {
		s, ok := sinks.m.Load(row[0])
		if !ok {
			return errors.New("nobody waits for these pages") // the schema of a database called the function
		}
		a.sink = s.(*sink)
	}
	if a.sink.err == nil {
		a.sink.err = a.sink.page(row[1], row[2])
	}
	return a.sink.err
}

// WindowValue ends the aggregation, and has no result.
func (a *aggregate) WindowValue(*sqlite.FunctionContext) (driver.Value, error) { return nil, nil }

// WindowInverse is for sliding windows, over which pages are not read.
func (a *aggregate) WindowInverse(*sqlite.FunctionContext, []driver.Value) error {
	return errors.New(sinkName + " is no window function")
}

// Final has nothing to free.
func (a *aggregate) Final(*sqlite.FunctionContext) {}
