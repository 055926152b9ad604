package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/internal/swap"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/snapshot"
	"lifeboat/validate"
)

// inPlace restores a snapshot over what is there.
func (s *session) restoreInPlace(ctx context.Context, ref string, owner restore.Owner) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	w, err := s.open(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer w.release()
	if err := s.settleRestores(ctx, w.local); err != nil {
		return err
	}
	snap, has, err := s.findFresh(ctx, ref, s.find)
	if err != nil {
		return err
	}
	if err := s.mustBeValid(ctx, snap, has, false); err != nil {
		return err
	}
	targets, err := s.targetsOf(ctx, cfg, w.local, snap)
	if err != nil {
		return err
	}
	meter := &progress.Meter{}
	stop := s.watch(meter)
	defer stop()
	opts := restore.InPlaceOptions{
		Options: s.restoreOptions(owner, meter),
		Targets: targets, State: filepath.Join(w.local.Path(), swapsName), App: w.app,
		Stopped: s.c.Bool("confirm-service-stopped"), DeleteExtra: s.c.Bool("delete-extra"), KeepOld: s.keep,
	}
	if !s.c.Bool("no-pre-snapshot") {
		opts.Save = s.saver(w, cfg)
	}
	res, err := restore.InPlace(ctx, snap, opts)
	stop()
	if err != nil {
		if damaged(err) && ctx.Err() == nil {
			if all := s.mustBeValid(ctx, snap, has, true); all != nil {
				err = all
			}
		}
		return s.notInPlace(err, ref)
	}
	s.printInPlace(res)
	if err := s.document(res); err != nil {
		return err
	}
	if owner != restore.OwnerAuto && !res.OwnersKept {
		s.warn("everything is restored, but not all owners are those that --owner %s asks for, as said above", owner)
		return reported(codeIncomplete)
	}
	return nil
}

// notInPlace adds the next step to what stood in the way of a restore in place.
func (s *session) notInPlace(err error, ref string) error {
	var occupied *restore.OccupiedError
	var corrupt *restore.CorruptError
	untouched := !errors.As(err, new(*swap.CommitError)) && !errors.As(err, new(*restore.PostCheckError))
	switch {
	case errors.As(err, &occupied):
		return &failure{codeRefused, "service_not_stopped", err, "nothing was changed; stop the service, and then give --confirm-service-stopped (--plan shows what would change)"}
	case untouched && diskspace.Full(err):
		return &failure{codeNoSpace, "no_space", err, "nothing was changed; free some space there, restore less at a time with --only, take no safety snapshot with --no-pre-snapshot, or put the local store elsewhere with --store"}
	case untouched && diskspace.ReadOnly(err):
		return &failure{codeFailed, "permission", err, "nothing was changed; mount it writable, or restore to another place with --map NAME=PATH or --target DIR"}
	case untouched && errors.Is(err, fs.ErrPermission) && !errors.Is(err, remote.ErrUnavailable):
		return &failure{codeFailed, "permission", err, "nothing was changed; run it as the user whose files these are, or as root, or restore to another place with --target DIR"}
	case errors.As(err, &corrupt):
		return &failure{codeIntegrity, "integrity", err, fmt.Sprintf("nothing was changed; lifeboat restore %s --target DIR lays it down beside, to save what can be saved; lifeboat list shows others", ref)}
	}
	return err
}

// mustBeValid refuses a snapshot of which no place has all, and lists everything that is wrong with it.
func (s *session) mustBeValid(ctx context.Context, snap *layout.Snapshot, has []*place, readData bool) error {
	scratch, err := s.temporary()
	if err != nil {
		return err
	}
	wrong := map[string][]string{}
	for _, p := range has {
		r, err := validate.Check(ctx, snap.ID, p.Store, validate.Options{ReadData: readData, Scratch: scratch, Workers: s.limits.workers})
		if err != nil {
			return err
		}
		if r.OK {
			return nil
		}
		for _, f := range r.Findings {
			wrong[p.name] = append(wrong[p.name], strings.Join(slices.DeleteFunc([]string{string(f.Code) + ":", f.Object, f.Detail}, func(part string) bool { return part == "" }), " "))
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		for _, line := range wrong[name] {
			lines = append(lines, "  "+name+": "+line)
		}
	}
	return &failure{codeIntegrity, "integrity", fmt.Errorf("snapshot %s is damaged, and is not restored over what is there:\n%s", snap.ID.Stamp, strings.Join(lines, "\n")),
		"nothing was changed; another snapshot or place may be whole: lifeboat validate --all"}
}

// targetsOf says where each source that is selected goes.
func (s *session) targetsOf(ctx context.Context, cfg *config.Config, local *localstore.Store, snap *layout.Snapshot) (map[string]string, error) {
	names, err := restore.Sources(ctx, snap, s.c.StringSlice("only"), s.c.StringSlice("except"))
	if err != nil {
		return nil, nothingSelected(err, snap)
	}
	known, err := s.knownPaths(cfg, local, snap)
	if err != nil {
		return nil, err
	}
	targets := map[string]string{}
	var missing []string
	for _, name := range names {
		if s.c.String("target") != "" {
			targets[name] = filepath.Join(s.env.Abs(s.c.String("target")), name)
			if file, err := restore.FileOf(ctx, snap, name); err != nil {
				return nil, err
			} else if file != "" {
				targets[name] = filepath.Join(targets[name], file)
			}
		} else if targets[name] = known[name]; targets[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, usagef("give --map "+missing[0]+"=PATH, or --to-recorded-paths after lifeboat restore --plan has shown them, or name it in lifeboat.yaml",
			"nothing on this machine says where %s belongs", strings.Join(missing, ", "))
	}
	return targets, nil
}

// knownPaths returns the paths of sources: of --map, of the configuration, of the last backup from here, and those in the snapshot if that is
// allowed: somebody else may have written them.
func (s *session) knownPaths(cfg *config.Config, local *localstore.Store, snap *layout.Snapshot) (map[string]string, error) {
	paths := map[string]string{}
	if s.c.Bool("to-recorded-paths") {
		for _, src := range snap.Head.Sources {
			paths[src.Name] = src.Root
		}
	}
	if local != nil {
		roots, err := local.Roots()
		if err != nil {
			return nil, err
		}
		maps.Copy(paths, roots)
	}
	for _, src := range cfg.Sources {
		paths[src.Name] = src.Path
	}
	for _, m := range s.c.StringSlice("map") {
		name, path, ok := strings.Cut(m, "=")
		if !ok || name == "" || path == "" {
			return nil, usagef("", "--map %s: want NAME=PATH", printable(m))
		}
		if !slices.ContainsFunc(snap.Head.Sources, func(src manifest.Source) bool { return src.Name == name }) {
			return nil, usagef("", "--map %s: the snapshot has no source %q", printable(m), name)
		}
		paths[name] = s.env.Abs(path)
	}
	return paths, nil
}

// saver returns what takes the safety snapshot.
func (s *session) saver(w *writable, cfg *config.Config) func(context.Context, []restore.Current) (*restore.Saved, error) {
	return func(ctx context.Context, current []restore.Current) (*restore.Saved, error) {
		dir := filepath.Join(w.local.Path(), safetyName)
		store, _, err := localstore.Prepare(ctx, dir, w.app, kit())
		if err != nil {
			return nil, err
		}
		stamp, err := freshStamp(ctx, s.now(), w.local, store)
		if err != nil {
			return nil, err
		}
		scratch, err := s.temporary()
		if err != nil {
			return nil, err
		}
		level, err := s.compression(cfg)
		if err != nil {
			return nil, err
		}
		var sources []snapshot.Source
		for _, c := range current {
			sources = append(sources, snapshot.Source{Name: c.Name, Path: c.Path})
		}
		res, err := snapshot.Take(ctx, sources, snapshot.Options{App: w.app, Kind: manifest.Safety, Stamp: stamp, Tool: version, Host: thisHost(),
			Target: store, Avoid: append(avoid(w.local.Path(), cfg.Remotes), scratch), Scratch: scratch, Workers: s.limits.workers, Compression: level})
		if err != nil {
			return nil, err
		}
		saved := &restore.Saved{Stamp: stamp}
		for _, p := range res.Head.Problems {
			if p.Kind == layout.ProblemCorrupt || p.Kind == layout.ProblemUnreadable {
				saved.Damaged = append(saved.Damaged, describeProblem(p))
			}
		}
		return saved, nil
	}
}

func (s *session) printInPlace(res *restore.InPlaceResult) {
	s.say("restored %s in place", res.Stamp)
	for _, src := range res.Sources {
		s.say("  %-12s %s in %s, at %s", src.Name, size(src.Bytes), entries(src.Files), src.Path)
	}
	if res.Swap == "" {
		s.say("  nothing was to be changed")
	} else {
		s.say("  every file has the SHA-256 in the manifest")
	}
	s.printChecks(res.Result)
	if res.Reused > 0 {
		s.say("  %s right already, and not fetched", were(res.Reused, "file"))
	}
	if res.ExtraKept > 0 {
		s.say("  %s not in the snapshot, and stayed (--delete-extra)", were(res.ExtraKept, "entry"))
	}
	if res.ExtraDiscarded > 0 {
		s.say("  %s not in the snapshot, and went with the old state", were(res.ExtraDiscarded, "entry"))
	}
	for _, warning := range res.Warnings {
		s.warn("%s", printable(warning))
	}
	for _, path := range res.RawCopies {
		s.say("  raw copy     %s", oneLine(path))
	}
	if res.PreRestoreSnapshot != nil {
		s.say("  saved        what was there before is safety snapshot %s", *res.PreRestoreSnapshot)
	}
	if res.UndoUntil != nil {
		s.say("  undo         lifeboat undo puts back what was there, until %s", res.UndoUntil.Local().Format("2006-01-02 15:04"))
	}
	s.say("  took %s", seconds(res.Seconds))
}

// were says how many things were something.
func were(n int64, what string) string {
	if n == 1 {
		return count(n, what) + " was"
	}
	return count(n, what) + " were"
}

// settleRestores refuses to go on over a restore that is half done, and removes what is kept no longer.
func (s *session) settleRestores(ctx context.Context, local *localstore.Store) error {
	swaps, err := swap.List(filepath.Join(local.Path(), swapsName))
	if err != nil {
		return err
	}
	kept := map[manifest.Stamp]bool{}
	cut := false
	for _, sw := range swaps {
		r := sw.Record()
		switch {
		case r.State == swap.Swapping || r.State == swap.Undoing:
			return &restore.UnfinishedError{Swap: sw}
		case r.State == swap.Staging:
			cut = true
			if err := sw.Abandon(); err != nil {
				s.warn("what an interrupted restore has left could not be removed: %v", err)
			}
		case r.Purging || s.now().After(r.Ended.Add(r.Info.KeepOld)):
			if err := s.purge(ctx, local, sw); err != nil {
				s.warn("what the restore of %s replaced could not be removed: %v", r.Info.Stamp, err)
			}
		default:
			kept[manifest.Stamp(r.Safety)] = true
		}
	}
	return dropSafetyIf(ctx, local, cut, func(stamp manifest.Stamp) bool {
		return !kept[stamp] && s.now().After(stamp.Time().Add(defaultKeepOld))
	})
}

// purge removes what a restore replaced, and the safety snapshot of it.
func (s *session) purge(ctx context.Context, local *localstore.Store, sw *swap.Swap) error {
	if err := sw.Purge(); err != nil {
		return err
	}
	if stamp := sw.Record().Safety; stamp != "" {
		return dropSafety(ctx, local, manifest.Stamp(stamp))
	}
	return nil
}
