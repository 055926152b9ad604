package localstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"

	"github.com/dustin/go-humanize"

	"lifeboat/archive"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// SpoolOptions say how much room a Spool has. The zero value sets no limit.
type SpoolOptions struct {
	Max      int64   // bytes of archives at a time; 0 means no limit
	Before   int64   // bytes that were there before and count towards Max
	KeepFree int64   // bytes that stay free on the file system
	Largest  int64   // where archives end, as archive.Options.Limit
	Ratio    float64 // of stored to captured bytes, for estimates; 0 means 1
	Outlets  int     // how many remotes archives are sent to
	NoOutlet error   // why there are none, if there should be

	// Shed frees room by dropping something from the local store that it can do without, but no archive that inUse reports. It
	// returns how many bytes it freed, and how many of those count towards Max; done says that there is nothing more.
	Shed func(ctx context.Context, inUse func(manifest.Hash) bool) (freed, counted int64, done bool)
	// Waits is told when somebody begins to wait for room until something was sent, and when nobody does any more.
	Waits func(waiting bool)
	// Free returns how many bytes are free; default diskspace.Free.
	Free func(path string) (int64, error)
}

// A Spool is the local store as the target of one capture, with limited room. Archives wait in it until they are sent. When the
// room is used up, those that every remote has which still takes any are let go, and whoever begins another waits until there are
// such; the snapshot is then not whole here.
//
// Room is claimed when an archive begins, as much as it may become, and never in its middle: so whoever waits holds nothing that
// others wait for. See docs/decisions/0025.
type Spool struct {
	store *Store
	opts  SpoolOptions

	mu       sync.Mutex
	changed  chan struct{} // closed when there may be more room
	waiting  int
	begun    bool           // somebody has asked for room
	open     map[string]int // archives being written, by source
	claimed  int64          // by those
	written  int64          // of that
	kept     map[manifest.Hash]*waitingArchive
	held     int64                  // bytes in kept
	own      map[manifest.Hash]bool // every archive of this snapshot that is here or about to be, also those that were here before
	reserved map[string]*reservation
	broken   []error // by outlet: why it takes no more
	shed     bool    // there is nothing left to shed
	letGo    bool    // an archive that was sent is no longer here
	away     bool    // the snapshot uses archives that are not here
	done     bool    // committed
}

// A waitingArchive is an archive of this snapshot that is only in the spool because of it.
type waitingArchive struct {
	size  int64
	stays bool   // it describes the snapshot
	has   []bool // by outlet
}

// A reservation is room for a database whose writers cannot commit while it is read.
type reservation struct {
	left  int64
	short bool // an archive got less room than it may need
}

// A FullError reports that something does not fit into the spool.
type FullError struct {
	Path  string // of the local store
	Room  int64  // bytes that the spool has in all
	Need  int64  // bytes; 0 if that is not known
	Cause error  // why nothing leaves the spool, or nil
}

func (e *FullError) Error() string {
	text := fmt.Sprintf("the spool in %s is full: it has room for %s", e.Path, bytesText(e.Room))
	if e.Need > 0 {
		text = fmt.Sprintf("the spool in %s is too small: it has room for %s, and about %s are needed", e.Path, bytesText(e.Room), bytesText(e.Need))
	}
	if e.Cause != nil {
		text += fmt.Sprintf("; nothing leaves it, since %v", e.Cause)
	}
	return text
}

func (e *FullError) Unwrap() error { return e.Cause }

func bytesText(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

// Spool returns the store as a target with limited room. The caller holds the lock of the store.
func (s *Store) Spool(opts SpoolOptions) *Spool {
	if opts.Max <= 0 {
		opts.Max = math.MaxInt64 / 2
	}
	if opts.Largest <= 0 {
		opts.Largest = archive.DefaultLimit
	}
	if opts.Ratio <= 0 {
		opts.Ratio = 1
	}
	if opts.Free == nil {
		opts.Free = diskspace.Free
	}
	return &Spool{store: s, opts: opts, changed: make(chan struct{}), kept: map[manifest.Hash]*waitingArchive{}, open: map[string]int{},
		own: map[manifest.Hash]bool{}, reserved: map[string]*reservation{}, broken: make([]error, opts.Outlets)}
}

// largest is how much room an archive may need: where it ends, the index behind it, and what encoding adds to bytes that cannot be
// compressed.
func (s *Spool) largest() int64 { return s.opts.Largest + s.opts.Largest/16 + 64<<10 }

// Create implements snapshot.Target. It fails with a *FullError when there is no room and will be none.
func (s *Spool) Create(ctx context.Context, source string) (archive.Object, error) {
	claim, err := s.admit(ctx, source)
	if err != nil {
		return nil, err
	}
	o := &spooled{spool: s, source: source, claim: claim}
	if o.Object, err = s.store.Create(ctx, source); err != nil {
		o.settle()
		return nil, err
	}
	return o, nil
}

// admit claims room for an archive.
func (s *Spool) admit(ctx context.Context, source string) (claim int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := s.largest()
	r := s.reserved[source]
	for s.begun = true; ; {
		if r != nil && r.left > 0 {
			drawn := min(want, r.left)
			r.left -= drawn
			s.claim(source, drawn)
			if rest := want - drawn; s.makeRoom(ctx, rest) {
				s.claimed += rest
				drawn = want
			} else {
				r.short = true
			}
			return drawn, nil
		}
		if s.makeRoom(ctx, want) {
			return s.claim(source, want), nil
		}
		// An archive of the same source is only being written to the disk.
		if r == nil && s.moves() || s.open[source] > 0 {
			if err := s.wait(ctx); err != nil {
				return 0, err
			}
			continue
		}
		// Nothing will become free. What there is may be enough, for few archives become as large as they may.
		if rest := s.room(); rest > 0 {
			if r != nil {
				r.short = true
			}
			return s.claim(source, min(want, rest)), nil
		}
		return 0, s.full(0)
	}
}

func (s *Spool) claim(source string, n int64) int64 {
	s.open[source]++
	s.claimed += n
	return n
}

// room returns how many bytes are left.
func (s *Spool) room() int64 {
	promised := s.claimed
	for _, r := range s.reserved {
		promised += r.left
	}
	rest := s.opts.Max - s.opts.Before - s.held - promised
	if free, err := s.opts.Free(s.store.path); err == nil {
		rest = min(rest, free-s.opts.KeepFree-(promised-s.written))
	}
	return rest
}

// all returns how many bytes there would be room for if nothing of this snapshot were in the spool.
func (s *Spool) all() int64 {
	n := s.opts.Max - s.opts.Before
	if free, err := s.opts.Free(s.store.path); err == nil {
		n = min(n, free-s.opts.KeepFree+s.held+s.written)
	}
	return max(0, n)
}

// makeRoom reports whether n bytes are left, after it has dropped what it may.
func (s *Spool) makeRoom(ctx context.Context, n int64) bool {
	for s.room() < n && s.dropLocal(ctx) {
	}
	for h, a := range s.kept {
		if s.room() >= n {
			break
		}
		if a.stays || !s.sent(a) {
			continue
		}
		if s.store.Delete(context.WithoutCancel(ctx), layout.ArchiveKey(h)) != nil {
			continue // it stays, and takes its room
		}
		s.held -= a.size
		s.letGo = true
		delete(s.kept, h)
		delete(s.own, h)
	}
	return s.room() >= n
}

// dropLocal drops one thing that this snapshot has nothing to do with, and reports whether there may be more.
func (s *Spool) dropLocal(ctx context.Context) bool {
	if s.shed || s.opts.Shed == nil {
		return false
	}
	_, counted, done := s.opts.Shed(ctx, func(h manifest.Hash) bool { return s.own[h] })
	s.opts.Before -= counted
	s.shed = done
	return true
}

// sent reports whether every outlet has an archive that takes any.
func (s *Spool) sent(a *waitingArchive) bool {
	some := false
	for i, has := range a.has {
		if s.broken[i] == nil && !has {
			return false
		}
		some = some || s.broken[i] == nil
	}
	return some
}

// moves reports whether there will be more room without anybody asking for it.
func (s *Spool) moves() bool {
	if !s.begun {
		return false // what is reserved is for those who have not begun either
	}
	return len(s.open) > 0 || len(s.reserved) > 0 || s.sending()
}

// sending reports whether an archive is still to be sent, and will be.
func (s *Spool) sending() bool {
	if s.cause() != nil || s.opts.Outlets == 0 {
		return false
	}
	for _, a := range s.kept {
		if !a.stays && !s.sent(a) {
			return true
		}
	}
	return false
}

// cause returns why nothing is sent any more, or nil.
func (s *Spool) cause() error {
	if s.opts.Outlets == 0 {
		return s.opts.NoOutlet
	}
	for _, err := range s.broken {
		if err == nil {
			return nil
		}
	}
	return errors.Join(s.broken...)
}

// full is called with the lock held.
func (s *Spool) full(need int64) error {
	return &FullError{Path: s.store.path, Room: s.all(), Need: need, Cause: s.cause()}
}

// wait waits for a change.
func (s *Spool) wait(ctx context.Context) error {
	told := s.opts.Waits != nil && s.sending()
	if told {
		if s.waiting++; s.waiting == 1 {
			s.opts.Waits(true)
		}
	}
	changed := s.changed
	s.mu.Unlock()
	var err error
	select {
	case <-changed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	if told {
		if s.waiting--; s.waiting == 0 {
			s.opts.Waits(false)
		}
	}
	return err
}

// tell wakes those who wait. It is called with the lock held.
func (s *Spool) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ArchiveLimit returns where the archives of this spool should end.
func (s *Spool) ArchiveLimit() int64 { return s.opts.Largest }

// Lean says that the snapshot may use archives that are here already. They are not dropped before it is committed.
func (s *Spool) Lean(here []manifest.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range here {
		s.own[h] = true
	}
}

// LeansAway says that the snapshot uses archives that are not here, so that it is not whole here.
func (s *Spool) LeansAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
}

// Estimate returns how much room a number of captured bytes are likely to need.
func (s *Spool) Estimate(captured int64) int64 {
	return int64(float64(captured)*s.opts.Ratio*1.05) + 64<<10
}

// Room returns how many bytes the spool has room for, now and after it dropped from the local store what it may.
func (s *Spool) Room() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all()
}

// Fit returns a *FullError if a snapshot of so many stored bytes has no room, though everything were dropped that may be.
func (s *Spool) Fit(ctx context.Context, stored int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.all() < stored && s.dropLocal(ctx) {
	}
	if s.all() < stored {
		return s.full(stored)
	}
	return nil
}

// Reserve implements snapshot.Spool. The need of the database is estimated; one that does not fit is a *FullError.
func (s *Spool) Reserve(ctx context.Context, source string, bytes int64, flush func() error) (release func() (cut bool), err error) {
	need := s.Estimate(bytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for flushed := false; !s.makeRoom(ctx, need); {
		if need > s.all() {
			return nil, s.full(need)
		}
		others := need
		for _, r := range s.reserved {
			others += r.left
		}
		if !flushed {
			s.mu.Unlock()
			err := flush()
			s.mu.Lock()
			if err != nil {
				return nil, err
			}
			flushed = true
			continue
		}
		if !s.moves() {
			return nil, s.full(others)
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	r := &reservation{left: need}
	s.reserved[source] = r
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.reserved[source] == r {
			delete(s.reserved, source)
			s.tell()
		}
		return r.short
	}, nil
}

// Sent says that an outlet has an archive.
func (s *Spool) Sent(outlet int, h manifest.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.kept[h]; a != nil {
		a.has[outlet] = true
	}
	s.tell()
}

// Broken says that an outlet takes no more archives.
func (s *Spool) Broken(outlet int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[outlet] = why
	s.tell()
}

// Commit implements snapshot.Target. A snapshot that is not whole here is not listed, but owed to the remotes.
func (s *Spool) Commit(ctx context.Context, id manifest.ID, stored []byte) error {
	s.mu.Lock()
	s.done = true // whatever comes of it: a manifest may be there though the answer is an error, and then its archives must be
	commit := s.store.Commit
	if s.letGo || s.away {
		commit = s.store.Owe
	}
	s.mu.Unlock()
	return commit(ctx, id, stored)
}

// Bypassed reports whether archives were let go, so that the snapshot is not whole here.
func (s *Spool) Bypassed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.letGo
}

// Away reports whether the snapshot uses archives that are not here, so that it is not whole here either.
func (s *Spool) Away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

// Abandon removes the archives of a snapshot that was not committed, for nobody will ask for them. After Commit it does nothing.
func (s *Spool) Abandon(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil
	}
	var errs []error
	for h := range s.kept {
		errs = append(errs, s.store.Delete(context.WithoutCancel(ctx), layout.ArchiveKey(h)))
	}
	clear(s.kept)
	return errors.Join(errs...)
}

// spooled is an archive on its way into the spool.
type spooled struct {
	archive.Object
	spool          *Spool
	source         string
	claim, written int64
	settled        bool
}

// Write fails with a *FullError rather than use more than was claimed, if there is no more.
func (o *spooled) Write(p []byte) (int, error) {
	if err := o.grow(int64(len(p))); err != nil {
		return 0, err
	}
	return o.Object.Write(p)
}

func (o *spooled) grow(n int64) error {
	s := o.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := o.written + n - o.claim; more > 0 {
		if r := s.reserved[o.source]; r != nil && r.left > 0 {
			drawn := min(more, r.left)
			r.left -= drawn
			s.claimed += drawn
			o.claim += drawn
			more -= drawn
		}
		if more > 0 && !s.makeRoom(context.Background(), more) {
			return s.full(0)
		}
		s.claimed += more
		o.claim += more
	}
	o.written += n
	s.written += n
	return nil
}

// Commit implements archive.Object.
func (o *spooled) Commit(a *manifest.Archive) error {
	_, err := o.spool.store.Stat(context.Background(), layout.ArchiveKey(a.SHA256))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	was := err == nil
	s := o.spool
	s.mu.Lock()
	s.own[a.SHA256] = true // from now on, or else it would be taken for waste while it gets its name
	s.mu.Unlock()
	err = o.Object.Commit(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	// Of one that was here already, or that another source has too, nothing is more than before.
	if !was && s.kept[a.SHA256] == nil {
		s.kept[a.SHA256] = &waitingArchive{size: a.Size, stays: o.source == "", has: make([]bool, s.opts.Outlets)}
		s.held += a.Size
	}
	o.settleLocked()
	return nil
}

// Discard implements archive.Object.
func (o *spooled) Discard() {
	o.Object.Discard()
	o.settle()
}

// settle gives back what was claimed.
func (o *spooled) settle() {
	o.spool.mu.Lock()
	defer o.spool.mu.Unlock()
	o.settleLocked()
}

func (o *spooled) settleLocked() {
	s := o.spool
	if o.settled {
		return
	}
	o.settled = true
	if s.open[o.source]--; s.open[o.source] == 0 {
		delete(s.open, o.source)
	}
	s.claimed -= o.claim
	s.written -= o.written
	if r := s.reserved[o.source]; r != nil { // the next archive of the database may need it
		r.left += max(0, o.claim-o.written)
	}
	s.tell()
}
