// Package validate proves that a store has all of a snapshot, and says everything that is wrong, not just the first thing.
//
// Without data it reads the manifest and both tables, and compares what they need with what the store lists. With data it
// reads every archive, checks it against its name, decodes every frame, hashes every file, and runs SQLite's integrity check on
// every database: the same path that a restore takes.
package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
)

// Code says what is wrong, for programs. Codes are never renamed.
type Code string

const (
	ManifestDamaged Code = "manifest_damaged" // its bytes are not those of its name, or break a rule of the format
	TableDamaged    Code = "table_damaged"    // a piece or a map
	ArchiveMissing  Code = "archive_missing"
	ArchiveSize     Code = "archive_size" // listed with another size
	ArchiveDamaged  Code = "archive_damaged"
	FileDigest      Code = "file_digest"        // a file does not have the SHA-256 in the manifest
	DatabaseCorrupt Code = "db_integrity_check" // the integrity check failed
)

// A Finding is one thing that is wrong.
type Finding struct {
	Code   Code     `json:"code"`
	Object string   `json:"object,omitempty"` // key in the store
	Detail string   `json:"detail"`
	Files  []string `json:"files,omitempty"` // that cannot be restored from this store because of it; at most 100
	Count  int64    `json:"file_count,omitempty"`

	archive manifest.Hash
}

// A Report is what was found about one snapshot in one store.
type Report struct {
	Stamp     manifest.Stamp     `json:"stamp"`
	ID        string             `json:"id"`
	Store     string             `json:"store"`
	OK        bool               `json:"ok"`
	ReadData  bool               `json:"read_data"`
	Findings  []Finding          `json:"findings"`
	Archives  int64              `json:"archives"`
	Files     int64              `json:"files"`
	Bytes     int64              `json:"bytes"` // of the files
	Databases []restore.Database `json:"databases,omitempty"`
}

// Options; the zero value checks without reading data.
type Options struct {
	ReadData bool
	Scratch  string // see restore.VerifyOptions
	Workers  int    // processors to use; 0 means 1
	Meter    *progress.Meter
}

// Check validates a snapshot in one store. What is wrong with the snapshot is in the report; an error means that it
// could not be found out.
func Check(ctx context.Context, id manifest.ID, store layout.Store, opts Options) (*Report, error) {
	c := &checker{ctx: ctx, store: store, opts: opts, r: &Report{Stamp: id.Stamp, ID: id.String(), Store: store.String(), ReadData: opts.ReadData, Findings: []Finding{}}}
	if err := c.run(id); err != nil {
		return nil, err
	}
	c.r.OK = len(c.r.Findings) == 0
	return c.r, nil
}

type checker struct {
	ctx   context.Context
	store layout.Store
	opts  Options
	snap  *layout.Snapshot

	mu sync.Mutex
	r  *Report
}

func (c *checker) run(id manifest.ID) error {
	var err error
	c.snap, err = layout.OpenSnapshot(c.ctx, id, max(1, c.opts.Workers), c.store)
	if err != nil {
		return c.found(err, Finding{Code: ManifestDamaged, Object: layout.ManifestKey(id)})
	}
	needed, err := c.archives()
	if err != nil || needed == nil {
		return err
	}
	if c.opts.ReadData {
		if err := c.readArchives(needed); err != nil {
			return err
		}
	}
	if err := c.tables(); err != nil {
		return err
	}
	if c.opts.ReadData && len(c.r.Findings) == 0 {
		return c.readFiles()
	}
	return nil
}

// add appends a finding.
func (c *checker) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Findings = append(c.r.Findings, f)
}

// found adds a finding if err is about the data, and returns err if it is about reading it.
func (c *checker) found(err error, f Finding) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if !aboutData(err) {
		return err
	}
	f.Detail = err.Error()
	var damage *archive.DamageError
	if errors.As(err, &damage) {
		f.Object, f.Detail = damage.Object, fmt.Sprintf("%s: %v", damage.Place, damage.Err)
	}
	var digest *layout.DigestError
	if errors.As(err, &digest) {
		f.Files, f.Count = []string{digest.Path}, 1
	}
	c.add(f)
	return nil
}

// aboutData reports whether an error says what is wrong with a snapshot, and not that somebody failed to look.
func aboutData(err error) bool {
	var damage *archive.DamageError
	var format *manifest.FormatError
	switch {
	case errors.As(err, &format), errors.Is(err, remote.ErrUnavailable):
		return false
	case errors.As(err, &damage):
		return true
	}
	for _, kind := range []error{fs.ErrNotExist, manifest.ErrInvalid, layout.ErrDamaged, layout.ErrDigest, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

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
	for f, err := range c.snap.Files(c.ctx) {
		if err != nil {
			return c.found(err, Finding{Code: TableDamaged, Object: layout.ManifestKey(c.snap.ID)})
		}
		c.r.Files++
		c.r.Bytes += f.Size
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
		}
		return finding != nil
	}
	at := int64(0)
	var last manifest.Hash
	for e, err := range c.snap.Extents(c.ctx, f) {
		if err != nil {
			if c.ctx.Err() != nil || !aboutData(err) {
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
	res, err := restore.Verify(c.ctx, c.snap, restore.VerifyOptions{Scratch: c.opts.Scratch, Meter: c.opts.Meter})
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
