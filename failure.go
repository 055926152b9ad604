package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/archive"
	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
)

// Exit codes. A code that a script does not know means failure.
const (
	codeOK          = 0
	codeFailed      = 1
	codeIncomplete  = 3  // something that was asked for is not in the snapshot
	codeIntegrity   = 4  // data is damaged
	codeRefused     = 8  // nothing was changed
	codeNoStore     = 10 // no store there, or not the one that is meant
	codeInUse       = 11 // another process has the local store
	codeNoSnapshot  = 13
	codeRemote      = 14 // a remote could not be reached, or refused
	codeNoSpace     = 15
	codeUsage       = 64
	codeInterrupted = 130
)

// A failure is an error in the words of the command line.
type failure struct {
	code    int
	kind    string
	message string
	next    string // what to do now; may be ""
}

// A usageError is a command line that cannot be meant.
type usageError struct {
	err  error
	next string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(err error) error {
	var already *usageError
	if errors.As(err, &already) {
		return err
	}
	return &usageError{err: err, next: "lifeboat --help shows the commands, lifeboat COMMAND --help their flags"}
}

func usagef(next, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), next}
}

func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	next := "lifeboat --help shows the commands"
	if better := cli.SuggestCommand(c.App.Commands, name); better != "" {
		next = fmt.Sprintf("did you mean lifeboat %s? %s", better, next)
	}
	return usagef(next, "there is no command %q", name)
}

// A refusal is a command that was understood and not carried out, so that nothing is lost.
type refusal struct{ message, next string }

func (e *refusal) Error() string { return e.message }

// A storeError is a place that is not the store that is meant.
type storeError struct {
	err  error
	next string
}

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// noSnapshot is a reference that nothing fits, and what is there instead.
type noSnapshot struct {
	ref, where string
	skipped    []manifest.Skipped
}

func (e *noSnapshot) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no snapshot %q in %s", e.ref, e.where)
	for i, s := range e.skipped {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more were passed over", len(e.skipped)-i)
			break
		}
		fmt.Fprintf(&b, "; %s was passed over: %s", s.ID.Stamp, s.Why)
	}
	return b.String()
}

// A partialError is a command that did what it could. What is missing was reported if reported is set.
type partialError struct {
	code     int
	reported bool
	err      error
}

func (e *partialError) Error() string { return e.err.Error() }
func (e *partialError) Unwrap() error { return e.err }

// classify puts an error into the words of the command line.
func classify(ctx context.Context, err error) failure {
	f := failure{code: codeFailed, kind: "failed", message: err.Error()}
	var (
		usageErr *usageError
		refused  *refusal
		store    *storeError
		none     *noSnapshot
		partial  *partialError
		damage   *archive.DamageError
		format   *manifest.FormatError
		notEmpty *restore.NotEmptyError
		locked   *localstore.LockedError
		foreign  *localstore.ForeignError
		space    *diskspace.NotEnoughError
		many     *manifest.AmbiguousError
		conf     *config.Error
	)
	is := func(code int, kind, next string) failure {
		f.code, f.kind, f.next = code, kind, next
		return f
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		f.message = "interrupted; nothing is left half-done"
		return is(codeInterrupted, "interrupted", "run the same command again: what was already sent is not sent twice")
	case errors.As(err, &usageErr):
		return is(codeUsage, "usage", usageErr.next)
	case errors.As(err, &conf):
		return is(codeUsage, "configuration", "lifeboat config example shows one that is right")
	case errors.As(err, &partial):
		return is(partial.code, "partial", "")
	case errors.As(err, &refused):
		return is(codeRefused, "refused", refused.next)
	case errors.As(err, &notEmpty):
		return is(codeRefused, "not_empty", "nothing was changed")
	case errors.As(err, &store):
		return is(codeNoStore, "no_store", store.next)
	case errors.As(err, &foreign):
		return is(codeNoStore, "other_application", "")
	case errors.As(err, &format):
		return is(codeFailed, "format", "")
	case errors.As(err, &locked):
		return is(codeInUse, "in_use", "")
	case errors.As(err, &none):
		return is(codeNoSnapshot, "no_snapshot", "lifeboat list shows the snapshots that there are")
	case errors.As(err, &many):
		return is(codeNoSnapshot, "ambiguous", "")
	case errors.As(err, &space):
		return is(codeNoSpace, "no_space", "free some, or choose another place")
	case errors.As(err, &damage), errors.Is(err, layout.ErrDigest), errors.Is(err, layout.ErrDamaged), errors.Is(err, manifest.ErrInvalid):
		return is(codeIntegrity, "integrity", "lifeboat validate --read-data finds all that is damaged; lifeboat list shows what else there is")
	case errors.Is(err, remote.ErrUnavailable):
		return is(codeRemote, "remote", "")
	case errors.Is(err, fs.ErrPermission):
		return is(codeFailed, "permission", "run it as a user who may, or change the permissions")
	}
	return f
}
