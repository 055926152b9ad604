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
	for _, c := range t.captures {
		if !c.draft.large {
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

// writeMaps writes the maps of one source. Whether a file needs maps is known only after some of its records, so those are
// held back until then: never more than fit into a line.
func (c *capture) writeMaps(w *archive.Writer) ([][]mapAt, error) {
	archives := c.writer.Archives()
	var files [][]mapAt
	var held []record
	var maps []mapAt
	extents, large := 0, false
	off := int64(0)
	write := func(r record) error {
		data, err := manifest.EncodeMap(appendExtents(nil, r.Places, archives))
		if err != nil {
			return err
		}
		at, err := w.Add(archive.Segment{Name: archive.MapName(r.Path, off), Data: data, Chunk: len(data), Sums: []archive.ChunkSum{archive.SumOf(data)}})
		maps = append(maps, mapAt{at, manifest.HashOf(data)})
		off += manifest.MapSpan
		return err
	}
	for r, err := range c.draft.records() {
		if err != nil {
			return nil, err
		}
		if r.Again {
			held, maps, extents, large, off = held[:0], nil, 0, false, 0
			continue
		}
		extents += len(r.Places)
		held = append(held, r)
		if large = large || extents > manifest.MaxInline; large {
			for _, h := range held {
				if err := write(h); err != nil {
					return nil, err
				}
			}
			held = held[:0]
		}
		if r.File != nil {
			if large {
				files = append(files, maps)
			}
			held, maps, extents, large, off = held[:0], nil, 0, false, 0
		}
	}
	return files, nil
}
