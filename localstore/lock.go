package localstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/gofrs/flock"
)

// lockName is the file in a store that is locked. It stays when the lock is released: if it were
// removed, one process could lock the old file while another locks a new one.
const lockName = "lock"

// pollInterval is the time between two attempts at a lock that somebody else has.
const pollInterval = 25 * time.Millisecond

// A LockedError says that another process is changing the local store.
type LockedError struct {
	Dir     string // of the store
	PID     int    // of the process that has the lock; 0 when it has not said yet
	Command string // what that process does, such as "lifeboat backup"; may be ""
}

// Error says who has the lock and what to do about it.
func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	if e.Command != "" {
		who += " (" + e.Command + ")"
	}
	return fmt.Sprintf("the local store %s is in use by %s; try again when it is done, or wait for it with --wait", e.Dir, who)
}

// Held is the lock of a local store, while this process has it.
type Held struct {
	dir   string
	flock *flock.Flock
}

// Lock takes the lock of the store in dir, which must exist. If another process has it, Lock tries
// again until wait is over and then returns a [*LockedError]; with no wait it tries once. The command
// is what others are told this process does; it should hold no secrets.
//
// The kernel frees the lock when this process ends, however it ends, so a lock is never stale, and
// processes that this one started don't keep it. The caller releases it. On a file system without
// locks, as some network file systems are, Lock fails.
func Lock(ctx context.Context, dir, command string, wait time.Duration) (*Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("lock local store %s: %w", dir, err)
	}
	path := filepath.Join(dir, lockName)
	h := &Held{dir: dir, flock: flock.New(path)}
	locked, err := h.flock.TryLock()
	if err == nil && !locked && wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		locked, err = h.flock.TryLockContext(waiting, pollInterval)
		if ctx.Err() == nil && waiting.Err() != nil {
			err = nil
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock local store %s: %w", dir, err)
	case !locked:
		pid, command := readHolder(path)
		return nil, &LockedError{Dir: dir, PID: pid, Command: command}
	}
	if err := writeHolder(path, os.Getpid(), command); err != nil {
		h.flock.Unlock()
		return nil, fmt.Errorf("lock local store %s: %w", dir, err)
	}
	return h, nil
}

// Release gives the lock back. Releasing it again does nothing.
func (h *Held) Release() error {
	if !h.flock.Locked() {
		return nil
	}
	// Only a courtesy to the reader of the next message, so that it doesn't name this process.
	_ = writeHolder(h.flock.Path(), 0, "")
	if err := h.flock.Unlock(); err != nil {
		return fmt.Errorf("unlock local store %s: %w", h.dir, err)
	}
	return nil
}

// The lock file tells who has the lock: a JSON object, filled up with spaces so that it is replaced by
// one write. It begins at the second byte, because on Windows a locked byte can't be read, and it is
// the first that is locked.
const (
	holderOffset = 1
	holderSize   = 511
	maxCommand   = 64 // bytes; in JSON each may take six
)

type holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func writeHolder(path string, pid int, command string) error {
	record, err := json.Marshal(holder{pid, strings.ToValidUTF8(command[:min(len(command), maxCommand)], "")})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	padded := append(record, bytes.Repeat([]byte(" "), holderSize-len(record))...)
	padded[holderSize-1] = '\n'
	if _, err := f.WriteAt(padded, holderOffset); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// readHolder returns who has the lock, or zero values when that is not known: the record may not be
// written yet, or be that of a process which died.
func readHolder(path string) (pid int, command string) {
	f, err := os.Open(path)
	if err != nil {
		return 0, ""
	}
	defer f.Close()
	record := make([]byte, holderSize)
	n, _ := f.ReadAt(record, holderOffset)
	var h holder
	if json.Unmarshal(record[:n], &h) != nil || h.PID < 0 {
		return 0, ""
	}
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}
	return h.PID, strings.Map(printable, h.Command)
}
