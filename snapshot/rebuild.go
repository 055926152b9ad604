package snapshot

import (
	"context"
	"io"
	"slices"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// RebuildBase writes the base of a snapshot from what is stored of it: its tables, and the chunk indexes of its archives, each of which is
// one ranged read. Nothing proves that files are unchanged then, so the next capture reads them all, but stores only what changed. Sources that
// it left out are taken from older snapshots, each from the first that has it.
func RebuildBase(ctx context.Context, out io.Writer, s *layout.Snapshot, older ...*layout.Snapshot) error {
	w := newBaseWriter(out, nil)
	taken := map[string]bool{}
	for _, snap := range append([]*layout.Snapshot{s}, older...) {
		if err := rebuild(ctx, w, snap, taken); err != nil {
			return err
		}
	}
	return w.finish()
}

// rebuild writes the sources of a snapshot that are not taken yet.
func rebuild(ctx context.Context, w *baseWriter, s *layout.Snapshot, taken map[string]bool) error {
	fresh := map[string]bool{}
	for _, src := range s.Head.Sources {
		fresh[src.Name] = !taken[src.Name]
		taken[src.Name] = true
	}
	for a, err := range s.Archives(ctx) {
		if err != nil {
			return err
		}
		w.archive(a)
	}
	number := w.origin(origin{Name: s.ID.String(), Manifest: s.Stored, head: s.Head})
	b := &rebuilding{snap: s, w: w, sums: map[manifest.Hash][]archive.Run{}}
	source := ""
	for f, err := range s.Files(ctx) {
		if err != nil {
			return err
		}
		name := manifest.SourceOf(f.Path)
		if !fresh[name] {
			continue
		}
		if name != source {
			source = name
			b.w.begin(section{Source: name, Origin: number})
		}
		if err := b.file(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// rebuilding is a base that is being rebuilt.
type rebuilding struct {
	snap *layout.Snapshot
	w    *baseWriter
	sums map[manifest.Hash][]archive.Run // chunk indexes that were read
	held int                             // chunks in them
	rec  record
	span int64
}

// maxHeld is how many sums of chunks are kept in memory: 64 MiB.
const maxHeld = 4 << 20

// file writes the records of a file.
func (b *rebuilding) file(ctx context.Context, f *manifest.File) error {
	b.begin(f)
	for e, err := range b.snap.Extents(ctx, f) {
		if err != nil {
			return err
		}
		for e.Len > 0 { // zeros may be longer than a record
			if b.span == manifest.MapSpan {
				if err := b.flush(); err != nil {
					return err
				}
				b.begin(f)
			}
			part := e
			part.Len = min(e.Len, manifest.MapSpan-b.span)
			if err := b.extent(ctx, part); err != nil {
				return err
			}
			e.Len -= part.Len
		}
	}
	for _, m := range f.Maps {
		b.w.addMap(manifest.SourceOf(f.Path), m)
	}
	line := *f
	line.Extents, line.Maps = nil, nil
	b.rec.File = &line
	return b.flush()
}

func (b *rebuilding) begin(f *manifest.File) {
	b.rec = record{Path: f.Path, Chunk: f.Chunk, Places: b.rec.Places[:0], Sums: b.rec.Sums[:0]}
	b.span = 0
}

func (b *rebuilding) flush() error { return b.w.write(b.rec) }

func (b *rebuilding) extent(ctx context.Context, e manifest.Extent) error {
	b.span += e.Len
	chunks := int((e.Len + b.rec.Chunk - 1) / b.rec.Chunk)
	if e.IsZeros() {
		b.rec.Places = append(b.rec.Places, archive.Place{Archive: zeros, Len: e.Len})
		b.rec.Sums = append(b.rec.Sums, make([]archive.ChunkSum, chunks)...)
		return nil
	}
	b.rec.Places = append(b.rec.Places, archive.Place{Archive: b.w.index[e.Archive], Off: e.Off, Len: e.Len})
	runs, err := b.runs(ctx, e.Archive)
	if err != nil {
		return err
	}
	b.rec.Sums = appendSums(b.rec.Sums, runs, e, b.rec.Chunk, chunks)
	return nil
}

// appendSums appends the sums of the chunks of an extent. One that the index does not have is zero, as no chunk's is that is stored.
func appendSums(sums []archive.ChunkSum, runs []archive.Run, e manifest.Extent, chunk int64, chunks int) []archive.ChunkSum {
	i, found := slices.BinarySearchFunc(runs, e.Off, func(r archive.Run, off int64) int { return int(r.Off - off) })
	if !found {
		i--
	}
	if i >= 0 {
		r := runs[i]
		first := (e.Off - r.Off) / chunk
		if r.Chunk == chunk && (e.Off-r.Off)%chunk == 0 && first+int64(chunks) <= int64(len(r.Sums)) {
			return append(sums, r.Sums[first:first+int64(chunks)]...)
		}
	}
	return append(sums, make([]archive.ChunkSum, chunks)...)
}

// runs returns the chunk index of an archive. One that cannot be read is empty: what lies in that archive will be stored again.
func (b *rebuilding) runs(ctx context.Context, h manifest.Hash) ([]archive.Run, error) {
	if runs, ok := b.sums[h]; ok {
		return runs, nil
	}
	a, err := b.snap.Archive(ctx, h)
	if err != nil {
		return nil, err
	}
	var runs []archive.Run
	err = b.snap.Read(ctx, h, []archive.Range{{Off: a.Index.Off, Len: a.Index.Len}}, func(_ int, data []byte) error {
		if manifest.HashOf(data) != a.Index.SHA256 {
			return nil
		}
		var err error
		if runs, err = archive.ParseIndex(data, a.Length); err != nil {
			runs = nil
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n := 0
	for _, r := range runs {
		n += len(r.Sums)
	}
	if b.held += n; b.held > maxHeld {
		clear(b.sums)
		b.held = n
	}
	b.sums[h] = runs
	return runs, nil
}
