package layout

import (
	"context"
	"io"
	"time"

	"lifeboat/archive"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// elsewhere is how long a place that does not answer is waited for when the same can be had from another.
const elsewhere = 30 * time.Second

// Before returns the context in which to ask the i-th of n places: only the last is waited for as long as its settings say.
func Before(ctx context.Context, i, n int) context.Context {
	if i == n-1 {
		return ctx
	}
	return remote.WithPatience(ctx, elsewhere)
}

// A hasty source is one of several.
type hasty struct{ archive.Source }

func (h hasty) OpenArchive(ctx context.Context, a manifest.Hash, off, n int64) (io.ReadCloser, error) {
	return h.Source.OpenArchive(remote.WithPatience(ctx, elsewhere), a, off, n)
}

// sourcesOf returns the places as sources of archives, of which only the last is waited for.
func sourcesOf(places []Store) []archive.Source {
	sources := make([]archive.Source, len(places))
	for i, p := range places {
		sources[i] = hasty{p}
		if i == len(places)-1 {
			sources[i] = p
		}
	}
	return sources
}
