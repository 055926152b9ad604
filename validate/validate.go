// Package validate proves that a store has all of a snapshot, and says everything that is wrong, not just the first thing.
//
// Without data it reads the manifest and both tables, and compares what they need with what the store lists. With data it
// reads every archive, checks it against its name, decodes every frame, hashes every file, and runs SQLite's integrity check on
// every database: the same path that a restore takes, and one reading for all of it. What belongs to the store and to no snapshot, the marker and the
// recovery kit, is for CheckStore.
package validate

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// Code says what is wrong, for programs. Codes are not renamed once they are released.
type Code string

const (
	MetadataMissing Code = "metadata_missing"      // there is no manifest, though it is listed or was asked for
	MetadataInvalid Code = "metadata_invalid_json" // the manifest does not decode to JSON; it is manifest_damaged too
	ManifestDamaged Code = "manifest_damaged"      // its bytes are not those of its name, or break a rule of the format
	ManifestFormat  Code = "manifest_format"       // it is of a format that this program does not know
	TableDamaged    Code = "table_damaged"         // a piece or a map
	ArchiveMissing  Code = "archive_missing"
	ArchiveSize     Code = "archive_size" // listed with another size
	ArchiveDamaged  Code = "archive_damaged"
	FileDigest      Code = "file_digest"               // a file does not have the SHA-256 in the manifest
	DatabaseCorrupt Code = "db_integrity_check_failed" // the integrity check failed
)

// A Finding is one thing that is wrong.
type Finding struct {
	Code   Code     `json:"code"`
	Source string   `json:"source,omitempty"` // when it is about a source
	Object string   `json:"object,omitempty"` // key in the store
	Place  string   `json:"place,omitempty"`  // what part of it: a frame and its bytes, a line; "" where that is not known, or it is all of it
	Detail string   `json:"detail"`
	Files  []string `json:"files,omitempty"` // that cannot be restored from this store because of it; at most 100
	Count  int64    `json:"file_count,omitempty"`

	archive manifest.Hash
	last    string // of the files that were counted
}

// A Report is what was found about one snapshot in one store.
type Report struct {
	Stamp     manifest.Stamp     `json:"stamp"`
	ID        string             `json:"id"`
	Store     string             `json:"store"`
	Exists    bool               `json:"exists"` // its manifest is in the store
	OK        bool               `json:"ok"`
	Valid     bool               `json:"valid"`     // the same as OK
	ReadData  bool               `json:"read_data"` // all of it
	Read      *Read              `json:"read,omitempty"`
	Findings  []Finding          `json:"findings"`
	Sources   []SourceReport     `json:"sources"` // none where the manifest cannot be read
	Archives  int64              `json:"archives"`
	Files     int64              `json:"files"`
	Bytes     int64              `json:"bytes"` // of the files
	Databases []restore.Database `json:"databases,omitempty"`
}

// Read is how much of the archives of a snapshot was read and verified, in this check or in another of the same run.
type Read struct {
	Archives   int64 `json:"archives"`
	Bytes      int64 `json:"bytes"` // as they are stored
	OfArchives int64 `json:"of_archives"`
	OfBytes    int64 `json:"of_bytes"`
}

// Options; the zero value checks without reading data.
type Options struct {
	ReadData bool
	Part     map[manifest.Hash]bool // read only these archives, and check no files; nil means all
	Verified *Verified              // of this store, shared by the checks of one run; may be nil
	Scratch  string                 // see restore.VerifyOptions
	Workers  int                    // archives that are read at once; 0 means 1
	Meter    *progress.Meter
}

// Check validates a snapshot in one store. What is wrong with the snapshot is in the report; an error means that it
// could not be found out.
func Check(ctx context.Context, id manifest.ID, store layout.Store, opts Options) (*Report, error) {
	c := &checker{ctx: ctx, store: store, opts: opts, verified: opts.Verified, bad: map[manifest.Hash]bool{}, suffers: newSuffering(),
		r: &Report{Stamp: id.Stamp, ID: id.String(), Store: store.String(), Exists: true, ReadData: opts.ReadData && opts.Part == nil, Findings: []Finding{}, Sources: []SourceReport{}}}
	if c.verified == nil {
		c.verified = new(Verified)
	}
	if err := c.run(id); err != nil {
		return nil, err
	}
	if err := c.sources(); err != nil {
		return nil, err
	}
	c.r.OK = len(c.r.Findings) == 0
	c.r.Valid = c.r.OK
	return c.r, nil
}

// Missing is the report of a snapshot that was asked for and is in none of the stores. stamp is "" if what was asked for tells none.
func Missing(asked string, stamp manifest.Stamp) *Report {
	return &Report{Stamp: stamp, ID: asked, Sources: []SourceReport{}, Findings: []Finding{{Code: MetadataMissing, Detail: "there is no such snapshot"}}}
}

type checker struct {
	ctx      context.Context
	store    layout.Store
	opts     Options
	snap     *layout.Snapshot
	verified *Verified
	bad      map[manifest.Hash]bool // archives that are missing or of another size
	suffers  *suffering

	mu sync.Mutex
	r  *Report
}

func (c *checker) run(id manifest.ID) error {
	var err error
	c.snap, err = layout.OpenSnapshot(c.ctx, id, max(1, c.opts.Workers), c.store)
	if err != nil {
		return c.manifest(id, err)
	}
	needed, err := c.archives()
	if err != nil || needed == nil {
		return err
	}
	for _, f := range c.r.Findings {
		c.bad[f.archive] = true
	}
	listing := slices.Clone(c.r.Findings)
	if err := c.tables(); err != nil || !c.opts.ReadData {
		return err
	}
	tables := c.r.Findings
	c.r.Findings = listing
	if len(tables) == len(listing) && c.opts.Part == nil {
		if err := c.readFiles(); err != nil {
			return err
		}
	}
	if err := c.readArchives(needed); err != nil {
		return err
	}
	c.inherit(needed)
	if len(c.r.Findings) == len(listing) {
		c.r.Findings = tables
		return nil
	}
	return c.tables() // once more, for the files that the damage touches
}

// manifest says what is wrong with a manifest that could not be opened.
func (c *checker) manifest(id manifest.ID, err error) error {
	key := layout.ManifestKey(id)
	f := Finding{Code: ManifestDamaged, Object: key}
	if errors.As(err, new(*manifest.FormatError)) {
		f.Code, f.Detail = ManifestFormat, err.Error()
		c.add(f)
		return nil
	}
	if err := c.describe(err, &f); err != nil {
		return err
	}
	stored, readErr := c.store.ReadSmall(c.ctx, key, manifest.MaxHeadStored)
	if errors.Is(readErr, fs.ErrNotExist) {
		c.r.Exists = false
		f.Code = MetadataMissing
	}
	c.add(f)
	if readErr != nil && c.unlessData(readErr) != nil {
		return readErr
	}
	if readErr == nil && !layout.IsJSON(stored) {
		c.add(Finding{Code: MetadataInvalid, Object: key, Detail: "it does not decode to JSON"})
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
	if err := c.describe(err, &f); err != nil {
		return err
	}
	c.add(f)
	return nil
}

// describe puts an error about the data into a finding, and returns one that is about reading it.
func (c *checker) describe(err error, f *Finding) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if !layout.AboutData(err) {
		return err
	}
	f.Detail = err.Error()
	var damage *archive.DamageError
	if errors.As(err, &damage) {
		f.Object, f.Place, f.Detail = damage.Object, damage.Place, damage.Err.Error()
	}
	var digest *layout.DigestError
	if errors.As(err, &digest) {
		f.Files, f.Count = []string{digest.Path}, 1
	}
	return nil
}

// Archives calls fn with the description of each archive that a snapshot needs.
func Archives(ctx context.Context, s *layout.Snapshot, fn func(*manifest.Archive)) error {
	for i := range s.Head.Roots {
		fn(&s.Head.Roots[i])
	}
	for a, err := range s.Archives(ctx) {
		if err != nil {
			return err
		}
		fn(a)
	}
	return nil
}
