package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"lifeboat/manifest"
	"lifeboat/remote"
)

// A Catalog is what several places list, taken together.
type Catalog struct {
	places   []Store
	where    map[manifest.ID][]int // indexes into places, in order
	IDs      []manifest.ID         // oldest first
	Answered []Store               // the places that could be listed
	glances  map[Store]*Glance     // of those
	recent   *recent

	// Kept has heads and markers that were read before, from places that are not on this machine. It is nil where everything is to be read,
	// as by whoever wants to know whether it is whole.
	Kept Keeper
}

// A Keeper keeps small things that do not change, by name. What it returns is what was put there, or nil.
type Keeper interface {
	Get(name string) []byte
	Put(name string, data []byte)
}

// maxFuture is how far ahead of the clock a stamp may be before the snapshot is taken to be from the future.
const maxFuture = 15 * time.Minute

// List reads the catalog of places. A place that cannot be listed is reported in the error; the catalog has
// what the others list. It is nil only if none could be listed.
func List(ctx context.Context, places ...Store) (*Catalog, error) {
	return ListBeyond(ctx, nil, places...)
}

// ListBeyond is List for who has had a glance at some of the places already. The others are asked, all at once.
func ListBeyond(ctx context.Context, seen map[Store]*Glance, places ...Store) (*Catalog, error) {
	glances, failed := make([]*Glance, len(places)), make([]error, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		if glances[i] = seen[p]; glances[i] == nil {
			wg.Go(func() { glances[i], failed[i] = p.glance(ctx) })
		}
	}
	wg.Wait()
	c := &Catalog{places: places, where: map[manifest.ID][]int{}, glances: map[Store]*Glance{}, recent: &recent{}}
	var errs []error
	for i, p := range places {
		g, err := glances[i], failed[i]
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.Answered = append(c.Answered, p)
		c.glances[p] = g
		for _, e := range g.snapshots {
			if c.where[e.ID] == nil {
				c.IDs = append(c.IDs, e.ID)
			}
			c.where[e.ID] = append(c.where[e.ID], i)
		}
	}
	slices.SortFunc(c.IDs, manifest.ID.Compare)
	if len(errs) == len(places) && len(places) > 0 {
		c = nil
	}
	return c, errors.Join(errs...)
}

// Only returns the catalog of one of the places that answered.
func (c *Catalog) Only(place Store) *Catalog {
	only := &Catalog{places: []Store{place}, where: map[manifest.ID][]int{}, glances: c.glances, Answered: []Store{place}, Kept: c.Kept, recent: c.recent}
	for _, e := range c.glances[place].snapshots {
		only.IDs = append(only.IDs, e.ID)
		only.where[e.ID] = []int{0}
	}
	slices.SortFunc(only.IDs, manifest.ID.Compare)
	return only
}

// Where returns the places that list a snapshot, in the order they were given.
func (c *Catalog) Where(id manifest.ID) []Store {
	var stores []Store
	for _, i := range c.where[id] {
		stores = append(stores, c.places[i])
	}
	return stores
}

// Resolve finds the snapshot that a reference names. What "latest" passed over comes with the reason. now is the
// time that stamps are compared with.
func (c *Catalog) Resolve(ctx context.Context, ref manifest.Ref, now time.Time) (manifest.ID, []manifest.Skipped, error) {
	return ref.Select(c.IDs, func(id manifest.ID) (string, error) {
		if id.Stamp.Time().After(now.Add(maxFuture)) {
			return "its stamp is in the future", nil
		}
		head, err := c.Head(ctx, id)
		if err != nil {
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			if errors.Is(err, remote.ErrUnavailable) {
				return "", err // an older one is not the latest because nobody answered
			}
			return fmt.Sprintf("its manifest cannot be read: %v", err), nil
		}
		return Unfit(head), nil
	})
}

// Head reads the head of a snapshot from the first place that can give it.
func (c *Catalog) Head(ctx context.Context, id manifest.ID) (*manifest.Head, error) {
	var errs []error
	places := c.Where(id)
	for i, p := range places {
		head, err := c.head(Before(ctx, i, len(places)), p, id)
		if err == nil {
			return head, nil
		}
		errs = append(errs, err)
	}
	if errs == nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, fs.ErrNotExist)
	}
	return nil, errors.Join(errs...)
}

// head reads the head of a snapshot from one place, or takes it from what was read lately, or was kept, if that is what its name says, and of the size
// that the place lists.
func (c *Catalog) head(ctx context.Context, p Store, id manifest.ID) (*manifest.Head, error) {
	if h, ok := c.recent.get(p, id); ok {
		return h.head, nil
	}
	keep := c.Kept != nil && c.glances[p].all
	name := "head " + id.String()
	if keep {
		list := c.glances[p].snapshots
		at, ok := slices.BinarySearchFunc(list, id, func(e Entry, id manifest.ID) int { return e.ID.Compare(id) })
		if stored := c.Kept.Get(name); stored != nil && ok && int64(len(stored)) == list[at].Size {
			if head, err := ParseManifest(id, stored); err == nil {
				c.recent.put(recentHead{p, id, head, stored})
				return head, nil
			}
		}
	}
	head, stored, err := p.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	c.recent.put(recentHead{p, id, head, stored})
	if keep {
		c.Kept.Put(name, stored)
	}
	return head, nil
}

// Open opens a snapshot for reading, as OpenSnapshot does from the places that list it. What was read of it lately, such as to find out whether it is
// the latest, is not read again.
func (c *Catalog) Open(ctx context.Context, id manifest.ID, workers int) (*Snapshot, error) {
	places := c.Where(id)
	for _, p := range places {
		if h, ok := c.recent.get(p, id); ok {
			return newSnapshot(id, h.head, h.stored, workers, places)
		}
	}
	return OpenSnapshot(ctx, id, workers, places...)
}

// A recentHead is what a place gave as the manifest of a snapshot.
type recentHead struct {
	place  Store
	id     manifest.ID
	head   *manifest.Head
	stored []byte
}

// recent remembers the last few. Several goroutines may use it.
type recent struct {
	mu   sync.Mutex
	last [8]recentHead
	next int
}

func (r *recent) get(p Store, id manifest.ID) (recentHead, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.last {
		if h.head != nil && h.place == p && h.id == id {
			return h, true
		}
	}
	return recentHead{}, false
}

func (r *recent) put(h recentHead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[r.next] = h
	r.next = (r.next + 1) % len(r.last)
}

// Kinds of problems that others than the capture ask for.
const (
	ProblemCorrupt    = "corrupt"    // a database was captured corrupt
	ProblemUnreadable = "unreadable" // a file could not be read
)

// ProblemJSON is the kind of problem that says a file whose name says so is no JSON.
const ProblemJSON = "invalid_json"

// Unfit returns why a snapshot is not one that "latest" means, or "".
func Unfit(h *manifest.Head) string {
	switch {
	case h.Kind == manifest.Safety:
		return "it is a safety snapshot"
	case h.State != manifest.Complete:
		return "it is incomplete"
	}
	for _, p := range h.Problems {
		if p.Kind == ProblemCorrupt {
			return plain(p.Path) + " was corrupt when it was captured"
		}
	}
	return ""
}

// plain returns a name as it is, or quoted if it has anything in it that a message should not have, such as a line break.
func plain(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
