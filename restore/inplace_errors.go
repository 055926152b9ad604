package restore

import (
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/inuse"
	"lifeboat/internal/swap"
)

// An OccupiedError reports that there is something where a snapshot is to go, and nobody has said that it is out of use. Nothing was changed.
type OccupiedError struct{ Targets []string }

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%s would be replaced: whatever still runs on it would go on writing to files that are no longer there, and its data would be lost, or mixed with what is restored",
		strings.Join(e.Targets, ", "))
}

// An InUseError reports processes that have open what is about to be replaced. Nothing was changed.
type InUseError struct {
	Holders []inuse.Holder
	Why     string // when no process is known
}

func (e *InUseError) Error() string {
	if len(e.Holders) == 0 {
		return "what would be replaced is in use: " + e.Why
	}
	h := e.Holders[0]
	text := fmt.Sprintf("process %d (%s) has %s open", h.PID, h.Program, h.Path)
	more := map[int]bool{}
	for _, other := range e.Holders[1:] {
		if other.PID != h.PID && !more[other.PID] {
			more[other.PID] = true
			text += fmt.Sprintf("\n  process %d (%s) has %s open", other.PID, other.Program, other.Path)
		}
	}
	return text
}

// A CorruptError reports that a snapshot has a corrupt database in it, which is not laid over what is there.
type CorruptError struct{ Detail string }

func (e *CorruptError) Error() string {
	return "a database in the snapshot is corrupt, and does not replace what is there: " + e.Detail
}

// A PostCheckError reports that what was restored was taken back, because it was not what it should be when it was in its place.
type PostCheckError struct{ Err error }

func (e *PostCheckError) Error() string {
	return fmt.Sprintf("the restored state did not pass the check afterwards, and the old state is back: %v", e.Err)
}
func (e *PostCheckError) Unwrap() error { return e.Err }

// An UnfinishedError reports a restore that was cut in the middle of the exchange.
type UnfinishedError struct{ Swap *swap.Swap }

func (e *UnfinishedError) Error() string {
	r := e.Swap.Record()
	what := "a restore of " + r.Info.Stamp
	if r.State == swap.Undoing {
		what = "an undo of the restore of " + r.Info.Stamp
	}
	return fmt.Sprintf("%s, begun %s, was cut in the middle: part of what is in place is old, and part is new", what, r.Started.Local().Format(time.DateTime))
}
