package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"lifeboat/archive"
	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/internal/swap"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

// Exit codes. A code that a script does not know means failure.
const (
	codeOK          = 0
	codeFailed      = 1
	codeIncomplete  = 3  // something that was asked for is not in the snapshot
	codeIntegrity   = 4  // data is damaged
	codeDrill       = 5  // a drill failed
	codeStale       = 7  // a snapshot, or a proof, is older than it may be
	codeRefused     = 8  // nothing was changed
	codeNoStore     = 10 // no store there, or not the one that is meant
	codeInUse       = 11 // another process has the local store
	codeNoSnapshot  = 13
	codeRemote      = 14 // a remote could not be reached, or refused
	codeNoSpace     = 15
	codeUsage       = 64
	codeInterrupted = 130
)

// A failure is an error in the words of the command line.
type failure struct {
	code int
	kind string // for programs
	err  error
	next string // what to do now; may be ""
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage marks the error of a command line that cannot be meant.
func usage(err error) error {
	if err == nil || errors.As(err, new(*failure)) {
		return err
	}
	return &failure{codeUsage, "usage", err, ""}
}

func usagef(next, format string, args ...any) error {
	return &failure{codeUsage, "usage", fmt.Errorf(format, args...), next}
}

// noStore is the error of a place that is not the store that is meant.
func noStore(next, format string, args ...any) error {
	return &failure{codeNoStore, "no_store", fmt.Errorf(format, args...), next}
}

func isNoStore(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.code == codeNoStore
}

// refuse is the error of a command that was understood and not carried out, so that nothing is lost.
func refuse(next, format string, args ...any) error {
	return &failure{codeRefused, "refused", fmt.Errorf(format, args...), next}
}

// noSnapshot is the error of a reference that nothing fits; skipped is what was passed over for it.
func noSnapshot(ref, where string, skipped []manifest.Skipped) error {
	text := fmt.Sprintf("there is no snapshot %q in %s", ref, where)
	for i, s := range skipped {
		if i == 5 {
			text += fmt.Sprintf("\n  and %d more were passed over", len(skipped)-i)
			break
		}
		text += fmt.Sprintf("\n  %s was passed over: %s", s.ID.Stamp, s.Why)
	}
	return &failure{codeNoSnapshot, "no_snapshot", errors.New(text), "lifeboat list shows the snapshots that there are"}
}

// noPath is the error of a path that is not in a snapshot.
func noPath(ctx context.Context, snap *layout.Snapshot, path string) error {
	next := fmt.Sprintf("lifeboat ls %s shows what there is", snap.ID.Stamp)
	if better := underSource(ctx, snap, path); better != "" {
		next = fmt.Sprintf("did you mean %s? A path begins with the name of its source; %s", oneLine(better), next)
	}
	return &failure{codeFailed, "no_path", fmt.Errorf("there is no %q in snapshot %s", path, snap.ID.Stamp), next}
}

// underSource returns the path that was meant when the name of its source was left out, or "".
func underSource(ctx context.Context, snap *layout.Snapshot, path string) string {
	for _, src := range snap.Head.Sources {
		for f, err := range snap.FilesFrom(ctx, src.Name+"/"+path) {
			if err == nil && f.Path == src.Name+"/"+path {
				return f.Path
			}
			break
		}
	}
	return ""
}

// reported is the exit code of a command that did what it could, and has told what it could not.
type reported int

func (r reported) Error() string { return fmt.Sprintf("exit code %d", int(r)) }

// classify puts an error into the words of the command line.
func classify(ctx context.Context, err error) *failure {
	var (
		told      *failure
		format    *manifest.FormatError
		many      *manifest.AmbiguousError
		conf      *config.Error
		locked    *localstore.LockedError
		foreign   *localstore.ForeignError
		notEmpty  *restore.NotEmptyError
		badTarget *restore.TargetError
		dbLocked  *sqlitedb.LockedError
		full      *localstore.FullError
		pinned    *snapshot.PinLimitError
		inUse     *restore.InUseError
		cut       *restore.UnfinishedError
		post      *restore.PostCheckError
		halfDone  *swap.CommitError
		journal   *swap.JournalError
	)
	as := func(code int, kind, next string) *failure { return &failure{code, kind, err, next} }
	switch {
	case ctx.Err() != nil:
		err = errors.New("interrupted; nothing is left half-done")
		return as(codeInterrupted, "interrupted", "run the same command again; what was already sent is not sent twice")
	case errors.As(err, &told):
		return as(told.code, told.kind, told.next)
	case errors.As(err, &conf):
		return as(codeUsage, "configuration", "lifeboat config example shows one that is right")
	case errors.As(err, &notEmpty):
		return as(codeRefused, "not_empty", "nothing was changed; give --target a directory that is empty, or one that does not exist yet")
	case errors.As(err, &badTarget):
		if badTarget.InPlace {
			return as(codeRefused, "bad_target", "nothing was changed")
		}
		return as(codeRefused, "bad_target", "nothing was changed; give --target a directory that is empty, or one that does not exist yet")
	case errors.As(err, &inUse):
		return as(codeRefused, "in_use_by_process", "nothing was changed; stop it, and run the same command again")
	case errors.As(err, &cut):
		return as(codeRefused, "restore_unfinished", resumeOrUndo)
	case errors.As(err, &halfDone) && halfDone.Back:
		return as(codeFailed, "failed", "what was there is in place, as it was; see to what stood in the way, and run the same command again")
	case errors.As(err, &halfDone):
		return as(codeFailed, "restore_unfinished", resumeOrUndo)
	case errors.As(err, &journal):
		return as(codeIntegrity, "restore_journal", "look at the directories beside the data whose names begin with "+layout.SwapPrefix+" before you move that journal away: what a restore replaced is in them")
	case errors.As(err, &post):
		return as(codeIntegrity, "post_check", "lifeboat validate --read-data finds what is damaged; does something write to the files?")
	case errors.As(err, &foreign):
		return as(codeNoStore, "other_application", "")
	case errors.As(err, &format):
		return as(codeFailed, "format", "")
	case errors.As(err, &locked):
		return as(codeInUse, "in_use", "")
	case errors.As(err, &many):
		return as(codeNoSnapshot, "ambiguous", "")
	case diskspace.ReadOnly(err):
		return as(codeFailed, "permission", "mount it writable, or choose another place")
	case errors.As(err, &dbLocked):
		return as(codeFailed, "locked", "when that is done, run the same command again")
	case errors.As(err, &full) && full.Cause != nil:
		return as(codeNoSpace, "no_space", "see to the remote, or let more wait here with --spool-max SIZE; what was sent is not sent again")
	case errors.As(err, &full):
		return as(codeNoSpace, "no_space", "free some space there, let more wait with --spool-max SIZE, name a remote that it can be sent to, or back up fewer sources at a time with --only")
	case errors.As(err, &pinned):
		return as(codeNoSpace, "pin_limit", "a faster remote, or a larger spool (--spool-max SIZE), keeps it short, and --only backs up fewer sources at a time; "+
			"--max-pin and --max-wal-growth allow more; what was sent is not sent again")
	case damaged(err):
		return as(codeIntegrity, "integrity", anotherMayBeWhole)
	case errors.Is(err, remote.ErrUnavailable):
		next := remote.NextStep(err)
		if text, ok := strings.CutSuffix(err.Error(), ": "+next); ok && next != "" {
			return &failure{codeRemote, "remote", &reworded{text, err}, next}
		}
		return as(codeRemote, "remote", "")
	case diskspace.Full(err):
		return as(codeNoSpace, "no_space", "free some space there, or choose another place: --store, --remote, --target or TMPDIR")
	case errors.Is(err, fs.ErrPermission):
		return as(codeFailed, "permission", "run it as a user who may, or change the permissions")
	}
	return as(codeFailed, "failed", "")
}

// A reworded error is another in other words.
type reworded struct {
	text string
	error
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.error }

// resumeOrUndo is the next step where a restore is half done.
const resumeOrUndo = "with the service stopped, lifeboat restore --resume completes it, and lifeboat undo puts back what was there"

// anotherMayBeWhole is the next step where data is damaged.
const anotherMayBeWhole = "lifeboat validate --all --read-data finds all that is damaged; another place or snapshot may be whole"

// damaged reports that an error is about bytes that are not what they should be, or not there.
func damaged(err error) bool {
	if errors.As(err, new(*archive.DamageError)) {
		return true
	}
	for _, kind := range []error{layout.ErrDigest, layout.ErrDamaged, manifest.ErrInvalid, transfer.ErrUnreadable} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// explain returns what happened and the next step as one text, for a warning.
func explain(err error) string {
	f := classify(context.Background(), err)
	text := printable(f.Error())
	if f.next != "" {
		text += "; " + f.next
	}
	return text
}

func messages(errs []error) (list []string) {
	for _, err := range errs {
		list = append(list, strings.ToValidUTF8(err.Error(), "\uFFFD"))
	}
	return list
}
