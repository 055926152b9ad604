package snapshot

import (
	"context"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// A mapAt is a map whose archive may have no name yet.
type mapAt struct {
	place archive.Place
	sum   manifest.Hash
}

// mapSet is the maps of all files that have more extents than fit into their lines.
type mapSet struct {
	of       map[*capture][][]manifest.Map // by source, in the order of the files
	archives []*manifest.Archive           // that were packed for them
}

// writeMaps writes the maps, but those that the base has.
func (t *take) writeMaps(ctx context.Context) (*mapSet, error) {
	set := &mapSet{of: map[*capture][][]manifest.Map{}}
	drafts := map[*capture][][]mapAt{}
	var w *archive.Writer
	for _, c := range t.captured {
		if len(c.draft.large) == 0 {
			continue
		}
		if w == nil {
			w = t.extra(ctx)
		}
		var err error
		if drafts[c], err = c.writeMaps(w); err != nil {
			return nil, err
		}
	}
	if w == nil {
		return set, nil
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	set.archives = w.Archives()
	for c, files := range drafts {
		for _, at := range files {
			named := make([]manifest.Map, len(at))
			for i, m := range at {
				named[i] = manifest.Map{Extent: manifest.Extent{Archive: t.nameOfMap(m.place.Archive, set.archives), Off: m.place.Off, Len: m.place.Len}, SHA256: m.sum}
			}
			set.of[c] = append(set.of[c], named)
		}
	}
	return set, nil
}

func (t *take) nameOfMap(ordinal int, packed []*manifest.Archive) manifest.Hash {
	if ordinal < zeros {
		return t.opts.Base.use(ordinal)
	}
	return packed[ordinal].SHA256
}

// writeMaps writes the maps of one source.
func (c *capture) writeMaps(w *archive.Writer) ([][]mapAt, error) {
	name := c.names()
	var files [][]mapAt
	var maps []mapAt
	for r, err := range c.draft.records() {
		if err != nil {
			return nil, err
		}
		if !r.Large {
			continue
		}
		data, err := manifest.EncodeMap(appendExtents(nil, r.Places, name))
		if err != nil {
			return nil, err
		}
		sum := manifest.HashOf(data)
		at, known := c.t.opts.Base.mapOf(sum)
		if !known || at.Len != int64(len(data)) {
			off := manifest.MapSpan * int64(len(maps))
			at, err = w.Add(archive.Segment{Name: archive.MapName(r.Path, off), Data: data, Chunk: len(data), Sums: []archive.ChunkSum{archive.SumOf(data)}})
			if err != nil {
				return nil, err
			}
		}
		maps = append(maps, mapAt{at, sum})
		if r.File != nil {
			files = append(files, maps)
			maps = nil
		}
	}
	return files, nil
}
