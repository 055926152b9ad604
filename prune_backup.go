package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
)

// afterBackupFlags are those of a backup that prunes.
func afterBackupFlags() []cli.Flag {
	return append([]cli.Flag{pingFlag(), &cli.BoolFlag{Name: "prune", Usage: "remove afterwards the snapshots that no rule keeps, those of lifeboat.yaml or these:"}}, keepFlags()...)
}

// rulesAfterBackup returns the rules of the command line, and refuses a command line that asks to prune and does not say what to keep, or the
// other way round, before anything is done.
func (s *session) rulesAfterBackup(cfg *config.Config) (config.Keep, error) {
	if s.c.Command.Name != "backup" {
		return config.Keep{}, nil
	}
	flags, err := s.keepFromFlags()
	if err != nil {
		return flags, err
	}
	has := flags != (config.Keep{})
	if has && !s.c.Bool("prune") {
		return flags, usagef("with --prune, they are applied after the backup", "--keep-last and its like are rules for --prune")
	}
	has = has || cfg.Local.Rules != (config.Keep{})
	for _, r := range cfg.Remotes {
		has = has || r.Keep != (config.Keep{})
	}
	if s.c.Bool("prune") && !has {
		return flags, errNoRules()
	}
	return flags, nil
}

// A storePruned is what a backup removed from one store.
type storePruned struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	Removed    int    `json:"removed"`
	Stay       int    `json:"stay"`
	FreedBytes int64  `json:"freed_bytes"`
	LaterBytes int64  `json:"later_bytes"`
	Refused    int    `json:"refused,omitempty"`
}

func (p storePruned) summary() string {
	text := fmt.Sprintf("%s from %s, %s; %s freed", count(int64(p.Removed), "snapshot"), p.Name, stays(p.Stay), size(p.FreedBytes))
	if p.LaterBytes > 0 {
		text += fmt.Sprintf(", %s later", size(p.LaterBytes))
	}
	return text
}

// pruneAfterBackup applies the rules. The backup is good, whatever becomes of that.
func (s *session) pruneAfterBackup(ctx context.Context, cfg *config.Config, flags config.Keep, w *writable, report *backupReport) {
	places := append([]*place{localPlace(w.local)}, w.remotes...)
	sets, err := s.ruleSets(ctx, cfg, flags, places)
	if err != nil {
		s.warn("nothing was pruned: %s", explain(err))
		return
	}
	done, _ := s.prune(ctx, prunePlan{sets: sets}, places) // which has warned
	for _, p := range done.Stores {
		p.warn(s)
		report.Pruned = append(report.Pruned, storePruned{p.Name, p.URL, p.Removed, p.Stay, p.FreedBytes, p.LaterBytes, len(p.Refused)})
	}
}
