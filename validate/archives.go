package validate

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// archives reads the archives table and compares it with what the store lists. It returns nil when the table
// cannot be read, which is then a finding.
func (c *checker) archives() ([]*manifest.Archive, error) {
	listed := map[manifest.Hash]int64{}
	for a, err := range c.store.ListArchives(c.ctx) {
		if err != nil {
			return nil, err
		}
		listed[a.SHA256] = a.Size
	}
	needed := []*manifest.Archive{}
	compare := func(a *manifest.Archive) {
		needed = append(needed, a)
		n, ok := listed[a.SHA256]
		switch {
		case !ok:
			c.add(Finding{Code: ArchiveMissing, Object: layout.ArchiveKey(a.SHA256), Detail: "it is not in the store", archive: a.SHA256})
		case n != a.Size:
			c.add(Finding{Code: ArchiveSize, Object: layout.ArchiveKey(a.SHA256), Detail: fmt.Sprintf("it has %d bytes, and should have %d", n, a.Size), archive: a.SHA256})
		}
	}
	for i := range c.snap.Head.Roots {
		compare(&c.snap.Head.Roots[i])
	}
	for a, err := range c.snap.Archives(c.ctx) {
		if err != nil {
			return nil, c.found(err, Finding{Code: TableDamaged, Object: layout.ManifestKey(c.snap.ID)})
		}
		compare(a)
	}
	c.r.Archives = int64(len(needed))
	return needed, nil
}

// readArchives verifies each archive that is there.
func (c *checker) readArchives(needed []*manifest.Archive) error {
	var total int64
	for _, a := range needed {
		total += a.Size
	}
	c.opts.Meter.Begin("read archives", total)
	bad := map[manifest.Hash]bool{}
	for _, f := range c.r.Findings {
		bad[f.archive] = true
	}
	g, ctx := errgroup.WithContext(c.ctx)
	g.SetLimit(max(1, c.opts.Workers))
	for _, a := range needed {
		if bad[a.SHA256] {
			continue
		}
		g.Go(func() error {
			err := c.snap.Verify(ctx, c.store, a)
			c.opts.Meter.Add(a.Size)
			if err == nil {
				return nil
			}
			return c.found(err, Finding{Code: ArchiveDamaged, Object: layout.ArchiveKey(a.SHA256), archive: a.SHA256})
		})
	}
	return g.Wait()
}
