// Package remote stores named objects: in an S3-compatible bucket, in a directory, or in memory.
//
// It moves names and bytes. What the names mean, and which object must be written before which, is
// the business of the packages above it. The contract is [Store]; the suite in remotetest holds every
// implementation to it. [Open] makes a store from a URL and the settings that belong to it.
package remote

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// A Store holds objects under keys. A key is a relative slash-separated path, such as
// "archives/9f86….tar.zst": no component is empty, "." or "..", longer than 255 bytes, or begins with
// ".tmp-"; a key is at most 512 bytes of UTF-8 without control characters and backslashes. No key may
// be a leading directory of another ("a" and "a/b"). What is not a key is refused with fs.ErrInvalid.
//
// Absence is reported as fs.ErrNotExist and unwanted presence as fs.ErrExist, whatever the store; a
// network that fails, or a store that refuses, is never reported as absence. A Store may be used by
// several goroutines at once. Errors never contain secrets. When ctx ends, so does the call, with the
// context's error.
type Store interface {
	// Put stores body under key and returns when it is durable. The object appears whole or not at
	// all, and replaces one that was there. The bytes that arrive are checked against body.SHA256 by
	// the receiving side where it can; a body that does not match is refused with ErrMismatch. With
	// PutOptions.IfAbsent, Put fails with fs.ErrExist when the key is taken; a store that cannot
	// promise this atomically checks first, so it is a courtesy and no lock. After any other error the
	// object may or may not be there, whole: an answer can be lost.
	Put(ctx context.Context, key string, body Body, opts PutOptions) error

	// Open returns n bytes of an object from off on; to its end when n is negative. A range that
	// does not lie inside the object is io.ErrUnexpectedEOF, and the reader fails with
	// io.ErrUnexpectedEOF, or with the network's error, rather than end early. ctx governs the
	// reader too. The caller closes it.
	Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

	// Stat describes one object.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose key begins with prefix, ascending by key (bytewise). What was Put
	// before the call began is listed. What lies in the store under a name that is not a key is not.
	// It ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes an object. Removing one that is absent is no error.
	Delete(ctx context.Context, key string) error

	// Now returns the time on the clock that stamps Info.ModTime. It is never ahead of that clock, and
	// may be a second or two behind it.
	Now(ctx context.Context) (time.Time, error)

	// String returns the URL of the store for messages, without secrets.
	String() string
}

// Body is the content of an object to be stored. It can be read again, so that a request can be
// repeated. The store reads Size bytes of it, and does not close it.
type Body struct {
	io.ReaderAt
	Size   int64    // bytes
	SHA256 [32]byte // of exactly these bytes
}

// PutOptions are the rarely needed ones. The zero value overwrites.
type PutOptions struct {
	IfAbsent bool // fail with fs.ErrExist when the key is taken

	// Same says, with IfAbsent, that whatever lies under the key has the same content, as where a name is that of its content. To replace
	// it does no harm then, so a store that cannot promise IfAbsent does not check first, and Put may succeed though the key is taken.
	Same bool
}

// Info describes an object.
type Info struct {
	Key  string
	Size int64 // bytes

	// ModTime is when the object was last Put, by the store's own clock. List and Stat may give it
	// to different precision.
	ModTime time.Time
}

// ErrUnavailable marks errors of a store that could not be reached or that refused the request: wrong
// credentials, no such bucket, a network that is down, a directory that is not mounted. Repeating the
// command later, or with other settings, may help; the error's text says which. Such an error is never
// fs.ErrNotExist or fs.ErrExist as well.
var ErrUnavailable = errors.New("remote unavailable")

// ErrMismatch marks the refusal of a Body whose bytes are not what its Size and SHA256 say: they were
// damaged or changed on this side. Nothing was stored.
var ErrMismatch = errors.New("content does not match its SHA-256")
