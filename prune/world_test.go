package prune_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A world is some stores and some machines that use them, on one clock that goes from event to event. What the machines run is the program's own
// code, each in a goroutine that stands still whenever it asks a store for something, until the world goes on with it: so of all goroutines
// one runs at a time, everything is decided by pick, and the code is interleaved at every request.
//
// What the world may do is what the rules allow for, and no more: a request takes effect at any time up to publish.Window after its attempt began, or
// not at all; its answer comes at any time after that, or is lost, and then the effect may come after the failure. A machine may stop for days at any
// moment, with or without its clocks, or for good.
type world struct {
	pick  func(n int) int // 0 to n-1, all equally likely
	now   time.Time
	shops []*shop
	all   []*actor
	ghost []*request // failed, and may yet take effect

	needs    map[manifest.ID][]publish.Need // of every snapshot that was ever made
	loss     string
	log      []string
	verbose  bool
	sluggish bool // it takes a store its time to remove an archive
	broken   rule

	commits, removals, deletions, undone, pushed, crashes, events int
}

// A shop is a store of the world.
type shop struct {
	remote.Store
	name        string
	condition   int // what becomes of If-None-Match: 0 it works, 1 it does not and is asked before, 2 it is ignored
	page        int // how many objects a page of a listing has
	listed      map[manifest.ID]bool
	archives    map[manifest.Hash]int64
	unreadable  map[manifest.ID]bool // for a time
	everRemoved []manifest.ID
}

// An actor is a machine, and what is done on it.
type actor struct {
	w      *world
	name   string
	task   func(a *actor) error
	skew   time.Duration // of its wall clock
	asleep time.Duration // while its monotonic clock stood still

	at      time.Time     // of its next event
	parked  chan *request // from the code: what it asks for; nil when the task is done
	pending *request      // which has not taken effect
	reply   *request      // which has, and of which the answer is on its way
	suspend time.Duration // that the answer takes because the machine stands still
	running bool
	dead    bool

	date  time.Time     // of the last answer
	dated time.Duration // when it came, on the monotonic clock
}

type request struct {
	what     string
	shop     *shop
	decided  time.Time
	effect   func() error
	lossless bool      // a sleep
	took     time.Time // when it reached the store
	err      error
	answer   chan error
}

var (
	errCrash = errors.New("the machine stopped")
	errLost  = fmt.Errorf("the answer was lost: %w", remote.ErrUnavailable)
	errSkew  = fmt.Errorf("RequestTimeTooSkewed: %w", remote.ErrUnavailable)
)

// writes reports a request that changes the store.
func (r *request) writes() bool {
	return strings.HasPrefix(r.what, "put ") || strings.HasPrefix(r.what, "delete ")
}

func (w *world) chance(n, of int) bool { return w.pick(of) < n }

func (w *world) between(a, b time.Duration) time.Duration {
	return a + (b-a)/256*time.Duration(w.pick(256))
}

func (w *world) note(format string, args ...any) {
	if w.verbose {
		w.log = append(w.log, w.now.Sub(beginning).Round(time.Second).String()+" "+fmt.Sprintf(format, args...))
	}
}

func newWorld(pick func(int) int, broken rule) *world {
	w := &world{pick: pick, now: beginning, needs: map[manifest.ID][]publish.Need{}, broken: broken}
	w.sluggish = w.chance(1, 6)
	for _, name := range []string{"A", "B"} {
		s := &shop{name: name, condition: w.pick(3), page: []int{2, 5, 1000}[w.pick(3)], listed: map[manifest.ID]bool{}, archives: map[manifest.Hash]int64{}, unreadable: map[manifest.ID]bool{}}
		s.Store = remote.NewMemory(func() time.Time { return w.now.Truncate(time.Second) })
		w.shops = append(w.shops, s)
	}
	a, b := w.shops[0], w.shops[1]
	type machine struct {
		name string
		task func(*actor) error
	}
	machines := []machine{{"writer1", writes(a)}, {"writer2", writes(a)}, {"pruner1", prunes(a)}, {"pruner2", prunes(a)}}
	for _, m := range [][]machine{{{"pusher1", pushes(a, b)}, {"pusher2", pushes(b, a)}, {"prunerB", prunes(b)}}, {{"undoer", undoes(a)}}, {{"vandal", vandalises(a)}}} {
		if w.chance(1, 2) {
			machines = append(machines, m...)
		}
	}
	for _, m := range machines {
		x := &actor{w: w, name: m.name, task: m.task, parked: make(chan *request), skew: w.between(-time.Hour, time.Hour)}
		x.at = w.now.Add(w.between(0, 30*time.Hour))
		w.all = append(w.all, x)
	}
	return w
}

// run lets so much time pass, or until a snapshot has lost something.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for w.loss == "" {
		next := slices.MinFunc(w.all, func(a, b *actor) int { return a.at.Compare(b.at) })
		if len(w.ghost) > 0 {
			if g := slices.MinFunc(w.ghost, func(a, b *request) int { return a.decided.Compare(b.decided) }); !g.decided.After(next.at) {
				w.ghost = slices.DeleteFunc(w.ghost, func(r *request) bool { return r == g })
				w.set(g.decided)
				w.note("late: %s", g.what)
				g.effect()
				w.check(g.shop)
				continue
			}
		}
		if next.at.After(end) {
			break
		}
		w.set(next.at)
		w.events++
		next.go_()
	}
	for _, a := range w.all {
		a.crash()
	}
}

func (w *world) set(t time.Time) {
	if t.After(w.now) {
		w.now = t
	}
}

// check looks for a listed snapshot that lacks something.
func (w *world) check(s *shop) {
	for id := range s.listed {
		for _, n := range w.needs[id] {
			if size, ok := s.archives[n.SHA256]; !ok || size != n.Size {
				w.loss = fmt.Sprintf("%s lists %s, and lacks %s", s.name, short(id), w.called(n.SHA256))
				return
			}
		}
	}
}

// go_ is the next event of an actor.
func (a *actor) go_() {
	w := a.w
	switch {
	case a.pending != nil:
		a.takeEffect()
	case a.reply != nil:
		r := a.reply
		a.reply = nil
		a.asleep += a.suspend
		a.suspend = 0
		r.answer <- r.err
		a.wait()
	default:
		w.together()
		a.running, a.dead, a.date = true, false, time.Time{}
		w.note("%s begins", a.name)
		go func() {
			err := a.task(a)
			if err != nil && !a.dead {
				w.note("%s: %v", a.name, err)
			}
			a.parked <- nil
		}()
		a.wait()
	}
}

// together makes it likely that two do something at the same time.
func (w *world) together() {
	for range 2 {
		other := w.all[w.pick(len(w.all))]
		if other.running {
			continue
		}
		switch w.pick(4) {
		case 0, 1:
			other.at = w.now.Add(w.between(0, 2*time.Minute))
		case 2:
			other.at = w.now.Add(w.between(0, 40*time.Minute))
		}
	}
}

// wait waits until the actor asks for something, or is done.
func (a *actor) wait() {
	w := a.w
	r := <-a.parked
	if r == nil {
		a.running = false
		a.at = w.now.Add(w.between(time.Hour, 40*time.Hour))
		if w.chance(1, 8) {
			a.at = a.at.Add(w.between(20*time.Hour, 120*time.Hour))
		}
		return
	}
	a.pending = r
	slow, shortest := 2, time.Second // of 64
	switch {
	case w.sluggish && strings.HasPrefix(r.what, "delete archives/"):
		slow, shortest = 63, publish.Window/2
	// What may do harm when it is late.
	case strings.HasPrefix(r.what, "put manifests/"):
		slow = 32
	case strings.HasPrefix(r.what, "delete "):
		slow = 16
	}
	switch x := w.pick(64); {
	case r.lossless:
		a.at = r.decided
	case x < slow:
		a.at = w.now.Add(w.between(shortest, publish.Window))
	case x == 63:
		a.at = w.now.Add(w.between(publish.Window, 20*time.Hour)) // it will be refused
	default:
		a.at = w.now.Add(w.between(time.Millisecond, 2*time.Second))
	}
}

// takeEffect lets the request do what it does, and decides about its answer.
func (a *actor) takeEffect() {
	w, r := a.w, a.pending
	a.pending, r.took = nil, w.now.Truncate(time.Second)
	if !r.lossless && w.chance(1, 80) {
		w.note("%s stops at %s", a.name, r.what)
		if w.chance(1, 2) && w.now.Sub(r.decided) <= publish.Window && r.writes() {
			w.ghost = append(w.ghost, w.later(r))
		}
		w.crashes++
		a.pending = r
		a.crash()
		return
	}
	switch {
	case r.lossless:
		r.err = r.effect()
	case w.now.Sub(r.decided) > publish.Window:
		r.err = errSkew
	case w.chance(1, 60):
		r.err = errLost
		if r.writes() && w.chance(1, 2) {
			w.ghost = append(w.ghost, w.later(r))
		}
	case w.chance(1, 60):
		r.effect()
		r.err = errLost
	default:
		r.err = r.effect()
	}
	if r.shop != nil {
		if r.writes() || r.err != nil {
			w.note("%s: %s: %v", a.name, r.what, r.err)
		}
		w.check(r.shop)
	}
	a.reply = r
	switch x := w.pick(64); {
	case x < 60:
		a.at = w.now.Add(w.between(0, 2*time.Second))
	case x < 62:
		a.at = w.now.Add(w.between(0, 40*time.Minute))
	case x < 63:
		a.at = w.now.Add(w.between(time.Hour, 20*time.Hour))
	default:
		a.at = w.now.Add(w.between(20*time.Hour, 120*time.Hour))
	}
	if d := a.at.Sub(w.now); d > 10*time.Minute {
		w.note("%s stands still for %s", a.name, d)
		if w.chance(2, 3) {
			a.suspend = d
		}
	}
}

// later returns a request that takes effect after its failure was told, as late as it may.
func (w *world) later(r *request) *request {
	g := *r
	last := r.decided.Add(publish.Window)
	g.decided = w.now.Add(w.between(0, last.Sub(w.now)))
	return &g
}

// crash ends what an actor does. None of its requests takes effect any more, but those that are ghosts.
func (a *actor) crash() {
	if !a.running {
		return
	}
	a.dead = true
	r := a.pending
	if r == nil {
		r = a.reply
	}
	a.pending, a.reply, a.suspend = nil, nil, 0
	r.answer <- errCrash
	a.wait()
}

// ask hands a request to the world, and returns its answer. Requests that fail for a passing reason are repeated, as a store of S3 does.
func (a *actor) ask(ctx context.Context, s *shop, what string, effect func() error) error {
	for {
		if a.dead {
			return errCrash
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := remote.Checked(ctx); err != nil {
			return err
		}
		r := &request{what: what, shop: s, decided: a.w.now, effect: effect, answer: make(chan error)}
		a.parked <- r
		err := <-r.answer
		a.date, a.dated = r.took, a.monotonic()
		if !errors.Is(err, errLost) || a.w.chance(1, 2) {
			return err
		}
	}
}

// A machineClock is that of an actor.
type machineClock struct{ a *actor }

func (c machineClock) Now() publish.Reading {
	if c.a.w.broken.frozen(c.a) {
		return publish.Reading{Wall: beginning}
	}
	return publish.Reading{Wall: c.a.w.now.Add(c.a.skew), Monotonic: c.a.monotonic()}
}

func (a *actor) monotonic() time.Duration { return a.w.now.Sub(beginning) - a.asleep }

func (c machineClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.a.dead {
		return errCrash
	}
	r := &request{what: "sleep", decided: c.a.w.now.Add(d), effect: func() error { return nil }, lossless: true, answer: make(chan error)}
	c.a.parked <- r
	return <-r.answer
}

// A station is a store as an actor sees it.
type station struct {
	*shop
	a *actor
}

func (a *actor) at_(s *shop) layout.Store { return layout.Store{Store: &station{s, a}} }

func (s *station) String() string { return s.name }

func (s *station) Now(ctx context.Context) (time.Time, error) {
	if s.a.dead {
		return time.Time{}, errCrash
	}
	if s.a.date.IsZero() {
		if _, err := s.Stat(ctx, "lifeboat.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return time.Time{}, err
		}
	}
	return s.a.date.Add(s.a.monotonic() - s.a.dated), nil // that of the last answer, and what has passed since, as a store of S3 knows it
}

func (s *station) Put(ctx context.Context, key string, body remote.Body, opts remote.PutOptions) error {
	data, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size))
	if err != nil {
		return err
	}
	if s.a.w.broken.swallows(s.a, key) {
		return nil
	}
	if opts.IfAbsent && s.condition == 1 {
		if _, err := s.Stat(ctx, key); err == nil {
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	opts.IfAbsent = opts.IfAbsent && s.condition == 0
	again := false
	err = s.a.ask(ctx, s.shop, "put "+s.a.w.key(key), func() error {
		err := s.Store.Put(context.Background(), key, remote.Body{ReaderAt: bytes.NewReader(data), Size: body.Size, SHA256: body.SHA256}, opts)
		if err == nil {
			s.has(key, body.Size)
		}
		if again && errors.Is(err, fs.ErrExist) {
			err = nil // it is its own
		}
		again = true
		return err
	})
	return err
}

func (s *station) Delete(ctx context.Context, key string) error {
	return s.a.ask(ctx, s.shop, "delete "+s.a.w.key(key), func() error {
		if s.a.w.chance(1, 40) {
			return errRefused
		}
		s.lacks(key)
		if strings.HasPrefix(key, "archives/") {
			s.a.w.deletions++
		}
		return s.Store.Delete(context.Background(), key)
	})
}

func (s *station) Open(ctx context.Context, key string, off, n int64) (r io.ReadCloser, err error) {
	err = s.a.ask(ctx, s.shop, "open "+s.a.w.key(key), func() error {
		if id, ok := idOf(key, "manifests/"); ok && s.unreadable[id] {
			r = io.NopCloser(strings.NewReader("damaged"))
			return nil
		}
		r, err = s.Store.Open(context.Background(), key, off, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *station) Stat(ctx context.Context, key string) (info remote.Info, err error) {
	err = s.a.ask(ctx, s.shop, "stat "+s.a.w.key(key), func() (err error) {
		info, err = s.Store.Stat(context.Background(), key)
		return err
	})
	return info, err
}

// List asks page by page, as a store of S3 does, and much may happen between two pages.
func (s *station) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		for last, more := "", true; more; {
			var page []remote.Info
			err := s.a.ask(ctx, s.shop, "list "+prefix, func() error {
				page, more = nil, false
				for info, err := range s.Store.List(context.Background(), prefix) {
					if err != nil {
						return err
					}
					if info.Key <= last {
						continue
					}
					if len(page) == s.page {
						more = true
						break
					}
					page = append(page, info)
				}
				return nil
			})
			if err != nil {
				yield(remote.Info{}, err)
				return
			}
			for _, info := range page {
				last = info.Key
				if info, ok := s.a.w.broken.shows(s.a, info); ok && !yield(info, nil) {
					return
				}
			}
		}
	}
}

// has and lacks keep what check looks at.
func (s *shop) has(key string, size int64) {
	if id, ok := idOf(key, "manifests/"); ok {
		s.listed[id] = true
	} else if h, ok := hashIn(key); ok {
		s.archives[h] = size
	} else if id, ok := idOf(key, "removed/"); ok {
		s.everRemoved = append(s.everRemoved, id)
	}
}

func (s *shop) lacks(key string) {
	if id, ok := idOf(key, "manifests/"); ok {
		delete(s.listed, id)
	} else if h, ok := hashIn(key); ok {
		delete(s.archives, h)
	}
}

func idOf(key, prefix string) (manifest.ID, bool) {
	name, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return manifest.ID{}, false
	}
	id, err := manifest.ParseID(strings.TrimSuffix(name, ".json.zst"))
	return id, err == nil
}

func hashIn(key string) (manifest.Hash, bool) {
	name, ok := strings.CutPrefix(key, "archives/")
	if !ok {
		return manifest.Hash{}, false
	}
	h, err := manifest.ParseHash(strings.TrimSuffix(name, ".tar.zst"))
	return h, err == nil
}

// names are those of all archives that there may be.
var names = []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"}

var nameOf = func() map[manifest.Hash]string {
	m := map[manifest.Hash]string{}
	for _, n := range names {
		m[hashOf(n)] = n
	}
	return m
}()

func (w *world) called(h manifest.Hash) string { return nameOf[h] }

func short(id manifest.ID) string { return string(id.Stamp) + "-" + id.SHA256.String()[:6] }

func (w *world) key(key string) string {
	if !w.verbose {
		return key
	}
	if h, ok := hashIn(key); ok {
		return "archives/" + w.called(h)
	}
	for _, prefix := range []string{"manifests/", "removed/"} {
		if id, ok := idOf(key, prefix); ok {
			return prefix + short(id)
		}
	}
	return key
}

func sortedIDs(m map[manifest.ID]bool) []manifest.ID {
	return slices.SortedFunc(maps.Keys(m), manifest.ID.Compare)
}
