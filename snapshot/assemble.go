package snapshot

import (
	"context"
	"slices"
	"strings"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// assemble writes the tables, now that every archive has its name, and returns the head.
//
// Maps come first and into archives of their own, because the lines of the files table refer to those
// archives by name. The pieces of the tables come last: the archives that they lie in are described in the head.
func (t *take) assemble(ctx context.Context) (*manifest.Head, error) {
	maps, err := t.writeMaps(ctx)
	if err != nil {
		return nil, err
	}
	t.maps = maps
	pieces := &pieceWriter{writer: t.extra(ctx), base: t.opts.Base, known: t.opts.Base.pieces()}
	files := manifest.NewFileTable(pieces.put)
	packed := maps.archives
	for _, c := range t.captured {
		packed = append(packed, c.writer.Archives()...)
		if err := c.writeFiles(files, maps.of[c]); err != nil {
			return nil, err
		}
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	filePieces := pieces.take()
	t.archives = sortedByHash(slices.Concat(packed, t.opts.Base.Used()))
	archives := manifest.NewArchiveTable(pieces.put)
	for _, a := range t.archives {
		if err := archives.AddArchive(a); err != nil {
			return nil, err
		}
	}
	if err := archives.Close(); err != nil {
		return nil, err
	}
	archivePieces := pieces.take()
	if err := pieces.writer.Close(); err != nil {
		return nil, err
	}
	head := t.head(append(packed, pieces.writer.Archives()...))
	head.Roots = pieces.roots(filePieces, archivePieces)
	head.Files = manifest.Table{Count: files.Count, Bytes: files.Bytes, Pieces: filePieces}
	head.Archives = manifest.Table{Count: archives.Count, Bytes: archives.Bytes, Pieces: archivePieces}
	return head, nil
}

// extra returns a writer of tables, which close will discard.
func (t *take) extra(ctx context.Context) *archive.Writer {
	w := t.newWriter(ctx, "")
	t.extras = append(t.extras, w)
	return w
}

// head fills in everything but the tables.
func (t *take) head(stored []*manifest.Archive) *manifest.Head {
	now := t.opts.Now()
	h := &manifest.Head{
		Format: manifest.Format, App: t.opts.App, Kind: t.opts.Kind, Stamp: t.opts.Stamp, Finished: now.UTC(),
		Tool: t.opts.Tool, Host: t.opts.Host, Previous: t.opts.Previous,
		Omitted: t.omitted,
	}
	var together instants
	for _, c := range t.captured {
		s := c.line
		s.Name, s.Type, s.Root, s.Optional = c.Source.Name, c.kind, c.Source.Path, c.Source.Optional
		s.Consistency = c.seen.consistency().Level
		together.join(c.seen)
		h.Sources = append(h.Sources, s)
		h.Stats.Bytes += s.Bytes
	}
	h.Consistency = together.consistency()
	together.pinTime(0, t.barrier)
	if h.Consistency.Level != manifest.Transactional && t.apart != nil {
		t.apart()
	}
	h.State, h.Problems, h.ProblemCount = t.problems.state(), t.problems.sorted(), t.problems.count
	for _, a := range stored {
		h.Stats.NewBytes += a.Data
		h.Stats.StoredBytes += a.Size
	}
	h.Stats.ArchivesNew = int64(len(stored))
	h.Stats.Seconds = now.Sub(t.began).Seconds()
	h.Stats.PinMS = together.longestPin.Milliseconds()
	h.Stats.WALGrowth = together.walGrowth
	h.Stats.WriterBlockMS = together.longestBlock.Milliseconds()
	return h
}

// writeFiles adds the lines of one source to the table. maps are those of its large files, in their order.
func (c *capture) writeFiles(table *manifest.TableWriter, maps [][]manifest.Map) error {
	name := c.names()
	var extents []manifest.Extent
	for r, err := range c.draft.records() {
		if err != nil {
			return err
		}
		if !r.Large {
			extents = appendExtents(extents, r.Places, name)
		}
		if r.File == nil {
			continue
		}
		if r.Large {
			r.File.Maps, maps = maps[0], maps[1:]
		} else {
			r.File.Extents = extents
		}
		if err := table.AddFile(r.File); err != nil {
			return err
		}
		extents = extents[:0]
	}
	return nil
}

// names returns a function that names an archive by its ordinal: one that was packed now, or one of the base.
func (c *capture) names() func(ordinal int) manifest.Hash {
	packed, base := c.writer.Archives(), c.t.opts.Base
	return func(ordinal int) manifest.Hash {
		if ordinal < zeros {
			return base.use(ordinal)
		}
		return packed[ordinal].SHA256
	}
}

// appendExtents names the archives of places. Zeros that a record's end had cut are joined again.
func appendExtents(extents []manifest.Extent, places []archive.Place, name func(ordinal int) manifest.Hash) []manifest.Extent {
	for _, p := range places {
		if p.Archive != zeros {
			extents = append(extents, manifest.Extent{Archive: name(p.Archive), Off: p.Off, Len: p.Len})
			continue
		}
		if k := len(extents) - 1; k >= 0 && extents[k].IsZeros() {
			extents[k].Len += p.Len
		} else {
			extents = append(extents, manifest.Extent{Len: p.Len})
		}
	}
	return extents
}

// A pieceWriter packs the pieces of a table, but those that the base has, and remembers where they lie.
type pieceWriter struct {
	writer *archive.Writer
	base   *Base
	known  map[manifest.Hash]archive.Place // pieces of the base
	refs   []manifest.PieceRef             // their archives are ordinals
}

func (p *pieceWriter) put(first string, piece []byte) error {
	sum := manifest.HashOf(piece)
	at, ok := p.known[sum]
	if !ok || at.Len != int64(len(piece)) {
		var err error
		if at, err = p.writer.Add(archive.Segment{
			Name: archive.PieceName(first), Data: piece, Chunk: len(piece), Sums: []archive.ChunkSum{archive.SumOf(piece)},
		}); err != nil {
			return err
		}
	}
	p.refs = append(p.refs, manifest.PieceRef{First: first, Archive: at.Archive, Off: at.Off, Len: at.Len, SHA256: sum})
	return nil
}

// take returns the pieces since the last call.
func (p *pieceWriter) take() []manifest.PieceRef {
	refs := p.refs
	p.refs = nil
	return refs
}

// roots returns the archives that pieces lie in, now that all are packed, and makes the pieces refer to them.
func (p *pieceWriter) roots(tables ...[]manifest.PieceRef) []manifest.Archive {
	var roots []manifest.Archive
	packed := p.writer.Archives()
	index := map[int]int{} // by ordinal
	for _, refs := range tables {
		for i := range refs {
			at := refs[i].Archive
			n, ok := index[at]
			if !ok {
				n = len(roots)
				index[at] = n
				if at < zeros {
					p.base.use(at)
					roots = append(roots, p.base.Archives[indexOf(at)].Archive)
				} else {
					roots = append(roots, *packed[at])
				}
			}
			refs[i].Archive = n
		}
	}
	return roots
}

func sortedByHash(archives []*manifest.Archive) []*manifest.Archive {
	slices.SortFunc(archives, func(a, b *manifest.Archive) int { return strings.Compare(string(a.SHA256[:]), string(b.SHA256[:])) })
	return slices.CompactFunc(archives, func(a, b *manifest.Archive) bool { return a.SHA256 == b.SHA256 })
}
