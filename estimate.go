package main

import (
	"context"
	"io/fs"
	"path/filepath"

	"lifeboat/internal/progress"
	"lifeboat/snapshot"
)

// estimate tells the meter about how many bytes sources have, while their capture is under way: walking a large tree takes a while, and only
// the progress bar wants to know. The returned function ends it.
func estimate(ctx context.Context, sources []snapshot.Source, meter *progress.Meter) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if total := measure(ctx, sources); ctx.Err() == nil {
			meter.Expect(total)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func measure(ctx context.Context, sources []snapshot.Source) (total int64) {
	for _, src := range sources {
		root, err := filepath.EvalSymlinks(src.Path)
		if err != nil {
			continue
		}
		filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return fs.SkipAll
			}
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if fi, err := e.Info(); err == nil {
				total += fi.Size()
			}
			return nil
		})
	}
	return total
}
