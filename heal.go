package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"lifeboat/heal"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/snapshot"
	"lifeboat/transfer"
	"lifeboat/validate"
)

// A healing is what a command finds out about the stores that it writes to, while it writes to them, and puts right.
type healing struct {
	mu    sync.Mutex
	needs *heal.Needs
	found []*damage
	again map[manifest.Hash]bool // what lives in these archives, this backup has stored again, unless it leaned on them
}

// A damage is something that a store has lost, and what came of it.
type damage struct {
	Name      string        `json:"name"`
	URL       string        `json:"url"`
	Object    string        `json:"object"`
	Code      validate.Code `json:"code"`
	Detail    string        `json:"detail"`
	Snapshots []hurt        `json:"snapshots"`
	From      string        `json:"repaired_from,omitempty"` // the place that had it whole
	Left      string        `json:"not_repaired,omitempty"`  // why it was not put back
	Again     bool          `json:"stored_again,omitempty"`  // what still lives of it is stored anew, from the sources

	loss *heal.Loss // nil for what cannot be put back
}

// A hurt is a snapshot that needs what was lost.
type hurt struct {
	Stamp     manifest.Stamp `json:"stamp"`
	ID        string         `json:"id"`
	Describes bool           `json:"describes,omitempty"` // it holds a part of what describes the snapshot
	Unknown   string         `json:"unknown,omitempty"`   // why not all of the files are known
	Files     []string       `json:"files"`
	Count     int64          `json:"file_count"`
}

func (d *damage) repaired() bool { return d.From != "" }

// open reads what is remembered of what snapshots need.
func (h *healing) open(s *session, w *writable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.needs != nil {
		return
	}
	data, err := os.ReadFile(w.local.NeedsPath())
	if err == nil {
		h.needs, err = heal.ParseNeeds(data)
	}
	if err != nil {
		h.needs = heal.NewNeeds()
		if !errors.Is(err, fs.ErrNotExist) {
			s.detail("what snapshots need is read anew: %s: %v", w.local.NeedsPath(), err)
		}
	}
}

// keepNeeds remembers what was learned of what snapshots need. The next command would learn it again.
func (s *session) keepNeeds(w *writable) {
	if w.healing.needs == nil {
		return
	}
	data, changed, err := w.healing.needs.Encode(s.now())
	if err == nil && changed {
		err = w.local.KeepNeeds(data)
	}
	if err != nil {
		s.detail("what snapshots need is not remembered: %v", err)
	}
}

// An examination is what a store lists, and what is wrong with that.
type examination struct {
	*layout.Survey
	place  *place
	fresh  *publish.Present // the same, for whoever publishes; nil once anything was stored there since
	damage []*damage
	mu     sync.Mutex
	from   map[manifest.Hash]layout.Store // of archives that were put there since
}

// listed returns the snapshots that the store has.
func (e *examination) listed() map[manifest.ID]bool {
	there := map[manifest.ID]bool{}
	for _, entry := range e.Snapshots {
		there[entry.ID] = true
	}
	return there
}

// tell completes the options of a transfer to the store.
func (e *examination) tell(opts transfer.Options) transfer.Options {
	opts.Listed, opts.Looked = e.Archives, e.fresh
	opts.From = func(h manifest.Hash, place layout.Store) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.from[h] = place
	}
	return opts
}

// examine lists a store and compares that with what its snapshots need. What is lost it warns of. When nothing is, it has cost that one listing.
func (s *session) examine(ctx context.Context, w *writable, p *place) (*examination, error) {
	w.healing.open(s, w)
	present, err := publish.Look(ctx, p.Store, w.local.Store)
	if err != nil {
		return nil, err
	}
	survey := present.Survey()
	e := &examination{Survey: survey, place: p, fresh: present, from: map[manifest.Hash]layout.Store{}}
	near := s.nearTo(w, p)
	if e.damage, err = s.learn(ctx, w, e, near); err != nil {
		return nil, err
	}
	losses, err := heal.Confirm(ctx, p.Store, w.healing.needs.Compare(survey))
	if err != nil {
		return nil, err
	}
	for _, l := range losses {
		d := &damage{Name: p.name, URL: p.url, Object: l.Key, Code: validate.ArchiveSize, Detail: l.Why(), loss: l, Snapshots: []hurt{}}
		switch {
		case l.Manifest:
			d.Code = validate.ManifestDamaged
		case l.Missing:
			d.Code = validate.ArchiveMissing
		}
		e.damage = append(e.damage, d)
	}
	if err := s.findHurt(ctx, e, near); err != nil {
		return nil, err
	}
	s.warnOfDamage(e)
	w.healing.mu.Lock()
	defer w.healing.mu.Unlock()
	w.healing.found = append(w.healing.found, e.damage...)
	return e, nil
}

// nearTo returns the places in which to look for what describes a snapshot that a store lists: the local store, that store, and the others.
func (s *session) nearTo(w *writable, p *place) []layout.Store {
	near := []layout.Store{w.local.Store}
	if p.Store != w.local.Store {
		near = append(near, p.Store)
	}
	for _, other := range w.remotes {
		if other != p {
			near = append(near, other.Store)
		}
	}
	return near
}

// maxLearned is how many snapshots are read at most, at each store, to learn what they need. The rest is for the next time.
const maxLearned = 64

// learn finds out what the snapshots need which a store lists, the newest first. It returns those that cannot be read anywhere.
func (s *session) learn(ctx context.Context, w *writable, e *examination, near []layout.Store) (bad []*damage, err error) {
	read := 0
	for _, entry := range slices.Backward(e.Snapshots) {
		if w.healing.needs.See(entry.ID, s.now()) {
			continue
		}
		if read++; read > maxLearned {
			s.detail("what older snapshots at %s need, the next backups will learn", e.place.name)
			break
		}
		snap, err := layout.OpenSnapshot(ctx, entry.ID, s.limits.workers, near...)
		if err == nil {
			err = w.healing.needs.Learn(ctx, snap, s.now())
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case damaged(err):
			bad = append(bad, &damage{Name: e.place.name, URL: e.place.url, Object: layout.ManifestKey(entry.ID), Code: unreadableCode(snap), Detail: err.Error(),
				Snapshots: []hurt{{Stamp: entry.ID.Stamp, ID: entry.ID.String(), Describes: true, Unknown: err.Error(), Files: []string{}}}})
		case !errors.Is(err, fs.ErrNotExist): // else it was removed in this moment
			s.detail("what %s needs is not known: %v", entry.ID.Stamp, err)
		}
	}
	return bad, nil
}

func unreadableCode(snap *layout.Snapshot) validate.Code {
	if snap == nil {
		return validate.ManifestDamaged
	}
	return validate.TableDamaged
}

// findHurt says of each damage which files of which snapshots it touches. What touches none is no damage: it was remembered wrongly.
func (s *session) findHurt(ctx context.Context, e *examination, near []layout.Store) error {
	of := map[manifest.ID][]*damage{}
	var ids []manifest.ID
	for _, d := range e.damage {
		if d.loss == nil {
			continue
		}
		for _, id := range d.loss.Snapshots {
			if of[id] == nil {
				ids = append(ids, id)
			}
			of[id] = append(of[id], d)
		}
	}
	slices.SortFunc(ids, manifest.ID.Compare)
	for _, id := range ids {
		if err := s.touched(ctx, id, of[id], near); err != nil {
			return err
		}
	}
	e.damage = slices.DeleteFunc(e.damage, func(d *damage) bool { return len(d.Snapshots) == 0 })
	return nil
}

// touched says which files of one snapshot are touched.
func (s *session) touched(ctx context.Context, id manifest.ID, list []*damage, near []layout.Store) error {
	losses := make([]*heal.Loss, len(list))
	for i, d := range list {
		losses[i] = d.loss
	}
	var found map[*heal.Loss]*heal.Touched
	snap, err := layout.OpenSnapshot(ctx, id, s.limits.workers, near...)
	if err == nil {
		found, err = heal.Touch(ctx, snap, losses)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, d := range list {
		h := hurt{Stamp: id.Stamp, ID: id.String(), Files: []string{}}
		if err != nil {
			h.Unknown = err.Error()
		}
		if t := found[d.loss]; t != nil {
			h.Describes, h.Count = t.Describes, t.Count
			h.Files = append(h.Files, t.Files...)
		} else if err == nil {
			continue
		}
		d.Snapshots = append(d.Snapshots, h)
	}
	return nil
}

// repair puts back what a store has lost and another place has whole. That it cannot is no failure of what was asked for.
func (s *session) repair(ctx context.Context, e *examination, from []*place, opts transfer.Options) error {
	var needs []publish.Need
	for _, d := range e.damage {
		switch {
		case d.loss == nil:
		case d.loss.Manifest:
			var err error
			if d.From, d.Left, err = replaceManifest(ctx, e.place.Store, d.loss.Snapshots[0], from); err != nil {
				return err
			}
		case e.from[d.loss.SHA256] == layout.Store{}: // it has not come with a snapshot
			needs = append(needs, d.loss.Need())
		}
	}
	var nowhere map[manifest.Hash]error
	var err error
	if len(needs) > 0 && len(from) > 0 {
		if opts.Plan != nil {
			opts.Plan(total(needs))
		}
		nowhere, err = transfer.Supply(ctx, needs, stores(from), e.place.Store, e.tell(opts))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	for _, d := range e.damage {
		if d.loss == nil || d.loss.Manifest {
			continue
		}
		if d.From = nameOf(from, e.from[d.loss.SHA256]); d.From != "" {
			continue
		}
		d.Left = nothingElse
		if why := cmp.Or(nowhere[d.loss.SHA256], err); why != nil {
			d.Left = why.Error()
		}
	}
	if err != nil {
		s.warn("what %s has lost was not put back: %s", e.place.name, explain(err))
	}
	return nil
}

// nothingElse is why something is not put back where there is only one place.
const nothingElse = "there is no other place to take it from"

func total(needs []publish.Need) (n int64) {
	for _, a := range needs {
		n += a.Size
	}
	return n
}

// nameOf returns what a place is called; "" when it is none of these.
func nameOf(places []*place, store layout.Store) string {
	for _, p := range places {
		if p.Store == store {
			return p.name
		}
	}
	return ""
}

// replaceManifest stores a manifest again in a store, from the first of the places that has it whole, whose name it returns. left is why there is no
// such place; err, that ctx has ended.
func replaceManifest(ctx context.Context, to layout.Store, id manifest.ID, from []*place) (name, left string, err error) {
	left = nothingElse
	for _, p := range from {
		_, stored, err := p.Manifest(ctx, id)
		if err == nil {
			err = to.Replace(ctx, id, stored)
		}
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		if err == nil {
			return p.name, "", nil
		}
		left = err.Error()
	}
	return "", left, nil
}

// healLocal examines the local store, and takes from the remotes what it has lost.
func (s *session) healLocal(ctx context.Context, w *writable, opts transfer.Options) error {
	e, err := s.examine(ctx, w, localPlace(w.local))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.warn("the local store was not looked through: %s", explain(err))
		return nil
	}
	from := slices.Clone(w.remotes)
	if w.safety != nil {
		from = append(from, localPlace(w.safety))
	}
	return s.repair(ctx, e, from, opts)
}

// healAfter puts right what is left to be put right when a snapshot was delivered. base is what that was compared with, or nil.
func (s *session) healAfter(ctx context.Context, w *writable, base *snapshot.Base, report *backupReport, meter *progress.Meter) error {
	if err := s.healLocal(ctx, w, s.sendOptions(meter)); err != nil {
		return err
	}
	s.keepNeeds(w)
	if base != nil {
		w.healing.again = map[manifest.Hash]bool{}
		for i := range base.Archives {
			w.healing.again[base.Archives[i].SHA256] = true
		}
	}
	report.Damage = w.healing.found
	return nil
}

// A handful is how much of a list a warning shows; -v shows all.
const handful = 5

// warnOfDamage says what a store has lost, and what that touches.
func (s *session) warnOfDamage(e *examination) {
	for i, d := range e.damage {
		if i == handful && !s.verbose {
			s.warn("%s: and %s more (-v lists them, --json too)", e.place.name, count(int64(len(e.damage)-i), "object"))
			return
		}
		s.warn("%s: %s: %s", e.place.name, d.Object, oneLine(d.Detail))
		for i, h := range slices.Backward(d.Snapshots) {
			if len(d.Snapshots)-i > handful && !s.verbose {
				s.line("  and of %s more", count(int64(i+1), "snapshot"))
				break
			}
			s.line("  touches %s", h.describe(s.verbose))
		}
	}
}

// describe names the files that are touched.
func (h hurt) describe(all bool) string {
	text := fmt.Sprintf("%s of %s", count(h.Count, "file"), h.Stamp)
	if h.Unknown != "" {
		text = fmt.Sprintf("files of %s that are not known, since what describes it is lost too", h.Stamp)
	}
	if h.Describes {
		text = fmt.Sprintf("what describes %s, and so all of it", h.Stamp)
	}
	shown := h.Files
	if !all {
		shown = shown[:min(len(shown), handful)]
	}
	if len(shown) > 0 && !h.Describes {
		names := make([]string, len(shown))
		for i, path := range shown {
			names[i] = oneLine(path)
		}
		text += ": " + strings.Join(names, ", ")
		if more := h.Count - int64(len(shown)); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	return text
}

// tellRepaired says what came of what was found, and reports whether some snapshot stays damaged.
func (s *session) tellRepaired(w *writable) (hurt bool) {
	type where struct{ name, from string }
	repaired := map[where]int64{}
	var order []where
	left := map[string][]*damage{} // by store
	var stores []string
	for _, d := range w.healing.found {
		if d.repaired() {
			at := where{d.Name, d.From}
			if repaired[at]++; repaired[at] == 1 {
				order = append(order, at)
			}
			continue
		}
		d.Again = d.loss != nil && w.healing.again[d.loss.SHA256]
		if left[d.Name] == nil {
			stores = append(stores, d.Name)
		}
		left[d.Name] = append(left[d.Name], d)
	}
	for _, at := range order {
		s.note("repaired: %s has %s again, from %s", at.name, count(repaired[at], "object"), at.from)
	}
	for _, name := range stores {
		s.warnOfHurt(name, left[name])
	}
	return len(stores) > 0
}

// warnOfHurt names the snapshots that stay damaged in a store, and what can be done.
func (s *session) warnOfHurt(name string, list []*damage) {
	var ids []string
	again := false
	for _, d := range list {
		again = again || d.Again
		for _, h := range d.Snapshots {
			if !slices.Contains(ids, string(h.Stamp)) {
				ids = append(ids, string(h.Stamp))
			}
		}
	}
	slices.Sort(ids)
	shown := ids
	more := ""
	if len(ids) > handful && !s.verbose {
		shown, more = ids[len(ids)-handful:], fmt.Sprintf(" and %d more", len(ids)-handful)
	}
	if again {
		s.note("what the sources still have of what %s has lost was stored again, so the new snapshot does not need it", name)
	}
	s.warn("what is lost was not to be had anywhere, so these snapshots stay damaged at %s: %s%s; lifeboat restore %s --salvage --target DIR brings back what is whole, and lifeboat remove takes such a snapshot off the list",
		name, strings.Join(shown, ", "), more, shown[len(shown)-1])
}
