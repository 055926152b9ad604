package snapshot

import (
	"context"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// A mapAt is a map whose archive has no name yet.
type mapAt struct {
	place archive.Place
	sum   manifest.Hash
}

// writeMaps writes the maps of all files that have more extents than fit into their lines, and returns them by
// source, in the order of the files, with the archives that they lie in.
func (t *take) writeMaps(ctx context.Context) (map[*capture][][]manifest.Map, []*manifest.Archive, error) {
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
			return nil, nil, err
		}
	}
	if w == nil {
		return nil, nil, nil
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	archives := w.Archives()
	maps := map[*capture][][]manifest.Map{}
	for c, files := range drafts {
		for _, at := range files {
			named := make([]manifest.Map, len(at))
			for i, m := range at {
				named[i] = manifest.Map{Extent: manifest.Extent{Archive: archives[m.place.Archive].SHA256, Off: m.place.Off, Len: m.place.Len}, SHA256: m.sum}
			}
			maps[c] = append(maps[c], named)
		}
	}
	return maps, archives, nil
}

// writeMaps writes the maps of one source.
func (c *capture) writeMaps(w *archive.Writer) ([][]mapAt, error) {
	archives := c.writer.Archives()
	var files [][]mapAt
	var maps []mapAt
	for r, err := range c.draft.records() {
		switch {
		case err != nil:
			return nil, err
		case r.Again:
			maps = nil
			continue
		case !r.Large:
			continue
		}
		data, err := manifest.EncodeMap(appendExtents(nil, r.Places, archives))
		if err != nil {
			return nil, err
		}
		off := manifest.MapSpan * int64(len(maps))
		at, err := w.Add(archive.Segment{Name: archive.MapName(r.Path, off), Data: data, Chunk: len(data), Sums: []archive.ChunkSum{archive.SumOf(data)}})
		if err != nil {
			return nil, err
		}
		maps = append(maps, mapAt{at, manifest.HashOf(data)})
		if r.File != nil {
			files = append(files, maps)
			maps = nil
		}
	}
	return files, nil
}
