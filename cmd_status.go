package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/drill"
	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

const statusHelp = `Says whether everything is fresh and proven: the newest good snapshot and its
age, which remotes have it, when each was drilled last, and how long a restore
would take from there. The first line is as monitors like Nagios want it.

   lifeboat status
   lifeboat status --max-age 26h --max-drill-age 8d
   lifeboat status --nagios --max-age 26h --remote s3://bucket/app

--max-age is about the newest good snapshot at each remote, --max-drill-age
about the last drill of each remote that found all to be right. That the last
drill of a remote failed is critical by itself.

Exit code 5: the last drill of a remote failed; 7: a snapshot or a proof is too
old; 13: there is no good snapshot; 3: a remote lacks the newest one, or there
is no remote; 10, 14: a remote is gone or was not reached. When several apply,
it is the first of 5, 7, 13, 14, 10, 3. With --nagios it is 0 for OK, 1 for
WARNING (3 above), 2 for CRITICAL, and 3 for UNKNOWN.`

func statusFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "max-age", Usage: "critical if the newest good snapshot of a remote is older than `TIME`, such as 26h or 7d"},
		&cli.StringFlag{Name: "max-drill-age", Usage: "critical if the last proof of a remote is older than `TIME`"},
		bandwidthFlag(),
		&cli.BoolFlag{Name: "nagios", Usage: "exit codes of a Nagios plugin: 0, 1, 2, 3"},
	}
}

// A statusReport is what status says.
type statusReport struct {
	Status   string        `json:"status"`  // ok, warning, critical
	Summary  string        `json:"summary"` // for people
	App      string        `json:"app,omitempty"`
	Latest   *latest       `json:"latest,omitempty"`
	Places   []placeStatus `json:"places"`
	Problems []problem     `json:"problems"`
	Recovery *recoveryTime `json:"recovery,omitempty"` // of the latest, from where it is quickest
}

// latest is the newest good snapshot.
type latest struct {
	Stamp  manifest.Stamp `json:"stamp"`
	ID     string         `json:"id"`
	Age    int64          `json:"age_seconds"`
	Places []string       `json:"places"` // names
}

// A placeStatus is how it stands at one place.
type placeStatus struct {
	Name     string         `json:"name"`
	URL      string         `json:"url"`
	Answered bool           `json:"answered"`
	Newest   manifest.Stamp `json:"newest,omitempty"` // that is good
	Age      int64          `json:"age_seconds"`
	Recovery *recoveryTime  `json:"recovery,omitempty"`     // of the newest
	Failed   manifest.Stamp `json:"failed_drill,omitempty"` // the last drill, if it failed
}

// A problem is something that somebody should see to.
type problem struct {
	Code  int    `json:"code"` // exit code
	Place string `json:"place,omitempty"`
	Text  string `json:"text"`
}

// gravest is the order in which exit codes count.
var gravest = []int{codeDrill, codeStale, codeNoSnapshot, codeRemote, codeNoStore, codeIncomplete}

// status says how it stands.
func status(s *session, c *cli.Context) error {
	err := s.status(c.Context)
	if !c.Bool("nagios") || err == nil {
		return err
	}
	var told reported
	switch {
	case !errors.As(err, &told):
		f := classify(c.Context, err)
		s.print("LIFEBOAT UNKNOWN - %s", monitorText(f.Error()))
		if f.next != "" {
			s.print("next: %s", printable(f.next))
		}
		s.document(map[string]any{"error": map[string]any{"code": f.code, "kind": f.kind, "message": f.Error(), "next": f.next}})
		return reported(3)
	case int(told) == codeIncomplete:
		return reported(1)
	}
	return reported(2)
}

func (s *session) status(ctx context.Context) error {
	var maxAge, maxDrill config.Duration
	var bandwidth config.Rate
	if err := errors.Join(override(s, "max-age", config.ParseWithin, &maxAge), override(s, "max-drill-age", config.ParseWithin, &maxDrill),
		override(s, "bandwidth", config.ParseBandwidth, &bandwidth)); err != nil {
		return err
	}
	places, catalog, partial, err := s.everywhere(ctx, "latest")
	if err != nil {
		return err
	}
	r := &statusReport{Places: []placeStatus{}, Problems: []problem{}}
	now := s.clock(ctx, catalog.Answered)
	ref, _ := manifest.ParseRef("latest", time.Local)
	id, _, err := catalog.Resolve(ctx, ref, now)
	if err == nil {
		head, err := catalog.Head(ctx, id)
		if err != nil {
			return err
		}
		r.App, r.Latest = head.App, &latest{Stamp: id.Stamp, ID: id.String(), Age: int64(max(0, now.Sub(id.Stamp.Time())).Seconds()), Places: []string{}}
	} else if s.isUnreachable(ctx, err) {
		return err
	} else {
		r.add(codeNoSnapshot, "", "there is no good snapshot anywhere")
	}
	remotes := 0
	for _, p := range places {
		if p.name == safetyName {
			continue
		}
		if p.name != "local" {
			remotes++
		}
		if err := s.statusOf(ctx, r, p, catalog, now, bandwidth); err != nil {
			return err
		}
	}
	if remotes == 0 {
		r.add(codeIncomplete, "", "everything is on this machine only, since no remote is named")
	}
	if partial != nil && !slices.ContainsFunc(r.Problems, func(p problem) bool { return p.Code == codeRemote || p.Code == codeNoStore }) {
		r.add(classify(ctx, partial).code, "", "%s", oneLine(partial.Error()))
	}
	r.judge(time.Duration(maxAge), time.Duration(maxDrill), now)
	r.print(s, time.Duration(maxAge), time.Duration(maxDrill))
	if err := s.document(r); err != nil {
		return err
	}
	if code := r.code(); code != codeOK {
		return reported(code)
	}
	return nil
}

// isUnreachable reports that it is not known which snapshot is the latest.
func (s *session) isUnreachable(ctx context.Context, err error) bool {
	return ctx.Err() != nil || classify(ctx, err).code == codeRemote
}

func (r *statusReport) add(code int, place, format string, args ...any) {
	r.Problems = append(r.Problems, problem{code, place, fmt.Sprintf(format, args...)})
}

// statusOf looks at one place.
func (s *session) statusOf(ctx context.Context, r *statusReport, p *place, all *layout.Catalog, now time.Time, bandwidth config.Rate) error {
	st := placeStatus{Name: p.name, URL: p.url, Answered: slices.Contains(all.Answered, p.Store)}
	defer func() { r.Places = append(r.Places, st) }()
	if !st.Answered {
		if p.gone() {
			r.add(codeNoStore, p.name, "%s is gone", p.name)
		} else {
			r.add(codeRemote, p.name, "%s was not reached", p.name)
		}
		return nil
	}
	c := all.Only(p.Store)
	ref, _ := manifest.ParseRef("latest", time.Local)
	id, _, err := c.Resolve(ctx, ref, now)
	if s.isUnreachable(ctx, err) {
		return err
	}
	if err != nil {
		if p.name != "local" {
			r.add(codeIncomplete, p.name, "%s has no good snapshot", p.name)
		}
		return nil
	}
	st.Newest, st.Age = id.Stamp, int64(max(0, now.Sub(id.Stamp.Time())).Seconds())
	if r.Latest != nil && r.Latest.ID == id.String() {
		r.Latest.Places = append(r.Latest.Places, p.name)
	}
	if p.name == "local" {
		return nil // what counts is what is left when this machine is gone
	}
	if r.Latest != nil && r.Latest.ID != id.String() {
		r.add(codeIncomplete, p.name, "%s lacks it, and has %s, %s old", p.name, id.Stamp, ago(st.Age))
	}
	drills, err := c.Drills(ctx, p.Store)
	if err != nil {
		return err
	}
	if n := len(drills); n > 0 && !drills[n-1].OK {
		st.Failed = drills[n-1].At
		r.add(codeDrill, p.name, "the last drill of %s failed, %s ago, with %s", p.name, ago(s.ageOf(st.Failed)), drills[n-1].Snapshot)
	}
	head, err := c.Head(ctx, id)
	if err != nil {
		return err
	}
	recovery := s.recoveryBy(ctx, p, drills, targetOf(id, head), bandwidth)
	st.Recovery = &recovery
	return nil
}

// judge compares ages with what is allowed, and finds the way back that is quickest.
func (r *statusReport) judge(maxAge, maxDrill time.Duration, now time.Time) {
	var list []recoveryTime
	remotes := slices.DeleteFunc(slices.Clone(r.Places), func(p placeStatus) bool { return p.Name == "local" })
	for _, p := range remotes {
		if maxAge > 0 && p.Newest != "" && now.Sub(p.Newest.Time()) > maxAge {
			r.add(codeStale, p.Name, "the newest good snapshot at %s is %s old, more than %s", p.Name, ago(p.Age), maxAge)
		}
		switch {
		case p.Recovery == nil:
			continue
		case maxDrill > 0 && p.Recovery.Proven == nil:
			r.add(codeStale, p.Name, "%s was never proven: run lifeboat drill", p.Name)
		case maxDrill > 0 && now.Sub(p.Recovery.Proven.Stamp.Time()) > maxDrill:
			r.add(codeStale, p.Name, "%s was proven %s ago, more than %s", p.Name, ago(p.Recovery.Proven.Age), maxDrill)
		}
		if r.Latest != nil && p.Newest == r.Latest.Stamp {
			list = append(list, *p.Recovery)
		}
	}
	if len(remotes) == 0 && maxAge > 0 && r.Latest != nil && now.Sub(r.Latest.Stamp.Time()) > maxAge {
		r.add(codeStale, "", "the newest good snapshot is %s old, more than %s", ago(r.Latest.Age), maxAge)
	}
	if len(remotes) == 0 && maxDrill > 0 {
		r.add(codeStale, "", "there is no remote that a drill could have proven")
	}
	if len(list) > 0 {
		quickest := best(list)
		r.Recovery = &quickest
	}
	slices.SortStableFunc(r.Problems, func(a, b problem) int { return cmp.Compare(rank(a.Code), rank(b.Code)) })
	switch r.code() {
	case codeOK:
		r.Status = "ok"
	case codeIncomplete:
		r.Status = "warning"
	default:
		r.Status = "critical"
	}
	r.Summary = r.summary()
}

// rank is how much an exit code counts, 0 the most.
func rank(code int) int {
	if at := slices.Index(gravest, code); at >= 0 {
		return at
	}
	return len(gravest)
}

func (r *statusReport) code() int {
	if len(r.Problems) == 0 {
		return codeOK
	}
	return r.Problems[0].Code
}

func (r *statusReport) summary() string {
	text := ""
	for _, p := range r.Problems {
		text += p.Text + "; "
	}
	if r.Latest == nil {
		return strings.TrimSuffix(text, "; ")
	}
	text += fmt.Sprintf("%s is %s old, at %s", r.Latest.Stamp, ago(r.Latest.Age), strings.Join(r.Latest.Places, " and "))
	if r.Recovery != nil {
		text += "; " + r.Recovery.sentence()
	}
	return text
}

// monitorText makes text one line without what separates it from the figures.
func monitorText(text string) string { return strings.ReplaceAll(oneLine(text), "|", "/") }

// print writes the line for monitors, https://nagios-plugins.org/doc/guidelines.html, and how it stands at each place.
func (r *statusReport) print(s *session, maxAge, maxDrill time.Duration) {
	app := ""
	if r.App != "" {
		app = r.App + ": "
	}
	s.print("LIFEBOAT %s - %s%s%s", strings.ToUpper(r.Status), app, monitorText(r.Summary), r.figures(maxAge, maxDrill))
	for _, p := range r.Places {
		row := func(format string, args ...any) { s.say("%-11s %s", oneLine(p.Name), fmt.Sprintf(format, args...)) }
		switch {
		case !p.Answered:
			row("was not reached")
			continue
		case p.Newest == "":
			row("has no good snapshot")
			continue
		}
		row("%s, %s old", p.Newest, ago(p.Age))
		if p.Recovery != nil {
			row("%s", p.Recovery.sentence())
			row("%s", p.Recovery.source())
		}
	}
}

// figures are the performance data of the line: ages, and the time to restore, in seconds, with the limits.
func (r *statusReport) figures(maxAge, maxDrill time.Duration) string {
	limit := func(d time.Duration) string {
		if d == 0 {
			return ";;;0"
		}
		return fmt.Sprintf(";;%.0f;0", d.Seconds())
	}
	var list []string
	if r.Latest != nil {
		list = append(list, fmt.Sprintf("age=%ds%s", r.Latest.Age, limit(maxAge)))
	}
	oldest := int64(-1)
	for _, p := range r.Places {
		if p.Recovery != nil && p.Recovery.Proven != nil {
			oldest = max(oldest, p.Recovery.Proven.Age)
		}
	}
	if oldest >= 0 {
		list = append(list, fmt.Sprintf("drill_age=%ds%s", oldest, limit(maxDrill)))
	}
	if r.Recovery != nil && (r.Recovery.Basis == drill.Measured || r.Recovery.Basis == drill.Scaled) {
		list = append(list, fmt.Sprintf("restore=%.0fs;;;0", r.Recovery.Seconds))
	}
	if len(list) == 0 {
		return ""
	}
	return " | " + strings.Join(list, " ")
}
