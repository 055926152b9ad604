package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/publish"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/transfer"
)

const copyHelp = `Copies SNAPSHOTs to another store, a bucket or a directory, from wherever they
are: the local store, then the remotes. Without SNAPSHOT, all that it lacks, the
newest first. A new store is made there. What a cut copy has sent is not sent
again, and a repeat sends nothing.

   lifeboat copy --to s3://second/app
   lifeboat copy --remote s3://bucket/app --to /mnt/disk
   lifeboat copy latest --to /mnt/usb

It repairs, too: what the store lists and has lost, or has in another size, is
sent again. Pins come along. What was removed there on purpose (lifeboat prune)
is sent only if it is named. A machine with neither local store nor
configuration can copy from one remote to another.

Exit code 4: something is damaged at every place that has it, and what needs it
was left out; 10, 14: a place is gone or was not reached, and what the others
have was copied; 13: there is no such snapshot, or several fit.

` + snapshotHelp

func copyFlags() []cli.Flag {
	return slices.Concat([]cli.Flag{&cli.StringFlag{Name: "to", Usage: "`URL` of the store to copy to, s3://bucket/prefix or a directory"}}, remoteFlags(), sendFlags(), []cli.Flag{memoryFlag()})
}

// A copiedSnapshot is one snapshot that a copy has brought to a store, or made whole there.
type copiedSnapshot struct {
	pushed
	Repaired bool `json:"repaired,omitempty"` // it was listed there, and not whole
}

// A copyReport is what a copy did.
type copyReport struct {
	To     placeName        `json:"to"`
	Copied []copiedSnapshot `json:"copied"`
	Failed []string         `json:"failed,omitempty"`

	failed []error
}

// copyCommand copies snapshots from wherever they are to one more store. The local store is read only, so its lock is not needed: what a backup
// drops there meanwhile is somewhere else.
func copyCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	to, err := s.copyTo(cfg)
	if err != nil {
		return err
	}
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	job, err := s.copyJob(ctx, places, to)
	if err != nil {
		return err
	}
	var partial error
	if job.catalog, partial, err = s.catalog(ctx, job.from); err != nil {
		return err
	}
	ids, err := s.toCopy(ctx, job, partial, c.Args().Slice())
	if err != nil {
		return err
	}
	if err := s.openTarget(ctx, job, to); err != nil {
		return err
	}
	report, err := s.copyAll(ctx, job, ids)
	if err != nil {
		return err
	}
	return s.finishCopy(ctx, report, partial)
}

// copyTo reads --to. One that the configuration names has the settings that stand there.
func (s *session) copyTo(cfg *config.Config) (config.Remote, error) {
	text := s.c.String("to")
	if text == "" {
		return config.Remote{}, usagef("lifeboat copy --to URL", "nothing says where to copy to")
	}
	r, err := config.ParseRemote(text, s.env.Dir)
	if err != nil {
		return r, usage(fmt.Errorf("--to: %w", err))
	}
	for _, other := range cfg.Remotes {
		if other.URL != r.URL {
			continue
		}
		if len(given(s.c.StringSlice("remote"))) > 0 {
			return r, usagef("give --remote or --to another place", "--to %s is the remote that it would be copied from", text)
		}
		return other, nil
	}
	return r, nil
}

// A copyJob is what goes from where to where.
type copyJob struct {
	from    []*place          // nearest first
	local   *localstore.Store // nil if there is none
	catalog *layout.Catalog   // of from
	to      *place
	named   bool // the snapshots were named, one by one

	survey  *layout.Survey        // of to
	sizes   map[manifest.ID]int64 // of the manifests there
	removed map[manifest.ID]bool  // from there, on purpose
	pins    map[manifest.ID]bool  // anywhere in from
	pinned  map[manifest.ID]bool  // there
}

// copyJob finds the places to copy from: all that there are but the one that is copied to.
func (s *session) copyJob(ctx context.Context, places []*place, to config.Remote) (*copyJob, error) {
	target, err := s.openRemote(ctx, to, false, nil, nil)
	if err != nil {
		return nil, err
	}
	job := &copyJob{named: s.c.NArg() > 0}
	for _, p := range places {
		switch same := p.url == target.url || sameDirectory(p.dir, target.dir); {
		case same && s.isLocal(p):
			return nil, usagef("give --to another place; lifeboat pull SNAPSHOT brings one to the local store", "--to %s is the local store itself", s.c.String("to"))
		case same && len(given(s.c.StringSlice("remote"))) > 0:
			return nil, usagef("give --remote or --to another place", "--to %s is the remote that it would be copied from", s.c.String("to"))
		case same:
			continue
		}
		if p.name == "local" && s.isLocal(p) {
			if job.local, err = localstore.Open(ctx, p.dir); err != nil {
				return nil, err
			}
		}
		job.from = append(job.from, p)
	}
	if len(job.from) == 0 {
		return nil, usagef("give --remote URL", "nothing says where to copy from: there is no local store and no other remote")
	}
	slices.SortStableFunc(job.from, func(a, b *place) int { return farness(a) - farness(b) })
	return job, nil
}

// farness is 0 of a place that is on this machine, as far as can be seen, and 1 of another.
func farness(p *place) int {
	if p.dir != "" {
		return 0
	}
	return 1
}

// toCopy returns the snapshots that are named, or all, newest first. Safety snapshots go only by name.
func (s *session) toCopy(ctx context.Context, job *copyJob, partial error, args []string) (ids []manifest.ID, err error) {
	job.from = slices.DeleteFunc(job.from, func(p *place) bool { return !slices.Contains(job.catalog.Answered, p.Store) })
	for _, arg := range args {
		id, _, _, err := s.resolve(ctx, job.catalog, job.from, arg)
		if mayBeThere(ctx, err, partial) {
			return nil, partial
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if job.named {
		return ids, nil
	}
	for _, id := range slices.Backward(job.catalog.IDs) {
		if slices.ContainsFunc(job.from, func(p *place) bool { return p.name != safetyName && isListed(job.catalog, id, p.Store) }) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// openTarget opens the store to copy to, makes it if it is new, and looks at what it has.
func (s *session) openTarget(ctx context.Context, job *copyJob, r config.Remote) error {
	app, err := appOfSources(ctx, job.from)
	if err != nil {
		return err
	}
	p, err := s.openRemote(ctx, r, false, nil, job.local)
	if err != nil {
		return err
	}
	c, err := s.admit(ctx, job.local, app, p, r)
	if err == nil && c.marker.ID != "" && !c.known && !s.c.Bool("takeover") {
		err = s.foreignCopy(ctx, job, p)
	}
	if err != nil {
		return err
	}
	var id string
	if job.to, id, err = s.establish(ctx, nil, job.local, app, c); err != nil {
		return err
	}
	s.sweep(job.to)
	s.noteTarget(ctx, job, id)
	return job.look(ctx)
}

// appOfSources returns the application that the places belong to.
func appOfSources(ctx context.Context, places []*place) (app string, err error) {
	for _, p := range places {
		m, markerErr := p.Marker(ctx)
		if markerErr != nil {
			err = errors.Join(err, markerErr)
			continue
		}
		if app != "" && m.App != app {
			return "", &localstore.ForeignError{Store: p.url, App: m.App, Own: app}
		}
		app = m.App
	}
	if app != "" {
		return app, nil
	}
	return "", err
}

// foreignCopy refuses a store whose newest snapshot none of the others has, and that another machine took: it is somebody's backup, no copy
// of these.
func (s *session) foreignCopy(ctx context.Context, job *copyJob, to *place) error {
	there, err := layout.List(ctx, to.Store)
	if err != nil || len(there.IDs) == 0 || len(job.catalog.IDs) == 0 {
		return err
	}
	last, own := there.IDs[len(there.IDs)-1], job.catalog.IDs[len(job.catalog.IDs)-1]
	if len(job.catalog.Where(last)) > 0 {
		return nil
	}
	theirs, err := there.Head(ctx, last)
	if err != nil {
		return err
	}
	ours, err := job.catalog.Head(ctx, own)
	if err != nil || theirs.Host.Name == ours.Host.Name {
		return err
	}
	return refuse("if both are of one application that has moved, give --takeover; else copy to another prefix",
		"%s has snapshots of another machine, %s, and those to copy are of %s", to.url, oneLine(theirs.Host.Name), oneLine(ours.Host.Name))
}

// noteTarget remembers in the local store, if there is one and nobody has it, which store was copied to, so that the next copy notices a disk
// that is not mounted.
func (s *session) noteTarget(ctx context.Context, job *copyJob, id string) {
	if job.local == nil {
		return
	}
	if known, err := job.local.Known(job.to.url); err != nil || known == id {
		return
	}
	s.withLocal(ctx, job, func() error { return job.local.Remember(job.to.url, id) })
}

// withLocal does something that needs the lock of the local store and is not worth waiting for.
func (s *session) withLocal(ctx context.Context, job *copyJob, do func() error) {
	held, err := localstore.Lock(ctx, job.local.Path(), "lifeboat copy", 0)
	if err == nil {
		defer held.Release()
		err = do()
	}
	if err != nil {
		s.detail("nothing was noted in the local store: %s", explain(err))
	}
}

// look lists what is at the store to copy to.
func (job *copyJob) look(ctx context.Context) (err error) {
	if job.survey, err = job.to.Survey(ctx); err != nil {
		return err
	}
	job.sizes = map[manifest.ID]int64{}
	for _, e := range job.survey.Snapshots {
		job.sizes[e.ID] = e.Size
	}
	removed, err := job.to.Removed(ctx)
	if err != nil {
		return err
	}
	job.removed = map[manifest.ID]bool{}
	if job.local != nil {
		if job.removed, err = job.local.Forgone(job.to.url); err != nil {
			return err
		}
	}
	for _, e := range removed {
		job.removed[e.ID] = true
	}
	if job.pinned, err = job.to.Pins(ctx); err != nil {
		return err
	}
	job.pins = map[manifest.ID]bool{}
	for _, p := range job.from {
		pins, err := p.Pins(ctx)
		if err != nil {
			return err
		}
		for id := range pins {
			job.pins[id] = true
		}
	}
	return nil
}

// copyAll copies snapshots. One that is damaged wherever it is, is named and left out, and the others go; any other failure ends it.
func (s *session) copyAll(ctx context.Context, job *copyJob, ids []manifest.ID) (*copyReport, error) {
	meter := &progress.Meter{}
	meter.Begin("send", 0)
	stop := s.watch(meter)
	defer stop()
	report := &copyReport{To: placeName{job.to.name, job.to.url}, Copied: []copiedSnapshot{}}
	var gone []manifest.ID
	for _, id := range ids {
		_, there := job.sizes[id]
		if job.removed[id] && !there && !job.named {
			s.detail("%s was removed from %s and is not sent again; lifeboat copy %s sends it", id.Stamp, job.to.url, id.Stamp)
			gone = append(gone, id)
			continue
		}
		done, err := s.copyOne(ctx, job, id, meter)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			report.failed = append(report.failed, fmt.Errorf("copy %s to %s: %w", id.Stamp, job.to.name, err))
			if !damaged(err) {
				break
			}
			if !there {
				s.takeBack(ctx, job.to, id)
			}
		}
		if done != nil {
			report.Copied = append(report.Copied, *done)
		}
	}
	if job.local != nil {
		s.forgoCopies(ctx, job, gone, ids)
	}
	return report, nil
}

// forgoCopies remembers in the local store what was removed from the store on purpose: there, it is known only for some days. What was named is
// there again, and no longer removed.
func (s *session) forgoCopies(ctx context.Context, job *copyJob, gone, ids []manifest.ID) {
	known, err := job.local.Forgone(job.to.url)
	if err != nil {
		return // look has read it
	}
	var back []manifest.ID
	if job.named {
		back = slices.DeleteFunc(slices.Clone(ids), func(id manifest.ID) bool { return !known[id] })
	}
	gone = slices.DeleteFunc(gone, func(id manifest.ID) bool { return known[id] })
	if len(gone)+len(back) == 0 {
		return
	}
	s.withLocal(ctx, job, func() error {
		for _, id := range back {
			if err := job.local.Recall(job.to.url, id); err != nil {
				return err
			}
		}
		return job.local.Forgo(job.to.url, func(id manifest.ID) bool { return len(job.catalog.Where(id)) > 0 }, gone...)
	})
}

// copyOne makes a snapshot exist in the store, whole. It returns nil if it was.
func (s *session) copyOne(ctx context.Context, job *copyJob, id manifest.ID, meter *progress.Meter) (*copiedSnapshot, error) {
	if job.pins[id] && !job.pinned[id] { // before it is there, so that it is never there unpinned
		if err := job.to.Pin(ctx, id); err != nil {
			return nil, err
		}
	}
	// What describes a snapshot may be whole there alone.
	snap, err := layout.OpenSnapshot(ctx, id, s.limits.workers, append(stores(job.from), job.to.Store)...)
	if err != nil {
		return nil, s.unlessRemoved(ctx, job, id, err)
	}
	size, there := job.sizes[id]
	repaired := there && size != int64(len(snap.Stored))
	if there && !repaired {
		if whole, err := job.whole(ctx, snap); err != nil || whole {
			return nil, err
		}
	}
	res, err := transfer.Copy(ctx, snap, stores(job.from), job.to.Store, s.sendOptions(meter))
	if err == nil && repaired {
		err = job.to.Replace(ctx, id, snap.Stored)
	}
	if err != nil {
		return nil, s.unlessRemoved(ctx, job, id, err)
	}
	return &copiedSnapshot{newPushed(id, job.to.url, res), there}, nil
}

// whole reports that the store lists every archive which a snapshot needs, at its size.
func (job *copyJob) whole(ctx context.Context, snap *layout.Snapshot) (bool, error) {
	for need, err := range publish.Needs(ctx, snap) {
		if err != nil {
			return false, err
		}
		if a, ok := job.survey.Archives[need.SHA256]; !ok || a.Size != need.Size {
			return false, nil
		}
	}
	return true, nil
}

// unlessRemoved returns err, or nil where the snapshot is gone from every place meanwhile, as when something pruned them.
func (s *session) unlessRemoved(ctx context.Context, job *copyJob, id manifest.ID, err error) error {
	if !errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
		return err
	}
	now, listErr := layout.List(ctx, stores(job.from)...)
	if listErr != nil || len(now.Where(id)) > 0 {
		return err
	}
	s.note("%s was removed while it was to be copied", id.Stamp)
	return nil
}

func (s *session) finishCopy(ctx context.Context, r *copyReport, partial error) error {
	for _, c := range r.Copied {
		what := "copied %s to %s: %s in %s"
		if c.Repaired {
			what = "repaired %s at %s: %s in %s"
		}
		s.say(what, c.Stamp, c.To, size(c.Bytes), count(c.Archives, "archive"))
	}
	if len(r.Copied)+len(r.failed) == 0 && partial == nil {
		s.say("nothing to copy: %s has what the others have", r.To.URL)
	}
	for _, err := range r.failed {
		s.warn("%s", explain(err))
	}
	if partial != nil { // of which catalog has warned
		r.failed = append(r.failed, partial)
	}
	r.Failed = messages(r.failed)
	if err := s.document(r); err != nil || len(r.failed) == 0 {
		return err
	}
	return reported(classify(ctx, errors.Join(r.failed...)).code)
}
