package validate

import (
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// maxFiles is how many files a finding lists.
const maxFiles = 100

// tables reads the files table and every map, checks that extents lie inside their archives, and notes which files the findings
// touch. What cannot be read is a finding too.
func (c *checker) tables() error {
	t := &touched{byArchive: map[manifest.Hash]*Finding{}}
	for i := range c.r.Findings {
		if f := c.r.Findings[i]; !f.archive.IsZero() {
			t.add(&f)
		}
	}
	defer func() { c.replace(t) }()
	c.suffers = newSuffering()
	c.r.Files, c.r.Bytes = 0, 0
	for f, err := range c.snap.Files(c.ctx) {
		if err != nil {
			return c.found(err, Finding{Code: TableDamaged, Object: layout.ManifestKey(c.snap.ID)})
		}
		c.r.Files++
		c.r.Bytes += f.Size
		c.suffers.see(f)
		if err := c.extents(f, t); err != nil {
			return err
		}
	}
	return nil
}

// replace puts the findings about archives, now with the files that they touch, in the place of those without.
func (c *checker) replace(t *touched) {
	c.r.Findings = slices.DeleteFunc(c.r.Findings, func(f Finding) bool { return !f.archive.IsZero() })
	for _, f := range t.all {
		c.r.Findings = append(c.r.Findings, *f)
	}
	c.sort()
}

func (c *checker) sort() {
	slices.SortStableFunc(c.r.Findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
}

// touched are findings about archives.
type touched struct {
	all       []*Finding
	byArchive map[manifest.Hash]*Finding
}

func (t *touched) add(f *Finding) {
	t.all = append(t.all, f)
	t.byArchive[f.archive] = f
}

// file notes that a finding touches a file.
func (f *Finding) file(path string) {
	f.Count++
	if len(f.Files) < maxFiles {
		f.Files = append(f.Files, path)
	}
}

// extents checks one file. Where its extents cannot be read, that is a finding, and the next file may fare better.
func (c *checker) extents(f *manifest.File, t *touched) error {
	var counted map[*Finding]bool
	count := func(h manifest.Hash) bool {
		finding := t.byArchive[h]
		if finding != nil && !counted[finding] {
			if counted == nil {
				counted = map[*Finding]bool{}
			}
			counted[finding] = true
			finding.file(f.Path)
			c.suffers.touch(f, finding.Code)
		}
		return finding != nil
	}
	for _, m := range f.Maps {
		count(m.Archive)
	}
	at := int64(0)
	var last manifest.Hash
	for e, err := range c.snap.Extents(c.ctx, f) {
		if err != nil {
			if c.ctx.Err() != nil || !layout.AboutData(err) {
				return c.found(err, Finding{})
			}
			if h := f.Maps[at/manifest.MapSpan].Archive; !count(h) {
				t.add(&Finding{Code: TableDamaged, Object: layout.ArchiveKey(h), Detail: err.Error(), archive: h})
				count(h)
			}
			return nil
		}
		at += e.Len
		if e.IsZeros() {
			continue
		}
		if err := c.inside(e); err != nil {
			return c.found(err, Finding{Code: TableDamaged, Object: layout.ManifestKey(c.snap.ID), Files: []string{f.Path}, Count: 1})
		}
		if e.Archive != last {
			last = e.Archive
			count(e.Archive)
		}
	}
	return nil
}

// inside reports an extent that does not lie in an archive of the snapshot.
func (c *checker) inside(e manifest.Extent) error {
	a, err := c.snap.Archive(c.ctx, e.Archive)
	if err != nil {
		return err
	}
	return a.Contains(e.Off, e.Len)
}

// readFiles hashes every file and checks every database.
func (c *checker) readFiles() error {
	res, err := restore.Verify(c.ctx, c.snap, restore.VerifyOptions{Scratch: c.opts.Scratch, Concurrency: c.opts.Workers, Checkers: c.opts.Workers, Meter: c.opts.Meter, Whole: c.whole()})
	if err != nil {
		return c.found(err, Finding{Code: FileDigest, Object: layout.ManifestKey(c.snap.ID)})
	}
	c.r.Databases = res.Databases
	for _, d := range res.Databases {
		if d.Integrity == "corrupt" {
			c.add(Finding{Code: DatabaseCorrupt, Object: layout.ManifestKey(c.snap.ID), Detail: d.Detail, Files: []string{d.Path}, Count: 1})
		}
	}
	return nil
}
