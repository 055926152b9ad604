package compare

import (
	"context"
	"iter"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Shared returns how many bytes of a file lie in both snapshots at the same place of the file and are stored at the same place of the same archive, or are
// zeros that are not stored. Those did not change. The others may have changed, or been stored anew. It reads the maps of a large file, except those that are the same.
func Shared(ctx context.Context, a, b *layout.Snapshot, old, now *manifest.File) (int64, error) {
	if len(old.Maps) == 0 || len(now.Maps) == 0 {
		return overlap(a.Extents(ctx, old), b.Extents(ctx, now))
	}
	var shared int64
	for i := range min(len(old.Maps), len(now.Maps)) {
		oldSpan, nowSpan := span(old, i), span(now, i)
		if old.Maps[i].SHA256 == now.Maps[i].SHA256 && oldSpan == nowSpan {
			shared += oldSpan
			continue
		}
		n, err := overlap(a.Extents(ctx, oneMap(old, i)), b.Extents(ctx, oneMap(now, i)))
		if err != nil {
			return 0, err
		}
		shared += n
	}
	return shared, nil
}

// span is how many bytes of a file its map i describes.
func span(f *manifest.File, i int) int64 {
	return min(manifest.MapSpan, f.Size-int64(i)*manifest.MapSpan)
}

// oneMap is the part of a file that its map i describes.
func oneMap(f *manifest.File, i int) *manifest.File {
	return &manifest.File{Path: f.Path, Type: f.Type, Size: span(f, i), Chunk: f.Chunk, Maps: f.Maps[i : i+1]}
}

// overlap walks over two lists of extents side by side.
func overlap(a, b iter.Seq2[manifest.Extent, error]) (shared int64, err error) {
	nextA, stopA := iter.Pull2(a)
	defer stopA()
	nextB, stopB := iter.Pull2(b)
	defer stopB()
	var x, y manifest.Extent
	for {
		if x.Len == 0 {
			e, err, ok := nextA()
			if err != nil || !ok {
				return shared, err
			}
			x = e
		}
		if y.Len == 0 {
			e, err, ok := nextB()
			if err != nil || !ok {
				return shared, err
			}
			y = e
		}
		n := min(x.Len, y.Len)
		if x.Archive == y.Archive && (x.IsZeros() || x.Off == y.Off) {
			shared += n
		}
		x, y = rest(x, n), rest(y, n)
	}
}

// rest is an extent without its first n bytes.
func rest(e manifest.Extent, n int64) manifest.Extent {
	e.Len -= n
	if !e.IsZeros() {
		e.Off += n
	}
	return e
}
