package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/publish"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/prune"
	"lifeboat/transfer"
)

// A sending brings archives to the remotes while later ones are packed.
type sending struct {
	streams []*transfer.Stream // one for each remote
	cancel  context.CancelFunc
}

func startSending(ctx context.Context, w *writable, spool *localstore.Spool, opts transfer.Options) *sending {
	ctx, cancel := context.WithCancel(ctx)
	s := &sending{cancel: cancel}
	for i, r := range w.remotes {
		opts.Sent = func(h manifest.Hash) { spool.Sent(i, h) }
		opts.Listed = nil
		if r.glance != nil {
			opts.Listed = r.glance.Archives()
		}
		opts.Failed = func(err error) { spool.Broken(i, fmt.Errorf("push to %s: %w", r.name, err)) }
		s.streams = append(s.streams, transfer.NewStream(ctx, w.local.Store, r.Store, opts))
	}
	return s
}

// add queues an archive that is in the local store.
func (s *sending) add(a *manifest.Archive) error {
	for _, stream := range s.streams {
		stream.Add(a)
	}
	return nil
}

// abandon ends what is under way; after a delivery there is nothing.
func (s *sending) abandon() {
	s.cancel()
	for _, stream := range s.streams {
		stream.Close()
	}
}

// deliver completes every remote: what the sending has not brought there, the manifest, and snapshots that it missed earlier. A
// remote that fails is in the report, and the others get theirs.
func (s *session) deliver(ctx context.Context, w *writable, sending *sending, report *backupReport, meter *progress.Meter) error {
	all, err := s.newestFirst(ctx, w)
	if err != nil {
		return err
	}
	outcomes := sideBySide(w.remotes, func(i int, r *place) ([]pushed, error) {
		return s.complete(ctx, w, r, sending.streams[i], all, meter)
	})
	s.delivered(w, report, outcomes)
	late := sideBySide(s.tryLate(ctx, w), func(_ int, r *place) ([]pushed, error) {
		return s.pushTo(ctx, w, r, all, meter)
	})
	s.delivered(w, report, late)
	report.failed = w.failed
	report.Remotes = s.afterSending(ctx, w, append(outcomes, late...), all)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// An outcome is what came of a push to one remote.
type outcome struct {
	to   *place
	done []pushed
	err  error
}

// sideBySide pushes to every remote at once, so that one that does not answer holds up no other. The outcomes are in the order of
// the remotes.
func sideBySide(remotes []*place, push func(i int, r *place) ([]pushed, error)) []outcome {
	list := make([]outcome, len(remotes))
	var wg sync.WaitGroup
	for i, r := range remotes {
		wg.Go(func() {
			done, err := push(i, r)
			list[i] = outcome{r, done, err}
		})
	}
	wg.Wait()
	return list
}

// delivered reports what the remotes got.
func (s *session) delivered(w *writable, report *backupReport, outcomes []outcome) {
	for _, o := range outcomes {
		if o.err != nil {
			w.failed = append(w.failed, o.err)
		}
		var missed []string
		for _, p := range o.done {
			if p.Stamp == report.Stamp {
				report.Places = append(report.Places, placeName{o.to.name, o.to.url})
			} else {
				missed = append(missed, string(p.Stamp))
			}
		}
		slices.Sort(missed)
		switch n := len(missed); {
		case n == 1:
			s.note("%s also got %s, which it had missed", o.to.name, missed[0])
		case n > 1:
			s.note("%s also got %d snapshots that it had missed, %s to %s", o.to.name, n, missed[0], missed[n-1])
		}
	}
}

func (s *session) complete(ctx context.Context, w *writable, r *place, stream *transfer.Stream, all []manifest.ID, meter *progress.Meter) ([]pushed, error) {
	if err := stream.Close(); err != nil {
		return nil, fmt.Errorf("push to %s: %w", r.name, err)
	}
	return s.pushTo(ctx, w, r, all, meter)
}

// newestFirst returns the snapshots of the local store, and those that are not whole there and that some remote lacks.
func (s *session) newestFirst(ctx context.Context, w *writable) ([]manifest.ID, error) {
	entries, err := w.local.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	_, owed, err := w.local.Owed(ctx)
	if err != nil {
		return nil, err
	}
	var ids []manifest.ID
	for _, e := range append(entries, owed...) {
		ids = append(ids, e.ID)
	}
	slices.SortFunc(ids, func(a, b manifest.ID) int { return b.Compare(a) })
	return slices.Compact(ids), nil
}

// pushTo copies the snapshots that a remote lacks. One of which archives are nowhere to be had is named and left out, and the others
// go; any other failure ends it.
func (s *session) pushTo(ctx context.Context, w *writable, r *place, ids []manifest.ID, meter *progress.Meter) (done []pushed, err error) {
	look, err := s.examine(ctx, w, r)
	if err != nil {
		return nil, fmt.Errorf("push to %s: %w", r.name, err)
	}
	there := look.listed()
	r.lists = maps.Clone(there)
	owed, owedEntries, err := w.local.Owed(ctx)
	if err != nil {
		return nil, err
	}
	if err := copyPins(ctx, w, r, ids); err != nil {
		return nil, fmt.Errorf("push to %s: %w", r.name, err)
	}
	var lost []error
	removed := removedFrom{w: w, r: r, there: there}
	for _, id := range ids {
		if there[id] && !w.named { // one that is named gets back what the remote has lost of it
			continue
		}
		if gone, err := removed.has(ctx, id); err != nil {
			return done, fmt.Errorf("push to %s: %w", r.name, err)
		} else if gone {
			s.detail("%s was removed from %s and is not sent again; lifeboat push %s sends it", id.Stamp, r.name, id.Stamp)
			continue
		}
		var heads []layout.Store
		if isOwed(owedEntries, id) {
			heads = append(heads, owed)
		}
		res, err := s.copySnapshot(ctx, id, w.sourcesFor(r), r.Store, look.tell(s.sendOptions(meter)), heads...)
		if err != nil || res.Archives > 0 {
			look.fresh = nil
		}
		if err == nil {
			r.lists[id] = true
			if !there[id] || res.Archives > 0 {
				done = append(done, newPushed(id, r.url, res))
			}
			continue
		}
		if damaged(err) && !there[id] {
			s.takeBack(ctx, r, id)
		}
		if damaged(err) && len(heads) > 0 {
			if len(w.failed)+len(w.late) > 0 {
				s.detail("%s lacks %s; a remote that was not reached may have it", r.name, id.Stamp)
				continue
			}
			s.giveUp(ctx, w, id)
		}
		lost = append(lost, fmt.Errorf("push %s to %s: %w", id.Stamp, r.name, err))
		if ctx.Err() != nil || !damaged(err) {
			break
		}
	}
	if len(lost) == 0 || damaged(lost[len(lost)-1]) { // else the remote takes nothing now
		if err := s.repair(ctx, look, w.sourcesFor(r), s.sendOptions(meter)); err != nil {
			lost = append(lost, err)
		}
	}
	return done, errors.Join(lost...)
}

// takeBack takes a snapshot off the list of a store again for which it was just published, and of which an archive was gone by then that no place
// has: a snapshot that is listed is whole. Most of the time it was not listed yet.
func (s *session) takeBack(ctx context.Context, r *place, id manifest.ID) {
	done, err := prune.Remove(ctx, r.Store, nil, id)
	if err == nil && len(done.Refused) > 0 {
		err = done.Refused[0].Err
	}
	if err != nil && ctx.Err() == nil {
		s.warn("%s is listed at %s, and lacks an archive: lifeboat remove %s takes it off the list: %s", id.Stamp, r.name, id.Stamp, explain(err))
	}
}

// sendOptions are those of a copy to a store to which others write too.
func (s *session) sendOptions(meter *progress.Meter) transfer.Options {
	return transfer.Options{Concurrency: s.limits.Concurrency, Plan: meter.Expect, Progress: meter.Add, Scratch: s.temporary, Waiting: s.waitingForPrune}
}

// removedFrom knows which snapshots were removed from a remote on purpose. Those are not sent again, unless they are named.
type removedFrom struct {
	w     *writable
	r     *place
	there map[manifest.ID]bool

	gone map[manifest.ID]bool // nil until it is asked for
}

// has reports that a snapshot, which the remote does not list, was removed from it. The remote is asked only for one that is older than what
// it lists: a new one was never there.
func (f *removedFrom) has(ctx context.Context, id manifest.ID) (bool, error) {
	if f.w.named {
		return false, f.w.local.Recall(f.r.url, id)
	}
	newest := manifest.ID{}
	for other := range f.there {
		if other.Compare(newest) > 0 {
			newest = other
		}
	}
	if id.Compare(newest) > 0 {
		return false, nil
	}
	if f.gone == nil {
		gone, err := f.w.local.Forgone(f.r.url)
		if err != nil {
			return false, err
		}
		removed, err := f.r.Removed(ctx)
		if err != nil {
			return false, err
		}
		for _, e := range removed {
			gone[e.ID] = true
		}
		f.gone = gone
	}
	if !f.gone[id] {
		return false, nil
	}
	here, err := listed(ctx, f.w.local.Store)
	if err != nil {
		return false, err
	}
	return true, f.w.local.Forgo(f.r.url, func(id manifest.ID) bool { return here[id] }, id)
}

// copyPins pins in a remote what is pinned here. It comes before the snapshots themselves, so that none of them is ever there unpinned.
func copyPins(ctx context.Context, w *writable, r *place, ids []manifest.ID) error {
	here, err := w.local.Pins(ctx)
	if err != nil || len(here) == 0 {
		return err
	}
	there, err := r.Pins(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if here[id] && !there[id] {
			if err := r.Pin(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func isOwed(owed []layout.Entry, id manifest.ID) bool {
	return slices.ContainsFunc(owed, func(e layout.Entry) bool { return e.ID == id })
}

// giveUp forgets a snapshot that a remote lacks and that nobody can give to it: it would be tried each time.
func (s *session) giveUp(ctx context.Context, w *writable, id manifest.ID) {
	if err := w.local.Settle(ctx, id); err != nil {
		s.warn("%s", explain(err))
		return
	}
	s.warn("%s is not tried again: what it needs is neither here nor at another remote", id.Stamp)
}

func listed(ctx context.Context, store layout.Store) (map[manifest.ID]bool, error) {
	entries, err := store.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	there := map[manifest.ID]bool{}
	for _, e := range entries {
		there[e.ID] = true
	}
	return there, nil
}

// copySnapshot makes a snapshot of from exist in to. Its manifest may also be in one of heads.
func (s *session) copySnapshot(ctx context.Context, id manifest.ID, from []*place, to layout.Store, opts transfer.Options, heads ...layout.Store) (transfer.Result, error) {
	snap, err := layout.OpenSnapshot(ctx, id, s.limits.workers, append(stores(from), heads...)...)
	if err != nil {
		return transfer.Result{}, err
	}
	return transfer.Copy(ctx, snap, stores(from), to, opts)
}

// waitingForPrune says why a snapshot that is sent is not listed yet.
func (s *session) waitingForPrune(w publish.Waiting) {
	s.note("waiting for a prune of %s that began %s ago; if it was cut off, it counts as over in %s", w.Store, w.Since.Round(time.Second), w.Left.Round(time.Second))
}

// retain drops local copies that every remote has, all but the newest keep. What a remote has is what it listed when it was written to, and what it
// got then. That this fails is no failure of the backup.
func (s *session) retain(ctx context.Context, keep int, w *writable) {
	if len(w.remotes) == 0 {
		return
	}
	have := map[manifest.ID]int{}
	for _, r := range w.remotes {
		there := r.lists
		gone, err := w.local.Forgone(r.url)
		if err != nil {
			s.warn("local copies are left as they are: %s", explain(err))
			return
		}
		for id := range gone {
			if !there[id] {
				have[id]++ // it was there, and was removed on purpose
			}
		}
		for id := range there {
			have[id]++
		}
	}
	if err := s.settle(ctx, w, func(id manifest.ID) bool { return have[id] == len(w.remotes) }); err != nil {
		s.warn("%s", explain(err))
	}
	if keep < 0 { // only prune removes any
		keep = math.MaxInt
	}
	freed, err := w.local.Retain(ctx, keep, func(id manifest.ID) bool {
		return have[id] == len(w.remotes) && !s.fromFuture(id.Stamp) // which would be the newest of all
	})
	if err != nil {
		s.warn("%s", explain(err))
	}
	if freed > 0 {
		s.detail("dropped %s of local copies that every remote has", size(freed))
	}
}

// settle forgets what was owed to the remotes and that every one has now.
func (s *session) settle(ctx context.Context, w *writable, delivered func(manifest.ID) bool) error {
	_, owed, err := w.local.Owed(ctx)
	if err != nil {
		return err
	}
	for _, e := range owed {
		if delivered(e.ID) {
			if err := w.local.Settle(ctx, e.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
