//go:build unix

package transfer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/remote"
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

// asked tells of each request for the description of one object.
type asked struct {
	remote.Store
	n atomic.Int64
}

func (a *asked) Stat(ctx context.Context, key string) (remote.Info, error) {
	a.n.Add(1)
	return a.Store.Stat(ctx, key)
}

// Who has listed the other store need not be told what is there. What is there in another size is sent.
func TestStreamByAListing(t *testing.T) {
	snaptest.NoLeaks(t)
	res, local, _ := taken(t)
	to := &asked{Store: memory().Store}
	remote := layout.Store{Store: to}
	var all []layout.ArchiveInfo
	for a, err := range local.ListArchives(t.Context()) {
		must(t, err)
		all = append(all, a)
	}
	listed := map[manifest.Hash]layout.ArchiveInfo{all[0].SHA256: all[0], all[1].SHA256: {SHA256: all[1].SHA256, Size: all[1].Size - 1}}
	var sent atomic.Int64
	s := transfer.NewStream(t.Context(), local.Store, remote, transfer.Options{Listed: listed, Sent: func(manifest.Hash) { sent.Add(1) }})
	for _, a := range all {
		s.Add(&manifest.Archive{SHA256: a.SHA256, Size: a.Size})
	}
	must(t, s.Close())
	if n := len(objects(t, remote)); n != len(all)-1 || sent.Load() != int64(len(all)) || to.n.Load() != 0 {
		t.Errorf("%d of %d archives were sent, %d told, %d asked for", n, len(all), sent.Load(), to.n.Load())
	}
	// A listing that was wrong does no harm: the snapshot is published with all of it.
	_, err := transfer.Copy(t.Context(), snaptest.Open(t, res.ID, local.Store), []layout.Store{local.Store}, remote, transfer.Options{Listed: listed})
	must(t, err)
	snaptest.Validate(t, res.ID, remote)
}
