package transfer

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
)

// Supply stores archives that a store should have, whether there is anything under their names or not. Each is verified against its name before. Those that no place
// gave whole are returned, with the reason; an error means that it could not be stored.
func Supply(ctx context.Context, list []publish.Need, places []layout.Store, to layout.Store, opts Options) (nowhere map[manifest.Hash]error, err error) {
	nowhere = map[manifest.Hash]error{}
	var mu sync.Mutex
	limit := opts.Concurrency
	if limit <= 0 {
		limit = DefaultConcurrency
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for _, a := range list {
		g.Go(func() error {
			err := copyArchive(gctx, places, to, a, opts)
			if gctx.Err() == nil && errors.As(err, new(*sourceError)) {
				mu.Lock()
				defer mu.Unlock()
				nowhere[a.SHA256] = err
				return nil
			}
			if err == nil && opts.Progress != nil {
				opts.Progress(a.Size)
			}
			return err
		})
	}
	err = g.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nowhere, err
}
