package layout

import (
	"context"
	"errors"
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

// onePage is how many names one request for a listing shows.
const onePage = 1000

// A Glance is what a short listing of a store shows.
type Glance struct {
	snapshots []Entry // oldest first

	// all says that the rest is known, too. It is where that takes no more than one listing.
	all     bool
	removed []Entry
	pins    map[manifest.ID]bool
	drills  []Drill
	marker  *remote.Info // nil if there is none

	archives map[manifest.Hash]ArchiveInfo // nil: they were not listed
}

// glance lists the snapshots, and where that costs nothing more, what else there is beside archives.
func (s Store) glance(ctx context.Context) (*Glance, error) {
	tail, ok := s.Store.(tailLister)
	if !ok {
		entries, err := s.Snapshots(ctx)
		return &Glance{snapshots: entries}, err
	}
	g := &Glance{all: true, pins: map[manifest.ID]bool{}}
	for info, err := range tail.ListAfter(ctx, afterArchives) {
		if err != nil {
			return nil, err
		}
		g.add(info)
	}
	slices.SortFunc(g.drills, Drill.Compare)
	return g, nil
}

// glanceAll lists the snapshots of a store in which there may be few archives: where one request shows them and all else, it is the only one. It
// is for who is going to send archives to a bucket.
func (s Store) glanceAll(ctx context.Context) (*Glance, error) {
	g := &Glance{all: true, pins: map[manifest.ID]bool{}, archives: map[manifest.Hash]ArchiveInfo{}}
	n := 0
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		a, ok := archiveOf(info)
		if !ok {
			g.add(info)
			continue
		}
		g.archives[a.SHA256] = a
		if n++; n == onePage { // before it asks for the next
			return s.glance(ctx)
		}
	}
	slices.SortFunc(g.drills, Drill.Compare)
	return g, nil
}

// add takes note of an object that is no archive.
func (g *Glance) add(info remote.Info) {
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

// Archives returns the archives that were there; nil if they were not listed. It is for reading.
func (g *Glance) Archives() map[manifest.Hash]ArchiveInfo { return g.archives }

// Drills returns the evidence that was there; ok says whether it was listed.
func (g *Glance) Drills() (list []Drill, ok bool) { return g.drills, g.all }

// Enter reads the marker of a store and lists it as glanceAll does, both at once where a marker is expected. Where none is, the listing comes first, and may say
// that there is none. A directory is not listed: that is no faster for being done at once, and is left to who needs it. The error is about the marker, as that of Marker, or that the store was not reached; the glance is nil if it could not be listed.
func (s Store) Enter(ctx context.Context, expected bool) (Marker, *Glance, error) {
	if _, ok := s.Store.(tailLister); !ok {
		m, err := s.Marker(ctx)
		return m, nil, err
	}
	if !expected {
		g, err := s.glanceAll(ctx)
		if err == nil && g.all && g.marker == nil {
			return Marker{}, g, s.noMarker()
		}
		if errors.Is(err, remote.ErrUnavailable) {
			return Marker{}, nil, err
		}
		if err != nil {
			g = nil
		}
		m, err := s.Marker(ctx)
		return m, g, err
	}
	listed := make(chan *Glance, 1)
	go func() {
		g, err := s.glanceAll(ctx)
		if err != nil {
			g = nil
		}
		listed <- g
	}()
	m, err := s.Marker(ctx)
	return m, <-listed, err
}

// noMarker is what Marker returns where there is none.
func (s Store) noMarker() error { return fmt.Errorf("%s: %s: %w", s, MarkerKey, fs.ErrNotExist) }

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
		return Marker{}, place.noMarker()
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
