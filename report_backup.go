package main

import (
	"fmt"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
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
	Stats        manifest.Stats       `json:"stats"`
	Places       []placeReport        `json:"places"`
	NotReached   []string             `json:"not_reached,omitempty"`
}

type placeReport struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

func newBackupReport(res *snapshot.Result, local *localstore.Store) *backupReport {
	h := res.Head
	return &backupReport{Stamp: h.Stamp, ID: res.ID.String(), App: h.App, State: h.State, Consistency: h.Consistency, Sources: h.Sources,
		Omitted: h.Omitted, Problems: h.Problems, ProblemCount: h.ProblemCount, Files: h.Files.Count, Stats: h.Stats,
		Places: []placeReport{{"local", local.Path()}}}
}

func (r *backupReport) corrupt() bool {
	for _, p := range r.Problems {
		if p.Kind == layout.ProblemCorrupt {
			return true
		}
	}
	return false
}

func (r *backupReport) print(s *session) {
	databases := int64(0)
	for _, src := range r.Sources {
		databases += src.Databases
	}
	s.say("snapshot %s of %s: %s", r.Stamp, r.App, r.State)
	captured := fmt.Sprintf("%s in %s", size(r.Stats.Bytes), count(r.Files, "file"))
	if len(r.Sources) > 1 {
		captured += " from " + count(int64(len(r.Sources)), "source")
	}
	if databases > 0 {
		checked := "checked and sound"
		if r.corrupt() {
			checked = "NOT ALL SOUND, see below"
		}
		captured += fmt.Sprintf(", among them %s, %s", count(databases, "database"), checked)
	}
	s.say("  captured    %s", captured)
	s.say("  consistent  %s", describeConsistency(r.Consistency))
	s.say("  stored      %s in %s%s", size(r.Stats.StoredBytes), count(r.Stats.ArchivesNew, "archive"), ratio(r.Stats.StoredBytes, r.Stats.Bytes))
	var where []string
	for _, p := range r.Places {
		where = append(where, p.URL)
	}
	s.say("  where       %s", strings.Join(where, "\n              "))
	took := seconds(r.Stats.Seconds)
	if databases > 0 {
		took += fmt.Sprintf("; the longest read transaction %s, in which the log grew by %s", micros(r.Stats.PinMS*1000), size(r.Stats.WALGrowth))
	}
	s.say("  took        %s", took)
	for _, o := range r.Omitted {
		s.say("  left out    %s: %s", o.Source, o.Why)
	}
	for i, p := range r.Problems {
		if i == 20 && !s.verbose {
			s.warn("and %d more; lifeboat show %s -v lists them", r.ProblemCount-20, r.Stamp)
			break
		}
		s.warn("%s", describeProblem(p))
	}
	for range r.NotReached {
		s.warn("a remote does not have this snapshot; lifeboat push, or the next backup, catches up")
	}
}

func describeProblem(p manifest.Problem) string {
	where := p.Path
	if where == "" {
		where = p.Source
	}
	text := fmt.Sprintf("%s: %s", oneLine(where), strings.ReplaceAll(p.Kind, "_", " "))
	if p.Detail != "" {
		text += ": " + oneLine(p.Detail)
	}
	return text
}

func describeConsistency(c manifest.Consistency) string {
	switch c.Level {
	case manifest.Transactional:
		return "all of it is the state at one instant"
	case manifest.Stable:
		return fmt.Sprintf("each database is one transaction and each file was at rest, at most %s apart", micros(c.SkewUS))
	}
	return fmt.Sprintf("some files changed while they were read; the rest lies at most %s apart", micros(c.SkewUS))
}

func ratio(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f %% of what was captured", 100*float64(part)/float64(whole))
}
