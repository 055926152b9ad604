// Package remote stores named objects: in an S3-compatible bucket, in a directory, or in memory.
//
// It moves names and bytes. What the names mean, and which object must be written before which, is
// the business of the packages above it. The contract is [Store]; the suite in remotetest holds every
// implementation to it.
package remote

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// A Store holds objects under keys. A key is a relative slash-separated path, such as
// "archives/9f86….tar.zst": no component is empty, "." or "..".
//
// Absence is reported as fs.ErrNotExist and unwanted presence as fs.ErrExist, whatever the store; a
// network that fails, or a store that refuses, is never reported as absence. A Store may be used by
// several goroutines at once. Errors never contain secrets.
type Store interface {
	// Put stores body under key and returns when it is durable. The object appears whole or not at
	// all, and replaces one that was there. The bytes that arrive are checked against body.SHA256 by
	// the receiving side where it can. With PutOptions.IfAbsent, Put fails with fs.ErrExist when the key
	// is taken; a store that cannot promise this atomically checks first, so it is a courtesy and no lock.
	Put(ctx context.Context, key string, body Body, opts PutOptions) error

	// Open returns n bytes of an object from off on; to its end when n is negative. The reader
	// fails with io.ErrUnexpectedEOF rather than end early. The caller closes it.
	Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

	// Stat describes one object.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose key begins with prefix, ascending by key (bytewise). What was Put
	// before the call began is listed. It ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes an object. Removing one that is absent is no error.
	Delete(ctx context.Context, key string) error

	// Now returns the time on the clock that stamps Info.ModTime.
	Now(ctx context.Context) (time.Time, error)

	// String returns the URL of the store for messages, without secrets.
	String() string
}

// Body is the content of an object to be stored. It can be read again, so that a request can be repeated.
type Body struct {
	io.ReaderAt
	Size   int64    // bytes
	SHA256 [32]byte // of exactly these bytes
}

// PutOptions are the rarely needed ones. The zero value overwrites.
type PutOptions struct {
	IfAbsent bool // fail with fs.ErrExist when the key is taken
}

// Info describes an object.
type Info struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // when it was last Put, by the store's own clock
}

// ErrUnavailable marks errors of a store that could not be reached or that refused the request: wrong
// credentials, no such bucket, a network that is down, a directory that is not mounted. Repeating the command later, or
// with other settings, may help; the error's text says which.
var ErrUnavailable = errors.New("remote unavailable")
