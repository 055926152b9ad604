package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"

	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// estimate tells the meter about how many bytes sources have: as many as in the snapshot before, or if they were not in that, as a walk finds while their
// capture is under way. That takes a while in a large tree, and only the progress bar wants to know. The returned function ends it.
func estimate(ctx context.Context, sources []snapshot.Source, before *manifest.Head, meter *progress.Meter) (stop func()) {
	if total, ok := sizeIn(before, sources); ok {
		meter.Expect(total)
		return func() {}
	}
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

// sizeIn returns how many bytes sources have in a snapshot, and false unless all of them are in it.
func sizeIn(head *manifest.Head, sources []snapshot.Source) (total int64, ok bool) {
	if head == nil {
		return 0, false
	}
	for _, src := range sources {
		i := slices.IndexFunc(head.Sources, func(s manifest.Source) bool { return s.Name == src.Name })
		if i < 0 {
			return 0, false
		}
		total += head.Sources[i].Bytes
	}
	return total, total > 0
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
