package swap

import (
	"fmt"
	"strings"
)

// A CommitError says what a failed Commit has left.
type CommitError struct {
	ID   string
	Back bool // the old state is in place, and the swap Undone; else it is half-done
	Err  error
}

func (e *CommitError) Error() string {
	if e.Back {
		return fmt.Sprintf("swap %s: nothing was moved, and the old state is in place: %v", e.ID, e.Err)
	}
	return fmt.Sprintf("swap %s is half-done; resume it or undo it: %v", e.ID, e.Err)
}

func (e *CommitError) Unwrap() error { return e.Err }

// A VanishedError names what belongs to the old state and is neither where it was nor where it was moved to.
type VanishedError struct {
	ID    string
	Paths []string // where they were
	Kept  []string // where they would be kept
}

func (e *VanishedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "swap %s: a part of the old state has vanished:", e.ID)
	for i, p := range e.Paths {
		fmt.Fprintf(&b, " %s is neither there nor at %s;", p, e.Kept[i])
	}
	b.WriteString(" nothing more was changed")
	return b.String()
}

// A JournalError names a journal that cannot be used.
type JournalError struct {
	Path string
	Err  error
}

func (e *JournalError) Error() string { return fmt.Sprintf("journal %s: %v", e.Path, e.Err) }
func (e *JournalError) Unwrap() error { return e.Err }

// refuse is the error of a call that the swap's state does not allow.
func (s *Swap) refuse(verb, why string) error {
	return fmt.Errorf("%s swap %s: %s", verb, s.rec.ID, why)
}
