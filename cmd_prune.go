package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/publish"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/prune"
)

const pruneHelp = `Removes the snapshots that no rule keeps: at each store by its own rules, those
of lifeboat.yaml, or at every store by those given here. Each rule keeps the
newest snapshot of each of the newest N hours, days, weeks and so on that have
one; --keep-within keeps everything that is that young, counted from the newest.

   lifeboat prune --dry-run
   lifeboat prune --keep-daily 7 --keep-weekly 4 --keep-within 48h
   lifeboat prune --undo 20060102T150405Z

The newest that is complete and sound, the newest that a drill proved, what is
pinned, and safety snapshots always stay. An incomplete or corrupt snapshot
takes the place of none that is good, and one that left sources out (--only) of
none that has them.

Nothing needs to stand still meanwhile. What is removed can be put back for 48
hours; a prune after that frees its space. In the local store a snapshot that a
remote lacks stays, too.

Exit code 3: a store refused to remove something, such as what is locked there;
4: a manifest cannot be read, so that no archives were removed; 10, 14: a remote
is gone or was not reached; 64: nothing says what to keep.`

func pruneFlags() []cli.Flag {
	return append(keepFlags(),
		&cli.BoolFlag{Name: "dry-run", Usage: "say what would be removed, and why, and remove nothing"},
		&cli.BoolFlag{Name: "undo", Usage: "put back the SNAPSHOTs that were removed, or all that can be"},
		&cli.StringSliceFlag{Name: "drop-unreadable", Usage: "do not wait for the snapshot `ID`, whose manifest cannot be read: what only it needs is removed; may be repeated"},
		waitFlag(),
	)
}

// keepFlags are the rules of a policy.
func keepFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "keep-last", Usage: "keep the newest `N` snapshots; here and below, all is no limit"},
		&cli.StringFlag{Name: "keep-hourly", Usage: "keep the newest of each of `N` hours"},
		&cli.StringFlag{Name: "keep-daily", Usage: "keep the newest of each of `N` days"},
		&cli.StringFlag{Name: "keep-weekly", Usage: "keep the newest of each of `N` weeks"},
		&cli.StringFlag{Name: "keep-monthly", Usage: "keep the newest of each of `N` months"},
		&cli.StringFlag{Name: "keep-yearly", Usage: "keep the newest of each of `N` years"},
		&cli.StringFlag{Name: "keep-within", Usage: "keep all that are at most `TIME`, such as 48h, 14d or 8w, older than the newest"},
	}
}

// A prunePlan is which snapshots go from which store.
type prunePlan struct {
	dryRun bool
	drop   []manifest.ID // that are not waited for
	sets   []ruleSet
}

// A ruleSet is the rules for one store.
type ruleSet struct {
	*place
	keep  config.Keep
	local *localstore.Store // nil of a remote
}

// pruneCommand removes what no rule keeps, or puts it back.
func pruneCommand(s *session, c *cli.Context) error {
	ctx := c.Context
	if c.NArg() > 0 && !c.Bool("undo") {
		return usagef("lifeboat remove removes a snapshot, and lifeboat pin keeps one", "prune takes no arguments without --undo")
	}
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	flags, err := s.keepFromFlags()
	if err != nil {
		return err
	}
	release, err := s.holdLocal(ctx)
	if err != nil {
		return err
	}
	defer release()
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	if c.Bool("undo") {
		if flags != (config.Keep{}) || c.Bool("dry-run") {
			return usagef(helpOf([]string{"prune"}), "--undo goes with neither --dry-run nor rules")
		}
		return s.undoPrune(ctx, places, c.Args().Slice())
	}
	plan := prunePlan{dryRun: c.Bool("dry-run")}
	if plan.sets, err = s.ruleSets(ctx, cfg, flags, places); err != nil {
		return err
	}
	if plan.drop, err = parseIDs(given(c.StringSlice("drop-unreadable"))); err != nil {
		return err
	}
	report, failed := s.prune(ctx, plan, places)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	report.print(s)
	if err := s.document(report); err != nil {
		return err
	}
	return report.code(ctx, failed)
}

// keepFromFlags returns the rules of the command line; none at all if there are none.
func (s *session) keepFromFlags() (k config.Keep, err error) {
	named := false
	for _, f := range keepFlags() {
		named = named || s.c.String(f.Names()[0]) != ""
	}
	for _, rule := range []struct {
		flag string
		dst  *config.Count
	}{{"keep-last", &k.Last}, {"keep-hourly", &k.Hourly}, {"keep-daily", &k.Daily}, {"keep-weekly", &k.Weekly}, {"keep-monthly", &k.Monthly}, {"keep-yearly", &k.Yearly}} {
		if err := override(s, rule.flag, config.ParseCount, rule.dst); err != nil {
			return k, err
		}
	}
	if err := override(s, "keep-within", config.ParseWithin, &k.Within); err != nil {
		return k, err
	}
	if named && k == (config.Keep{}) {
		return k, usagef("give a rule that keeps something, such as --keep-daily 7", "these rules keep nothing")
	}
	return k, nil
}

// ruleSets returns the rules for each store that has some. None at all is an error: it is no wish to remove everything, nor to remove nothing.
func (s *session) ruleSets(ctx context.Context, cfg *config.Config, flags config.Keep, places []*place) (sets []ruleSet, err error) {
	dir, _, _ := s.localDir(cfg)
	own := map[string]config.Keep{}
	for _, r := range cfg.Remotes {
		own[r.Name] = r.Keep
	}
	for i, p := range places {
		set := ruleSet{place: p, keep: own[p.name]}
		switch {
		case i == 0 && dir != "" && p.dir == dir:
			set.keep = cfg.Local.Rules
			if set.local, err = localstore.Open(ctx, dir); err != nil {
				return nil, err
			}
		case p.name == safetyName && i == 1 && places[0].dir == dir:
			continue
		}
		if flags != (config.Keep{}) {
			set.keep = flags
		}
		if set.keep == (config.Keep{}) {
			s.detail("%s is left as it is: nothing says what to keep there", p.name)
			continue
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		return nil, errNoRules()
	}
	return sets, nil
}

func errNoRules() error {
	return usagef("say so in lifeboat.yaml, as in keep: {daily: 7, weekly: 4} of a remote, or here with --keep-daily 7 and its like", "nothing says which snapshots to keep")
}

func parseIDs(texts []string) (ids []manifest.ID, err error) {
	for _, text := range texts {
		id, err := manifest.ParseID(text)
		if err != nil {
			return nil, usagef("lifeboat list --json shows whole IDs", "--drop-unreadable: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// A pruneReport is what became of each snapshot of each store that has rules.
type pruneReport struct {
	DryRun bool         `json:"dry_run,omitempty"`
	Stores []storePrune `json:"stores"`
	Failed []string     `json:"failed,omitempty"`
}

// A storePrune is that of one store.
type storePrune struct {
	Name      string          `json:"name"`
	URL       string          `json:"url"`
	Keep      config.Keep     `json:"keep"`
	Snapshots []pruneDecision `json:"snapshots"` // oldest first
	Stay      int             `json:"stay"`
	Removed   int             `json:"removed"` // or that would be

	FreedBytes int64      `json:"freed_bytes"` // now
	LaterBytes int64      `json:"later_bytes"` // by a prune after LaterAt
	LaterAt    *time.Time `json:"later_at"`

	Refused      []refusal `json:"refused,omitempty"`
	RefusedBytes int64     `json:"refused_bytes,omitempty"`
	Unreadable   []string  `json:"unreadable,omitempty"` // IDs, because of which no archive was removed
}

type refusal struct {
	Object string `json:"object"`
	Why    string `json:"why"`
}

type pruneDecision struct {
	Stamp   manifest.Stamp `json:"stamp"`
	ID      string         `json:"id"`
	Keep    bool           `json:"keep"`
	Refused bool           `json:"refused,omitempty"`
	Reasons []prune.Reason `json:"reasons"`

	id manifest.ID
}

// prune carries a plan out. A store that fails keeps no other from being pruned.
func (s *session) prune(ctx context.Context, plan prunePlan, places []*place) (r *pruneReport, failed []error) {
	r = &pruneReport{DryRun: plan.dryRun, Stores: []storePrune{}}
	facts := &pruneFacts{known: map[manifest.ID]prune.Snapshot{}, places: places}
	lacking, err := s.remoteLists(ctx, plan, places)
	if err != nil {
		failed = append(failed, err)
	}
	for _, set := range plan.sets {
		store, err := s.pruneStore(ctx, plan, set, facts, lacking)
		if store != nil {
			r.Stores = append(r.Stores, *store)
		}
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	for _, err := range failed {
		s.warn("%s", explain(err))
	}
	r.Failed = messages(failed)
	return r, failed
}

// code is the exit code of a prune: that data is damaged goes before that something was refused, and that before what was not reached.
func (r *pruneReport) code(ctx context.Context, failed []error) error {
	blocked, refused := false, false
	for _, store := range r.Stores {
		blocked = blocked || len(store.Unreadable) > 0
		refused = refused || len(store.Refused) > 0
	}
	switch err := errors.Join(failed...); {
	case blocked, err != nil && damaged(err):
		return reported(codeIntegrity)
	case refused:
		return reported(codeIncomplete)
	case err != nil:
		return reported(classify(ctx, err).code)
	}
	return nil
}

// pruneStore prunes one store.
func (s *session) pruneStore(ctx context.Context, plan prunePlan, set ruleSet, facts *pruneFacts, lacking func(manifest.ID) string) (*storePrune, error) {
	if set.gone() {
		return nil, noDirectory(set.place)
	}
	if _, err := set.Marker(ctx); errors.Is(err, fs.ErrNotExist) {
		return nil, noStore("is the name right?", "there is no store at %s", set.url)
	} else if err != nil {
		return nil, err
	}
	list, err := facts.of(ctx, set.place)
	if err != nil {
		return nil, err
	}
	now, err := set.Now(ctx)
	if err != nil {
		return nil, err
	}
	decisions, err := policyOf(set.keep).Decide(list, now, time.Local)
	if err != nil {
		return nil, usage(err)
	}
	out := &storePrune{Name: set.name, URL: set.url, Keep: set.keep, Snapshots: []pruneDecision{}}
	var goes []manifest.ID
	for _, d := range slices.Backward(decisions) {
		if why := lacking(d.ID); !d.Keep && set.local != nil && why != "" {
			d.Keep, d.Reasons = true, []prune.Reason{{Rule: "owed", Text: why}}
		}
		if d.Keep {
			out.Stay++
		} else {
			goes = append(goes, d.ID)
		}
		out.Snapshots = append(out.Snapshots, pruneDecision{Stamp: d.ID.Stamp, ID: d.ID.String(), Keep: d.Keep, Reasons: d.Reasons, id: d.ID})
	}
	if plan.dryRun {
		return out, s.previewPrune(ctx, plan, set, facts, out, goes, now)
	}
	removal, err := prune.Remove(ctx, set.Store, nil, goes...)
	out.Removed = len(removal.Removed) + len(removal.Absent)
	out.refuse(removal.Refused)
	if err == nil {
		err = s.forgo(ctx, facts.places, set.place, removal.Removed)
	}
	if err != nil {
		return out, err
	}
	return out, s.sweepStore(ctx, plan, set, facts, out, now)
}

// sweepStore removes archives that nothing needs.
func (s *session) sweepStore(ctx context.Context, plan prunePlan, set ruleSet, facts *pruneFacts, out *storePrune, now time.Time) error {
	if set.local != nil { // whose archives may be owed to a remote, and which nobody else writes to
		res, err := set.local.Collect(ctx, localstore.CollectOptions{Now: now, Grace: publish.Grace, Drop: plan.drop, DryRun: plan.dryRun})
		out.FreedBytes, out.LaterBytes = res.Freed, res.Later
		out.later(res.Later, res.LaterAt)
		return err
	}
	res, err := prune.Sweep(ctx, set.Store, prune.Options{DryRun: plan.dryRun, Near: facts.near(set.place), DropUnreadable: plan.drop})
	out.FreedBytes, out.RefusedBytes = res.Freed.Bytes, res.Locked.Bytes
	out.later(res.Later.Bytes, res.LaterAt)
	out.refuse(res.Refused)
	if res.Blocked() {
		for _, u := range res.Unreadable {
			if !u.Dropped {
				out.Unreadable = append(out.Unreadable, u.ID.String())
			}
		}
	}
	return err
}

func (p *storePrune) later(bytes int64, at time.Time) {
	p.LaterBytes = bytes
	if bytes > 0 {
		at = at.UTC().Truncate(time.Second)
		p.LaterAt = &at
	}
}

func (p *storePrune) refuse(list []prune.Refusal) {
	for _, r := range list {
		p.Refused = append(p.Refused, refusal{r.Key, r.Err.Error()})
		for i := range p.Snapshots {
			if strings.HasSuffix(r.Key, "/"+p.Snapshots[i].ID+".json.zst") {
				p.Snapshots[i].Refused = true
			}
		}
	}
}

// previewPrune finds out what a prune would free.
func (s *session) previewPrune(ctx context.Context, plan prunePlan, set ruleSet, facts *pruneFacts, out *storePrune, goes []manifest.ID, now time.Time) error {
	out.Removed = len(goes)
	if err := s.sweepStore(ctx, plan, set, facts, out, now); err != nil {
		return err
	}
	var stay []manifest.ID
	for _, d := range out.Snapshots {
		if d.Keep {
			stay = append(stay, d.id)
		}
	}
	only, err := facts.onlyNeededBy(ctx, set.place, goes, stay)
	if err != nil {
		return fmt.Errorf("how much would be freed at %s later is not known: %w", set.name, err)
	}
	if only > 0 {
		out.later(out.LaterBytes+only, now.Add(publish.Grace))
	}
	return nil
}

func policyOf(k config.Keep) prune.Policy {
	return prune.Policy{Last: int(k.Last), Hourly: int(k.Hourly), Daily: int(k.Daily), Weekly: int(k.Weekly), Monthly: int(k.Monthly), Yearly: int(k.Yearly), Within: time.Duration(k.Within)}
}

// rulesInWords returns rules as they are written in lifeboat.yaml.
func rulesInWords(k config.Keep) string {
	var words []string
	for _, r := range []struct {
		name string
		n    config.Count
	}{{"last", k.Last}, {"hourly", k.Hourly}, {"daily", k.Daily}, {"weekly", k.Weekly}, {"monthly", k.Monthly}, {"yearly", k.Yearly}} {
		if r.n != 0 {
			words = append(words, fmt.Sprintf("%s: %s", r.name, r.n))
		}
	}
	if k.Within > 0 {
		words = append(words, "within: "+k.Within.String())
	}
	return strings.Join(words, ", ")
}

func (r *pruneReport) print(s *session) {
	for _, store := range r.Stores {
		s.say("%s: keep {%s}", store.URL, rulesInWords(store.Keep))
		rows := [][]string{{"STAMP", "DECISION", "WHY"}}
		for _, d := range store.Snapshots {
			what := "remove"
			switch {
			case d.Keep:
				what = "keep"
			case d.Refused:
				what = "refused"
			}
			var why []string
			for _, reason := range d.Reasons {
				why = append(why, reason.Text)
			}
			rows = append(rows, []string{string(d.Stamp), what, strings.Join(why, "; ")})
		}
		for _, line := range table(rows, s.width(s.out)) {
			s.say("  %s", line)
		}
		s.say("  %s", store.summary(r.DryRun))
		store.warn(s)
	}
}

// summary says in one line what became of a store.
func (p *storePrune) summary(dryRun bool) string {
	removed, freed, more := "removed", "freed", "more after"
	if dryRun {
		removed, freed = "would be removed", "would be freed"
	}
	refused := ""
	if n := len(p.Snapshots) - p.Removed - p.Stay; n > 0 {
		refused = fmt.Sprintf(", %d refused", n)
	}
	text := fmt.Sprintf("%s %s%s, %s; %s %s now", count(int64(p.Removed), "snapshot"), removed, refused, stays(p.Stay), size(p.FreedBytes), freed)
	if p.LaterBytes > 0 {
		text += fmt.Sprintf(", %s %s %s by another prune", size(p.LaterBytes), more, p.LaterAt.Local().Format("2006-01-02 15:04"))
	}
	return text
}

func stays(n int) string {
	if n == 1 {
		return "1 stays"
	}
	return fmt.Sprintf("%d stay", n)
}

// warn says what stood in the way.
func (p *storePrune) warn(s *session) {
	for i, r := range p.Refused {
		if i == maxProblems && !s.verbose {
			s.warn("and %d more were refused", len(p.Refused)-i)
			break
		}
		s.warn("%s refused to remove %s: %s", p.Name, r.Object, printable(r.Why))
	}
	for _, id := range p.Unreadable {
		s.warn("no archives were removed from %s, since the manifest of %s cannot be read, and so what it needs is not known; lifeboat validate says more, and if it is given up, --drop-unreadable %s goes on without it", p.Name, id[:len("20060102T150405Z")], id)
	}
}
