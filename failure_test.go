package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"lifeboat/archive"
	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/transfer"
)

// Each error that the packages below promise has its exit code, however it is wrapped.
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		kind string
	}{
		{errors.New("something"), codeFailed, "failed"},
		{fs.ErrPermission, codeFailed, "permission"},
		{usagef("next", "wrong"), codeUsage, "usage"},
		{usage(errors.New("wrong")), codeUsage, "usage"},
		{usage(noStore("", "none")), codeNoStore, "no_store"},
		{noSnapshot("latest", "here", nil), codeNoSnapshot, "no_snapshot"},
		{refuse("", "no"), codeRefused, "refused"},
		{&config.Error{File: "f", Problems: []config.Problem{{Line: 1, Text: "x"}}}, codeUsage, "configuration"},
		{&manifest.AmbiguousError{Ref: "2"}, codeNoSnapshot, "ambiguous"},
		{&manifest.FormatError{Found: "lifeboat/9"}, codeFailed, "format"},
		{&localstore.LockedError{Dir: "d"}, codeInUse, "in_use"},
		{&localstore.ForeignError{}, codeNoStore, "other_application"},
		{&restore.NotEmptyError{Target: "t"}, codeRefused, "not_empty"},
		{&diskspace.NotEnoughError{}, codeNoSpace, "no_space"},
		{&fs.PathError{Op: "write", Path: "p", Err: syscall.ENOSPC}, codeNoSpace, "no_space"},
		{&archive.DamageError{Err: fs.ErrNotExist}, codeIntegrity, "integrity"},
		{layout.ErrDigest, codeIntegrity, "integrity"},
		{layout.ErrDamaged, codeIntegrity, "integrity"},
		{manifest.ErrInvalid, codeIntegrity, "integrity"},
		{transfer.ErrUnreadable, codeIntegrity, "integrity"},
		{remote.ErrUnavailable, codeRemote, "remote"},
		// When several apply.
		{errors.Join(remote.ErrUnavailable, layout.ErrDamaged), codeIntegrity, "integrity"},
		{errors.Join(syscall.ENOSPC, remote.ErrUnavailable), codeRemote, "remote"},
	} {
		for _, err := range []error{test.err, fmt.Errorf("push to x: %w", test.err), errors.Join(errors.New("and"), test.err)} {
			f := classify(context.Background(), err)
			if f.code != test.code || f.kind != test.kind || f.Error() != err.Error() {
				t.Errorf("classify(%v) = %d %s %q, want %d %s", err, f.code, f.kind, f.Error(), test.code, test.kind)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("signal received"))
	for _, err := range []error{context.Canceled, context.Cause(ctx), errors.New("the connection was closed")} {
		if f := classify(ctx, err); f.code != codeInterrupted {
			t.Errorf("classify(%v) after an interrupt = %d", err, f.code)
		}
	}
}
