package remote

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// List asks page by page. A page that fails for a passing reason is asked for again, from the last
// key that was yielded.
func (s *s3Store) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return s.list(ctx, prefix, "")
}

// ListAfter yields the objects whose key sorts after a text, as List does. So what comes late in a bucket is listed without what comes first.
func (s *s3Store) ListAfter(ctx context.Context, after string) iter.Seq2[Info, error] {
	return s.list(ctx, "", after)
}

func (s *s3Store) list(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := checkListPrefix(prefix)
		if err == nil {
			l := listing{store: s, ctx: ctx, prefix: s.prefix + prefix, yield: yield}
			if after != "" {
				l.after = s.prefix + after
				l.last = l.after
			}
			err = s.try(ctx, l.run)
			if err == nil {
				s.listed.Store(true)
			}
		}
		if err != nil {
			s.explain(ctx, &err, "list", prefix)
			yield(Info{}, err)
		}
	}
}

// A listing is one call of List.
type listing struct {
	store  *s3Store
	ctx    context.Context
	prefix string // with the store's
	yield  func(Info, error) bool
	after  string // names up to this are not wanted; "" means that all are
	last   string // name of the last object that was seen, or after
}

// run lists what comes after l.last.
func (l *listing) run() error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	no := false
	objects := l.store.core.ListObjectsIter(ctx, l.store.loc.Bucket, minio.ListObjectsOptions{
		Prefix:     l.prefix,
		Recursive:  true,
		StartAfter: l.last,
		FetchOwner: &no,
	})
	for o := range objects {
		if o.Err != nil {
			return listingError(o.Err)
		}
		if l.last == l.after && o.Key <= l.after && strings.HasPrefix(o.Key, l.prefix) {
			continue // the server does not know start-after
		}
		if err := l.check(o.Key); err != nil {
			return err
		}
		l.last = o.Key
		info := Info{Key: strings.TrimPrefix(o.Key, l.store.prefix), Size: o.Size, ModTime: o.LastModified}
		if checkKey(info.Key) != nil {
			continue // a folder's mark, or someone else's
		}
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if !l.yield(info, nil) {
			return nil
		}
	}
	return l.ctx.Err() // minio-go ends silently then
}

// listingError marks what cannot be a listing.
func listingError(err error) error {
	if _, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return &garbledError{fmt.Errorf("a listing that is cut or garbled (%w): %w", err, errNotS3)}
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.StatusCode == 0 { // minio-go's own: there is no continuation token
		return fmt.Errorf("the server says that its listing goes on, and not where: %w", errNotS3)
	}
	return err
}

// check refuses a server that lists other objects than asked for, or not in order: then one may be
// missing.
func (l *listing) check(name string) error {
	if !strings.HasPrefix(name, l.prefix) {
		return fmt.Errorf("asked for %.100q, the server lists %.100q: %w", l.prefix, name, errNotS3)
	}
	if l.last != "" && name <= l.last {
		return &unavailable{what: fmt.Sprintf("the server lists %.100q after %.100q, which is not in order", name, l.last),
			next: "this kind of bucket (such as a directory bucket) cannot be used"}
	}
	return nil
}
