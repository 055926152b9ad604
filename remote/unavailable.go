package remote

import (
	"errors"
	"io/fs"
)

// unavailable is an error that is ErrUnavailable. Its text is what happened and the next step.
//
// The cause stays reachable, unless it would make the error look like absence or presence: that the
// directory of a store is missing does not mean that its objects are.
type unavailable struct {
	what  string
	next  string // what a person can do, or ""
	cause error
}

func (e *unavailable) Error() string {
	if e.next == "" {
		return e.what
	}
	return e.what + ": " + e.next
}

func (e *unavailable) Unwrap() []error {
	if e.cause == nil || errors.Is(e.cause, fs.ErrNotExist) || errors.Is(e.cause, fs.ErrExist) {
		return []error{ErrUnavailable}
	}
	return []error{ErrUnavailable, e.cause}
}

// NextStep returns what a person can do about an error that is ErrUnavailable, or "". The error's text ends with it, after ": ".
func NextStep(err error) string {
	e, ok := errors.AsType[*unavailable](err)
	if !ok {
		return ""
	}
	return e.next
}
