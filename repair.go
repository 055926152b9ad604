package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/transfer"
	"lifeboat/validate"
)

// A repair is an object that validate found to be missing or damaged, and what came of putting it back.
type repair struct {
	Store     string           `json:"store"`
	Object    string           `json:"object"`
	Code      validate.Code    `json:"code"`
	Detail    string           `json:"detail"`
	Snapshots []manifest.Stamp `json:"snapshots"` // in which it was found
	From      string           `json:"repaired_from,omitempty"`
	Left      string           `json:"not_repaired,omitempty"`

	at  *place
	ids []string      // of the snapshots
	id  manifest.ID   // of the first
	sum manifest.Hash // of the archive; zero for a manifest
}

// repairable are what another place may have whole.
var repairable = []validate.Code{validate.ArchiveMissing, validate.ArchiveSize, validate.ArchiveDamaged, validate.TableDamaged, validate.ManifestDamaged}

// maxRounds is how often something is repaired at most: what describes a snapshot may have to be whole before it is known what else it lacks.
const maxRounds = 4

// repairFound stores again what reports find missing or damaged and another place has whole, and checks it once more: reports then has what is left.
func (s *session) repairFound(ctx context.Context, c *layout.Catalog, places []*place, reports []*validate.Report, how *validation) (all []*repair, err error) {
	release := func() {}
	defer func() { release() }()
	for range maxRounds {
		list := toRepair(c, places, reports)
		list = slices.DeleteFunc(list, func(r *repair) bool {
			return slices.ContainsFunc(all, func(done *repair) bool { return done.Store == r.Store && done.Object == r.Object })
		})
		if len(list) == 0 {
			break
		}
		if len(all) == 0 {
			for _, r := range reports {
				if !r.OK {
					s.printReport(r)
				}
			}
			if release, err = s.lockToRepair(ctx, places); err != nil {
				return nil, err
			}
		}
		all = append(all, list...)
		if err := s.repairObjects(ctx, c, places, list); err != nil {
			return nil, err
		}
		if err := s.checkRepaired(ctx, c, list, reports, how); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// repairObjects stores objects again, each at its place, and says what came of it.
func (s *session) repairObjects(ctx context.Context, c *layout.Catalog, places []*place, list []*repair) error {
	meter := &progress.Meter{}
	meter.Begin("repair", 0)
	stop := s.watch(meter)
	defer stop()
	for _, p := range places {
		there := slices.DeleteFunc(slices.Clone(list), func(r *repair) bool { return r.at != p })
		if err := s.repairAt(ctx, p, there, placesBut(c, places, p), meter); err != nil {
			return err
		}
	}
	stop()
	for _, r := range list {
		if r.From != "" {
			s.note("repaired %s at %s, from %s", r.Object, r.Store, r.From)
		} else {
			s.warn("%s at %s was not repaired: %s", r.Object, r.Store, printable(r.Left))
		}
	}
	return nil
}

// toRepair collects what is to be stored again, each object at each place once.
func toRepair(c *layout.Catalog, places []*place, reports []*validate.Report) (list []*repair) {
	for _, report := range reports {
		id, err := manifest.ParseID(report.ID)
		if err != nil || !report.Exists {
			continue
		}
		for _, f := range report.Findings {
			sum, isArchive := layout.ParseArchiveKey(f.Object)
			if !slices.Contains(repairable, f.Code) || !isArchive && f.Code != validate.ManifestDamaged {
				continue
			}
			at := slices.IndexFunc(list, func(r *repair) bool { return r.Store == report.Store && r.Object == f.Object })
			if at >= 0 {
				if r := list[at]; !slices.Contains(r.ids, report.ID) {
					r.ids, r.Snapshots = append(r.ids, report.ID), append(r.Snapshots, report.Stamp)
				}
				continue
			}
			p := slices.IndexFunc(places, func(p *place) bool { return p.Store.String() == report.Store })
			if p >= 0 {
				list = append(list, &repair{Store: report.Store, Object: f.Object, Code: f.Code, Detail: f.Detail, Snapshots: []manifest.Stamp{report.Stamp}, at: places[p], ids: []string{report.ID}, id: id, sum: sum})
			}
		}
	}
	return list
}

// placesBut returns the places that answered, but one.
func placesBut(c *layout.Catalog, places []*place, but *place) (list []*place) {
	for _, p := range places {
		if p != but && slices.Contains(c.Answered, p.Store) {
			list = append(list, p)
		}
	}
	return list
}

// lockToRepair takes the lock of the local store if that is one of the places. The caller releases it.
func (s *session) lockToRepair(ctx context.Context, places []*place) (release func(), err error) {
	release = func() {}
	if !slices.ContainsFunc(places, s.isLocal) {
		return release, nil
	}
	cfg, err := s.config(nil)
	if err != nil {
		return release, err
	}
	dir, _, err := s.localDir(cfg)
	if err != nil {
		return release, err
	}
	held, err := s.lock(ctx, dir)
	if err != nil {
		return release, err
	}
	return func() { held.Release() }, nil
}

// repairAt stores objects again at one place.
func (s *session) repairAt(ctx context.Context, p *place, list []*repair, from []*place, meter *progress.Meter) error {
	var needs []publish.Need
	for _, r := range list {
		r.Left = nothingElse
		if len(from) == 0 {
			continue
		}
		if r.sum.IsZero() {
			var err error
			if r.From, r.Left, err = replaceManifest(ctx, r.at.Store, r.id, from); err != nil {
				return err
			}
			continue
		}
		need, err := s.needOf(ctx, r, append(stores(from), p.Store))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.Left = err.Error()
			continue
		}
		needs = append(needs, need)
	}
	if len(needs) == 0 {
		return nil
	}
	opts := s.sendOptions(meter)
	opts.Plan(total(needs))
	var mu sync.Mutex
	got := map[manifest.Hash]string{}
	opts.From = func(h manifest.Hash, store layout.Store) {
		mu.Lock()
		defer mu.Unlock()
		got[h] = nameOf(from, store)
	}
	nowhere, err := transfer.Supply(ctx, needs, stores(from), p.Store, opts)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, r := range list {
		switch why := nowhere[r.sum]; {
		case got[r.sum] != "":
			r.From, r.Left = got[r.sum], ""
		case why != nil:
			r.Left = why.Error()
		case err != nil && !r.sum.IsZero():
			r.Left = err.Error()
		}
	}
	return nil
}

// needOf returns how long an archive should be: what describes the snapshot may be whole elsewhere only.
func (s *session) needOf(ctx context.Context, r *repair, places []layout.Store) (publish.Need, error) {
	snap, err := layout.OpenSnapshot(ctx, r.id, s.limits.workers, places...)
	if err != nil {
		return publish.Need{}, err
	}
	a, err := snap.Archive(ctx, r.sum)
	if err != nil {
		return publish.Need{}, err
	}
	return publish.Need{SHA256: a.SHA256, Size: a.Size}, nil
}

// checkRepaired checks again what something was repaired of, and puts what is found then in the place of what was found before.
func (s *session) checkRepaired(ctx context.Context, c *layout.Catalog, repairs []*repair, reports []*validate.Report, how *validation) error {
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	again := map[string]bool{}
	for _, r := range repairs {
		if r.From == "" {
			continue
		}
		if v := how.verified[r.at.Store]; v != nil {
			v.Forget(r.sum)
		}
		for _, id := range r.ids {
			again[r.Store+" "+id] = true
		}
	}
	for i, report := range reports {
		if report.OK || !again[report.Store+" "+report.ID] {
			continue
		}
		id, err := manifest.ParseID(report.ID)
		if err != nil {
			return err
		}
		for _, store := range c.Where(id) {
			if store.String() != report.Store {
				continue
			}
			if reports[i], err = s.validateOne(ctx, id, store, how, meter); err != nil {
				return errors.Join(fmt.Errorf("what was repaired could not be checked again"), err)
			}
		}
	}
	return nil
}
