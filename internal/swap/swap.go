// Package swap exchanges files and directories that are in use by others, and can take that back: it is how a restore in place
// puts the new state where the old one is. It knows paths, and nothing of snapshots.
//
// What comes is staged in a work directory on the same file system as its target, and what goes is kept there, so that every step is a
// rename: nothing is copied, overwritten or removed before Purge. A work directory has
//
//	new/        what the caller stages
//	old/N/      what was at the target of member N
//	undone/N/   what was put there, after Undo
//	stray/N/    what somebody else put there between two steps
//
// A journal says what is to be done before the first rename. Whether a step was done is never written down but seen from the
// disk, by the identity of each file and directory, so that Resume and Undo can begin wherever a process was killed, in
// themselves too.
//
// # Databases
//
// A -wal, -shm or -journal is bound to a database by its name alone: SQLite takes one that belongs to another database
// for its own, and the result is neither of them. So the names of a database change hands in an order in which at
// no instant a main file lies beside sidecars of another, and none without those of its own:
//
//	forward   old main away, old sidecars away; then new sidecars, new main
//	back      new main away, its sidecars away; then old sidecars, old main
//
// The main file is the first to go and the last to come, both ways: sidecars without a main file are nobody's state, while a main file
// without its sidecars is a database that has lost its last transactions, or has half of one. While it is away a symbolic link that leads
// nowhere takes its name, so that nobody makes an empty database there, beside sidecars that SQLite would then remove.
//
// # What is not promised
//
// Nobody may have the targets open meanwhile: that is for the caller to see to, as is that only one swap of a journal directory
// is at work at a time. A power cut is survived as far as the file system keeps renames in their order between two fsyncs, as
// those with a journal do.
package swap

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
)

// A State is how far a swap is, as its journal says.
type State string

const (
	Staging  State = "staging"  // nothing at any target has been touched
	Swapping State = "swapping" // Resume or Undo decides
	Done     State = "done"     // the new state is in place
	Undoing  State = "undoing"  // Resume or Undo goes on
	Undone   State = "undone"   // the old state is in place
)

// A Swap is one restore in place. It is for one goroutine.
type Swap struct {
	dir string // of the journal
	rec Record

	step func(name string) error // for tests: called before each step that changes the disk
}

// Begin starts a swap: it makes a work directory in each of parents. The journal is written before them, in dir, which is made if need be.
// When Begin fails, nothing is left.
func Begin(dir string, info Info, parents []string) (*Swap, error) {
	return begin(dir, info, parents, nil)
}

func begin(dir string, info Info, parents []string, step func(string) error) (*Swap, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var random [4]byte
	rand.Read(random[:])
	now := time.Now().UTC()
	id := now.Format("20060102T150405.000000000Z-") + hex.EncodeToString(random[:])
	s := &Swap{dir: dir, step: step, rec: Record{ID: id, State: Staging, Started: now, Info: info}}
	for _, p := range parents {
		if !filepath.IsAbs(p) {
			return nil, fmt.Errorf("begin a swap: %q is not absolute", p)
		}
		if p = filepath.Clean(p); !slices.Contains(s.rec.Parents, p) {
			s.rec.Parents = append(s.rec.Parents, p)
		}
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.save(); err != nil {
		return nil, errors.Join(err, durable.Remove(s.journal()))
	}
	for _, p := range s.rec.Parents {
		err := s.do("make work directory in "+p, func() error { return os.Mkdir(s.Work(p), 0o700) })
		if err == nil {
			err = s.sync(p)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a work directory: %w", err), s.Abandon())
		}
	}
	return s, nil
}

// ID names the swap. It sorts by time.
func (s *Swap) ID() string { return s.rec.ID }

// Work returns the work directory in a parent that was given to Begin. What comes is to be staged in its subdirectory "new".
func (s *Swap) Work(parent string) string {
	return filepath.Join(filepath.Clean(parent), layout.SwapPrefix+s.rec.ID)
}

// Record returns a copy of the journal.
func (s *Swap) Record() Record { return s.rec.clone() }

// SetSafety records the safety snapshot that was taken of the old state.
func (s *Swap) SetSafety(stamp string) error {
	return s.change(func(r *Record) { r.Safety = stamp })
}

// Made records parent directories of targets, outermost first, before the caller makes them. Abandon and Undo remove those that are empty.
func (s *Swap) Made(dirs []string) error {
	if s.rec.State != Staging {
		return s.refuse("record directories", "it is "+string(s.rec.State))
	}
	for _, d := range dirs {
		if !filepath.IsAbs(d) {
			return fmt.Errorf("record directories: %q is not absolute", d)
		}
	}
	return s.change(func(r *Record) {
		for _, d := range dirs {
			r.Made = append(r.Made, filepath.Clean(d))
		}
	})
}

// Abandon ends a swap that was not committed: it removes the work directories with what is staged, and the journal. After a failure it may
// be called again.
func (s *Swap) Abandon() error {
	if s.rec.State != Staging {
		return s.refuse("abandon", "it is "+string(s.rec.State))
	}
	if err := s.removeWork(); err != nil {
		return err
	}
	if err := s.removeMade(); err != nil {
		return err
	}
	return s.removeJournal()
}

// Commit puts the new state in place. What is staged must be durable already. After a failure, a *CommitError says whether the old state is
// in place or Resume or Undo has to decide; any other error left the swap as it was.
func (s *Swap) Commit(members []Member) error {
	if s.rec.State != Staging {
		return s.refuse("commit", "it is "+string(s.rec.State))
	}
	intent := s.rec.clone()
	var err error
	if intent.Works, err = s.identifyWorks(); err != nil {
		return err
	}
	if intent.Members, err = s.plan(members); err != nil {
		return err
	}
	if err := s.makeOldDirs(intent.Members); err != nil {
		return err
	}
	intent.State = Swapping
	before := s.rec
	s.rec = intent
	if err := s.save(); err != nil {
		s.rec = before
		return errors.Join(err, s.save()) // it may have failed after its effect
	}
	if err = s.forward(); err == nil {
		return nil
	}
	if untouched, lookErr := s.untouched(); lookErr != nil || !untouched {
		return &CommitError{ID: s.rec.ID, Err: err}
	}
	if undoErr := s.Undo(); undoErr != nil {
		return &CommitError{ID: s.rec.ID, Err: errors.Join(err, undoErr)}
	}
	return &CommitError{ID: s.rec.ID, Back: true, Err: err}
}

// Resume goes on with what was cut off: a commit to Done, an undo to Undone. Where nothing was, it does nothing.
func (s *Swap) Resume() error {
	switch s.rec.State {
	case Staging:
		return s.refuse("resume", "nothing was moved yet: abandon it")
	case Swapping:
		if err := s.settleJournal(); err != nil {
			return err
		}
		return s.forward()
	case Undoing:
		if err := s.settleJournal(); err != nil {
			return err
		}
		return s.backward()
	}
	return nil
}

// settleJournal makes durable what the journal says: who wrote it may have been killed when it had its name, and before that was on the
// disk. After a power cut the older one would be back, and be believed: that nothing was moved yet, say, so that a work directory goes in which the
// only copy of the old state is.
func (s *Swap) settleJournal() error { return s.sync(s.dir) }

// Undo puts the old state back, from Swapping, Undoing or Done. What was put in place is kept in the work directories, and so is what somebody
// else put there meanwhile: see Record.Strays.
func (s *Swap) Undo() error {
	switch s.rec.State {
	case Staging:
		return s.refuse("undo", "nothing was moved yet: abandon it")
	case Undone:
		return nil
	case Undoing:
		if err := s.settleJournal(); err != nil {
			return err
		}
	case Swapping, Done:
		if s.rec.Purging {
			return s.refuse("undo", "its old state is being removed")
		}
		if err := s.newest(); err != nil {
			return err
		}
		if err := s.complete(); err != nil {
			return err
		}
		if err := s.change(func(r *Record) { r.State, r.Ended = Undoing, time.Time{} }); err != nil {
			return err
		}
	}
	return s.backward()
}

// Undoable reports whether Undo would find all that it needs.
func (s *Swap) Undoable() bool {
	switch s.rec.State {
	case Swapping, Undoing, Done:
		return !s.rec.Purging && s.newest() == nil && s.complete() == nil
	}
	return false
}

// newest makes sure that no later swap changed the same targets: what this one put there is then in the other's keeping.
func (s *Swap) newest() error {
	swaps, err := List(s.dir)
	if err != nil {
		return err
	}
	mine := map[string]bool{}
	for _, m := range s.rec.Members {
		mine[m.Target] = true
	}
	for _, later := range swaps {
		if later.rec.ID <= s.rec.ID || later.rec.State == Staging || later.rec.State == Undone {
			continue
		}
		for _, m := range later.rec.Members {
			if mine[m.Target] {
				return s.refuse("undo", fmt.Sprintf("swap %s changed %s after it: undo that first", later.rec.ID, m.Target))
			}
		}
	}
	return nil
}

// Purge removes what a swap that is Done or Undone has kept: the state that is not in place, the strays, and the journal. After a failure it may be called again;
// there is no way back from its beginning.
func (s *Swap) Purge() error {
	if s.rec.State != Done && s.rec.State != Undone {
		return s.refuse("purge", "it is "+string(s.rec.State))
	}
	// A part of the old state must never be taken for all of it.
	if !s.rec.Purging {
		if err := s.change(func(r *Record) { r.Purging = true }); err != nil {
			return err
		}
	} else if err := s.settleJournal(); err != nil {
		return err
	}
	if err := s.removeWork(); err != nil {
		return err
	}
	return s.removeJournal()
}

func (s *Swap) removeWork() error {
	for _, p := range s.rec.Parents {
		work := s.Work(p)
		if _, err := os.Lstat(work); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := s.do("remove "+work, func() error { return durable.RemoveAll(work) }); err != nil {
			return err
		}
		if err := s.sync(p); err != nil {
			return err
		}
	}
	return nil
}

// removeMade removes the parents that were made, as long as there is nothing in them.
func (s *Swap) removeMade() error {
	for _, dir := range slices.Backward(s.rec.Made) {
		fi, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if !fi.IsDir() || err == nil && len(entries) > 0 {
			return nil
		}
		if err := s.do("remove "+dir, func() error { return os.Remove(dir) }); err != nil {
			return err
		}
		if err := s.sync(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Swap) removeJournal() error {
	return s.do("remove journal", func() error { return durable.Remove(s.journal()) })
}

// do takes a step that changes the disk.
func (s *Swap) do(name string, change func() error) error {
	if s.step != nil {
		if err := s.step(name); err != nil {
			return err
		}
	}
	return change()
}

func (s *Swap) sync(dir string) error {
	return s.do("sync "+dir, func() error { return durable.SyncDir(dir) })
}
