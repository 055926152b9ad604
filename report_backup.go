package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lifeboat/drill"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
)

// A backupReport is how a backup ends: what was captured, how consistent it is, how much was stored, and where.
type backupReport struct {
	Stamp        manifest.Stamp       `json:"stamp"`
	ID           string               `json:"id"`
	App          string               `json:"app"`
	State        manifest.State       `json:"state"`
	Consistency  manifest.Consistency `json:"consistency"`
	Sources      []manifest.Source    `json:"sources"`
	Omitted      []manifest.Omission  `json:"omitted,omitempty"`
	Problems     []manifest.Problem   `json:"problems,omitempty"`
	ProblemCount int64                `json:"problem_count"`
	Files        int64                `json:"files"`
	Stats        manifest.Stats       `json:"stats"` // of the capture
	BarrierUS    int64                `json:"barrier_us,omitempty"`
	Seconds      float64              `json:"seconds"` // of capture and sending
	Places       []placeName          `json:"places"`
	NotReached   []string             `json:"not_reached,omitempty"`
	Remotes      []remoteState        `json:"remotes,omitempty"`
	NotLocal     string               `json:"not_local,omitempty"` // why it is not in the local store
	Pruned       []storePruned        `json:"pruned,omitempty"`
	Others       []otherSnapshot      `json:"others,omitempty"` // the newest that somebody else took into the same store
	OtherCount   int                  `json:"other_count,omitempty"`
	Damage       []*damage            `json:"damage,omitempty"`   // found in the stores
	Recovery     *recoveryTime        `json:"recovery,omitempty"` // of a good snapshot that a remote has

	others otherWriters
	failed []error // the remotes that do not have it
	pull   bool    // the local store may have room for it
	alone  bool    // there are none
}

func newBackupReport(res *snapshot.Result, local *localstore.Store) *backupReport {
	h := res.Head
	return &backupReport{Stamp: h.Stamp, ID: res.ID.String(), App: h.App, State: h.State, Consistency: h.Consistency, Sources: h.Sources,
		Omitted: h.Omitted, Problems: h.Problems, ProblemCount: h.ProblemCount, Files: h.Files.Count, Stats: h.Stats, BarrierUS: res.Barrier.Microseconds(),
		Places: []placeName{{"local", local.Path()}}}
}

// notLocal says why the snapshot is not in the local store.
func (r *backupReport) notLocal(why string) {
	r.Places = []placeName{}
	r.NotLocal = why
}

// finishBackup reports, and turns what is missing into an exit code.
func (s *session) finishBackup(ctx context.Context, r *backupReport) error {
	r.NotReached = messages(r.failed)
	r.print(s)
	if err := s.document(r); err != nil {
		return err
	}
	switch {
	case r.corrupt():
		s.warn("latest will pass this snapshot over, since a database in it is corrupt; the application's own data is damaged, so look there first")
		return reported(codeIntegrity)
	case r.State != manifest.Complete:
		s.warn("latest will pass this snapshot over, since it is incomplete; see to what is named above and back up again")
		return reported(codeIncomplete)
	case len(r.failed) > 0:
		return reported(classify(ctx, errors.Join(r.failed...)).code)
	}
	return nil
}

func (r *backupReport) corrupt() bool {
	for _, p := range r.Problems {
		if p.Kind == layout.ProblemCorrupt {
			return true
		}
	}
	return false
}

// maxProblems is how many problems are shown without -v.
const maxProblems = 20

func (r *backupReport) print(s *session) {
	s.say("snapshot %s of %s: %s", r.Stamp, r.App, r.State)
	row := func(what, text string) { s.say("  %-11s %s", what, text) }
	row("captured", r.captured())
	row("consistent", describeConsistency(r.Consistency, r.databases()))
	row("stored", describeStored(r.Stats))
	row("took", r.took())
	for i, p := range r.Places {
		if i == 0 {
			row("where", p.URL)
		} else {
			row("", p.URL)
		}
	}
	if r.NotLocal != "" {
		row("", fmt.Sprintf("not in the local store: %s", r.NotLocal))
		if r.pull && len(r.Places) > 0 {
			row("", fmt.Sprintf("lifeboat pull %s brings it", r.Stamp))
		}
	}
	for _, src := range r.Sources {
		if src.Excluded > 0 {
			row("excluded", fmt.Sprintf("%s of %s, each directory counted as one", count(src.Excluded, "entry"), src.Name))
		}
	}
	for _, o := range r.Omitted {
		row("left out", o.Source+": "+o.Why)
	}
	for _, p := range r.Pruned {
		row("pruned", p.summary())
	}
	if text := r.ifLost(); text != "" {
		s.say("  if this machine died now: %s", text)
	}
	for i, p := range r.Problems {
		if i == maxProblems && !s.verbose {
			s.warn("and %d more; lifeboat show %s -v lists them", r.ProblemCount-maxProblems, r.Stamp)
			break
		}
		s.warn("%s", describeProblem(p))
	}
	r.others.print(s)
	if r.alone {
		s.warn("it is on this machine only, since no remote is named: give --remote URL, or say lifeboat create if that is meant")
	}
	if len(r.Places) == 0 {
		s.warn("the snapshot is whole nowhere yet: part of it was sent, and the rest waits in the spool; lifeboat push completes it")
	}
	for _, err := range r.failed {
		s.warn("%s", explain(err))
		s.warn("that remote lacks this snapshot; the next backup, or lifeboat push, sends it")
	}
	for _, state := range r.Remotes {
		if state.Behind > 1 && state.Reached != nil { // it lacks not only this one
			s.warn("%s", state.sentence(s))
		}
	}
}

// ifLost says what there would be without this machine, "" where that is not the question.
func (r *backupReport) ifLost() string {
	switch {
	case r.Recovery != nil:
		return r.Recovery.sentence()
	case r.alone:
		return "nothing of this would be left, as no remote is named"
	case len(r.failed) > 0 && !r.corrupt() && r.State == manifest.Complete:
		return "this snapshot would be lost, as no remote has it"
	}
	return ""
}

// addRecovery finds out how long it would take to restore the snapshot from the remotes that have it. It is no failure that this is not known.
func (s *session) addRecovery(ctx context.Context, r *backupReport, remotes []*place, t drill.Target) {
	if r.corrupt() || r.State != manifest.Complete {
		return // latest means another one
	}
	var list []recoveryTime
	for _, p := range remotes {
		if !slices.Contains(r.Places, placeName{p.name, p.url}) {
			continue
		}
		time, err := s.recovery(remote.WithPatience(ctx, atStart), p, t, 0)
		if err != nil {
			s.detail("what was proven at %s is not known: %v", p.url, err)
			time = recoveryOf(p.name, drill.Estimate{Basis: drill.Unknown})
		}
		list = append(list, time)
	}
	if len(list) > 0 {
		best := best(list)
		r.Recovery = &best
	}
}

func (r *backupReport) captured() string {
	text := fmt.Sprintf("%s in %s", size(r.Stats.Bytes), entries(r.Files))
	if len(r.Sources) > 1 {
		text += " from " + count(int64(len(r.Sources)), "source")
	}
	switch {
	case r.databases() == 0:
		return text
	case r.corrupt():
		return text + fmt.Sprintf("; %s, NOT ALL SOUND", count(r.databases(), "database"))
	}
	return text + fmt.Sprintf("; %s, checked and sound", count(r.databases(), "database"))
}

func (r *backupReport) databases() int64 { return databases(r.Sources) }

func databases(sources []manifest.Source) (n int64) {
	for _, src := range sources {
		n += src.Databases
	}
	return n
}

func (r *backupReport) took() string {
	text := seconds(r.Seconds)
	if r.databases() > 0 {
		text += fmt.Sprintf("; read transactions %s at most", micros(r.Stats.PinMS*1000))
	}
	if r.Stats.WriterBlockMS > 0 {
		text += fmt.Sprintf("; commits held up by %s at most", micros(r.Stats.WriterBlockMS*1000))
	}
	if r.BarrierUS > 0 {
		text += fmt.Sprintf("; writers waited %s for the instant", micros(r.BarrierUS))
	}
	if r.Stats.WALGrowth > 0 {
		text += fmt.Sprintf(", while the log grew by %s", size(r.Stats.WALGrowth))
	}
	return text
}

func describeProblem(p manifest.Problem) string {
	where := p.Path
	if where == "" {
		where = p.Source
	}
	text := strings.ReplaceAll(oneLine(p.Kind), "_", " ")
	if where != "" {
		text = fmt.Sprintf("%s: %s", oneLine(where), text)
	}
	if p.Detail != "" {
		text += ": " + oneLine(strings.ReplaceAll(strings.TrimSpace(p.Detail), "\n", "; "))
	}
	return text
}

func describeConsistency(c manifest.Consistency, databases int64) string {
	switch {
	case c.Level == manifest.Transactional:
		return "all of it is the state at one instant"
	case c.Level == manifest.Stable && databases == 0:
		return fmt.Sprintf("every file at rest while it was read, %s apart at most", micros(c.SkewUS))
	case c.Level == manifest.Stable:
		return fmt.Sprintf("databases in one transaction each, files at rest, %s apart at most", micros(c.SkewUS))
	}
	return fmt.Sprintf("some files changed while they were read; all is %s apart at most", micros(c.SkewUS))
}

func describeStored(stats manifest.Stats) string {
	text := fmt.Sprintf("%s in %s", size(stats.StoredBytes), count(stats.ArchivesNew, "archive"))
	if stats.StoredBytes < stats.Bytes {
		text += fmt.Sprintf(", %.0f %% of what was captured", 100*float64(stats.StoredBytes)/float64(stats.Bytes))
	}
	return text
}
