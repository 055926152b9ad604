//go:build unix

package transfer_test

import (
	"context"
	"errors"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

// backup captures sources while their archives are streamed to a remote, and completes it there, as the command does.
func backup(t *testing.T, ctx context.Context, sources []snapshot.Source, to layout.Store) (id manifest.ID, local layout.Store, err error) {
	t.Helper()
	own := snaptest.Local(t)
	stream := transfer.NewStream(ctx, own.Store, to, transfer.Options{Concurrency: 2})
	res := snaptest.Take(t, own, snapshot.Options{Stored: func(a *manifest.Archive) error { stream.Add(a); return nil }}, sources...)
	if err := stream.Close(); err != nil {
		return res.ID, own.Store, err
	}
	got, err := transfer.Copy(ctx, snaptest.Open(t, res.ID, own.Store), []layout.Store{own.Store}, to, transfer.Options{})
	if err == nil && (got.Archives != 0 || got.Present != 4) {
		t.Errorf("after the stream, %+v", got)
	}
	return res.ID, own.Store, err
}

// Archives are sent while later ones are packed; whatever fails, the next attempt completes it.
func TestStream(t *testing.T) {
	snaptest.NoLeaks(t)
	sources, _ := application(t)
	attempt := func(t *testing.T, ctx context.Context, f *snaptest.Faults) error {
		good := memory()
		id, local, err := backup(t, ctx, sources, layout.Store{Store: snaptest.FaultyStore(good.Store, f)})
		listed := snaptest.ValidateAll(t, good)
		if err == nil {
			if len(listed) != 1 {
				t.Errorf("success, and %d snapshots", len(listed))
			}
			return nil
		}
		if !errors.Is(err, snaptest.ErrFault) && !errors.Is(err, context.Canceled) {
			t.Errorf("%v, which is not the fault", err)
		}
		_, again := transfer.Copy(t.Context(), snaptest.Open(t, id, local), []layout.Store{local}, good, transfer.Options{})
		must(t, again)
		snaptest.Validate(t, id, good)
		return err
	}
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error { return attempt(t, t.Context(), f) })
	snaptest.EachCancel(t, attempt)
}

// A stream that nothing is added to ends, and so does one that is closed twice.
func TestStreamOfNothing(t *testing.T) {
	snaptest.NoLeaks(t)
	local := snaptest.Local(t)
	s := transfer.NewStream(t.Context(), local.Store, memory(), transfer.Options{})
	must(t, s.Close())
	must(t, s.Close())
	ctx, cancel := context.WithCancel(t.Context())
	s = transfer.NewStream(ctx, local.Store, memory(), transfer.Options{})
	cancel()
	if err := s.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v", err)
	}
}
