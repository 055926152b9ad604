package layout

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"lifeboat/manifest"
	"lifeboat/remote"
)

// afterArchives sorts after archives, of which there are many, and before everything else that a store has but RECOVER.md.
const afterArchives = "archives0"

// tailLister is a store that can list from some name on.
type tailLister interface {
	ListAfter(ctx context.Context, after string) iter.Seq2[remote.Info, error]
}

// A glance is what a short listing of a store shows.
type glance struct {
	snapshots []Entry

	// all says that the rest is known, too. It is where that takes no more than one listing.
	all     bool
	removed []Entry
	pins    map[manifest.ID]bool
	drills  []Drill
	marker  *remote.Info // nil if there is none
}

// glance lists the snapshots, and where that costs nothing more, what else there is beside archives.
func (s Store) glance(ctx context.Context) (*glance, error) {
	tail, ok := s.Store.(tailLister)
	if !ok {
		entries, err := s.Snapshots(ctx)
		return &glance{snapshots: entries}, err
	}
	g := &glance{all: true, pins: map[manifest.ID]bool{}}
	for info, err := range tail.ListAfter(ctx, afterArchives) {
		if err != nil {
			return nil, err
		}
		if e, ok := entryOf(info, manifestsPrefix); ok {
			g.snapshots = append(g.snapshots, e)
		} else if e, ok := entryOf(info, removedPrefix); ok {
			g.removed = append(g.removed, e)
		} else if id, ok := pinOf(info); ok {
			g.pins[id] = true
		} else if d, ok := drillOf(info); ok {
			g.drills = append(g.drills, d)
		} else if info.Key == MarkerKey {
			g.marker = &info
		}
	}
	slices.SortFunc(g.drills, Drill.Compare)
	return g, nil
}

// pinOf returns the snapshot that an object pins, if it does.
func pinOf(info remote.Info) (manifest.ID, bool) {
	name, below := strings.CutPrefix(info.Key, pinsPrefix)
	if !below {
		return manifest.ID{}, false
	}
	id, err := manifest.ParseID(name)
	return id, err == nil
}

// Pins returns the pins of one of the places that answered, as they were when it was listed or are now.
func (c *Catalog) Pins(ctx context.Context, place Store) (map[manifest.ID]bool, error) {
	if g := c.glances[place]; g != nil && g.all {
		return g.pins, nil
	}
	return place.Pins(ctx)
}

// Removed returns the snapshots that were removed from one of the places that answered; see Store.Removed.
func (c *Catalog) Removed(ctx context.Context, place Store) ([]Entry, error) {
	if g := c.glances[place]; g != nil && g.all {
		return g.removed, nil
	}
	return place.Removed(ctx)
}

// Drills returns the evidence at one of the places that answered; see Store.Drills.
func (c *Catalog) Drills(ctx context.Context, place Store) ([]Drill, error) {
	if g := c.glances[place]; g != nil && g.all {
		return g.drills, nil
	}
	return place.Drills(ctx)
}

// Marker reads the marker of one of the places that answered, or takes it from what was kept of it if it has not changed since. Errors are those of
// Store.Marker.
func (c *Catalog) Marker(ctx context.Context, place Store) (Marker, error) {
	g := c.glances[place]
	if g == nil || !g.all {
		return place.Marker(ctx)
	}
	if g.marker == nil {
		return Marker{}, fmt.Errorf("%s: %s: %w", place, MarkerKey, fs.ErrNotExist)
	}
	if c.Kept == nil {
		return place.Marker(ctx)
	}
	name := fmt.Sprintf("marker %s %d %d", place, g.marker.Size, g.marker.ModTime.UnixNano())
	if data := c.Kept.Get(name); data != nil {
		if m, err := ParseMarker(data); err == nil {
			return m, nil
		}
	}
	data, err := place.ReadSmall(ctx, MarkerKey, maxMarker)
	if err != nil {
		return Marker{}, err
	}
	m, err := ParseMarker(data)
	if err != nil {
		return place.Marker(ctx) // which says it in its words
	}
	c.Kept.Put(name, data)
	return m, nil
}
