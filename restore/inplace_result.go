package restore

import (
	"time"

	"lifeboat/manifest"
)

// InPlaceResult is what a restore in place has done.
type InPlaceResult struct {
	*Result
	PreRestoreSnapshot *manifest.Stamp `json:"pre_restore_snapshot"` // null when there was nothing to save, or it was not wanted
	Swap               string          `json:"swap"`
	Reused             int64           `json:"reused"`                // files that were there already
	ExtraKept          int64           `json:"extra_kept"`            // files, links and directories that are not in the snapshot, and stayed
	ExtraDiscarded     int64           `json:"extra_discarded"`       // likewise, that went with the old state
	RawCopies          []string        `json:"raw_copies,omitempty"`  // of databases that could not be captured
	Quiesced           []Quiesced      `json:"checkpoints,omitempty"` // of the databases that were there
	UndoUntil          *time.Time      `json:"undo_until"`            // null when it is not possible
	Warnings           []string        `json:"warnings,omitempty"`
}

// Quiesced is what came of the checkpoint of a database that was about to be replaced.
type Quiesced struct {
	Path string `json:"path"`
	Done bool   `json:"done"`
	Note string `json:"note,omitempty"` // why not
}
