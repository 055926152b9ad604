package validate

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/restore"
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
	err := Archives(c.ctx, c.snap, func(a *manifest.Archive) { compare(a) })
	if err != nil {
		return nil, c.found(err, Finding{Code: TableDamaged, Object: layout.ManifestKey(c.snap.ID)})
	}
	c.r.Archives = int64(len(needed))
	return needed, nil
}

// Verified remembers which archives of one store were verified, so that an archive which several snapshots share is verified once. The zero
// value has seen none.
type Verified struct {
	mu       sync.Mutex
	archives map[manifest.Hash]*Finding // nil for one that is right
}

func (v *Verified) get(h manifest.Hash) (f *Finding, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, known = v.archives[h]
	return f, known
}

func (v *Verified) set(h manifest.Hash, f *Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.archives == nil {
		v.archives = map[manifest.Hash]*Finding{}
	}
	v.archives[h] = f
}

// Forget forgets what came of reading an archive: it has been stored again.
func (v *Verified) Forget(h manifest.Hash) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.archives, h)
}

// readArchives verifies each archive that was not verified yet, but those that are known to be missing or of another size.
func (c *checker) readArchives(needed []*manifest.Archive) error {
	var total int64
	var left []*manifest.Archive
	for _, a := range needed {
		if _, known := c.verified.get(a.SHA256); !known && !c.bad[a.SHA256] && c.wanted(a) {
			left = append(left, a)
			total += a.Size
		}
	}
	c.opts.Meter.Begin("read archives", total)
	g, ctx := errgroup.WithContext(c.ctx)
	g.SetLimit(max(1, c.opts.Workers))
	for _, a := range left {
		g.Go(func() error {
			err := c.snap.Verify(ctx, c.store, a, nil, nil)
			c.opts.Meter.Add(a.Size)
			return c.verdict(a.SHA256, err)
		})
	}
	return g.Wait()
}

// wanted reports whether an archive is to be read.
func (c *checker) wanted(a *manifest.Archive) bool {
	return c.opts.Part == nil || c.opts.Part[a.SHA256]
}

// verdict notes what came of reading an archive. It returns an error that is not about what was read.
func (c *checker) verdict(h manifest.Hash, err error) error {
	if err == nil {
		c.verified.set(h, nil)
		return nil
	}
	f := Finding{Code: ArchiveDamaged, Object: layout.ArchiveKey(h), archive: h}
	if err := c.describe(err, &f); err != nil {
		return err
	}
	c.verified.set(h, &f)
	return nil
}

// inherit adds what is known to be wrong with archives, now that all that is wanted was read, and counts them.
func (c *checker) inherit(needed []*manifest.Archive) {
	read := &Read{}
	for _, a := range needed {
		f, known := c.verified.get(a.SHA256)
		if f != nil && !c.bad[a.SHA256] {
			c.add(*f)
		}
		if known {
			read.Archives++
			read.Bytes += a.Size
		}
		read.OfArchives++
		read.OfBytes += a.Size
	}
	c.r.Read = read
}

// whole has restore.Verify verify archives as wholes.
func (c *checker) whole() *restore.Whole {
	return &restore.Whole{
		Place: c.store,
		Begin: func(h manifest.Hash) restore.Reading {
			f, known := c.verified.get(h)
			switch {
			case c.bad[h] || f != nil:
				return restore.ReadNone
			case known:
				return restore.ReadRanges
			}
			return restore.ReadWhole
		},
		Done: c.verdict,
		Wrong: func(err error) error {
			if !errors.Is(err, layout.ErrDigest) && layout.AboutData(err) {
				return nil // a map, which was found when the tables were read
			}
			return c.found(err, Finding{Code: FileDigest, Object: layout.ManifestKey(c.snap.ID)})
		},
	}
}
