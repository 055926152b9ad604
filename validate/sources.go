package validate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A SourceReport says whether a source of a snapshot can be restored from a store.
type SourceReport struct {
	Name string              `json:"name"`
	Type manifest.SourceType `json:"type"`
	OK   *bool               `json:"ok"` // nil: nothing is known to be wrong, and not every byte was read
}

// What is wrong with a source, because of what is wrong with objects. "missing" is for archives that are not in the store, "damaged" for those
// that are and are not right. The names without "file" are those of the Python tool before lifeboat.
const (
	DatabaseMissing Code = "db_snapshot_missing"
	DatabaseDamaged Code = "db_snapshot_damaged"
	RegistryMissing Code = "registry_snapshot_missing"
	RegistryDamaged Code = "registry_snapshot_damaged"
	ChromaMissing   Code = "chroma_snapshot_missing"
	ChromaDamaged   Code = "chroma_snapshot_damaged"
	FileMissing     Code = "file_snapshot_missing"
	FileDamaged     Code = "file_snapshot_damaged"
	RegistryInvalid Code = "registry_invalid_json" // the one file of the source, whose name says that it is JSON, does not parse
)

// chromaDatabase is in the directory of every vector store of Chroma.
const chromaDatabase = "chroma.sqlite3"

// suffering gathers what the damage of objects means for sources. It is filled while the files table is read.
type suffering struct {
	chroma map[string]bool // sources that are vector stores
	parts  map[part]*Finding
	broken bool // a table is damaged, so nobody knows what else is
}

// A part is what of a source suffers alike.
type part struct {
	source   string
	database bool // or else files
	missing  bool // or else damaged
}

func newSuffering() *suffering {
	return &suffering{chroma: map[string]bool{}, parts: map[part]*Finding{}}
}

// sourceOf returns the name of the source that a path in a snapshot begins with.
func sourceOf(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

// see takes note of a file of the table.
func (s *suffering) see(f *manifest.File) {
	if name, ok := strings.CutSuffix(f.Path, "/"+chromaDatabase); ok && !strings.Contains(name, "/") {
		s.chroma[name] = true
	}
}

// touch notes that a file cannot be restored because of an object.
func (s *suffering) touch(f *manifest.File, object Code) {
	p := part{sourceOf(f.Path), f.SQLite != nil, object == ArchiveMissing}
	if s.parts[p] == nil {
		s.parts[p] = &Finding{Source: p.source}
	}
	if d := s.parts[p]; d.Count == 0 || d.last != f.Path { // several archives may have some of it
		d.file(f.Path)
		d.last = f.Path
	}
}

// findings returns what is wrong with sources, in their order: of each kind, one for each source.
func (s *suffering) findings(head *manifest.Head) (list []Finding) {
	kinds := map[[2]string]*Finding{}
	for p, f := range s.parts {
		src := head.Source(p.source)
		if src == nil {
			continue
		}
		code := p.code(src.Type == manifest.DirectorySource && s.chroma[src.Name], src.Type == manifest.SQLiteSource || p.database, isRegistry(src, f.last))
		all := kinds[[2]string{src.Name, string(code)}]
		if all == nil {
			all = &Finding{Code: code, Source: src.Name}
			kinds[[2]string{src.Name, string(code)}] = all
		}
		all.Files = append(all.Files, f.Files...)
		all.Count += f.Count
		all.Detail = fmt.Sprintf("source %s: %d of %s cannot be restored from this store", src.Name, all.Count, lines(src))
	}
	for _, f := range kinds {
		slices.SortFunc(f.Files, manifest.ComparePaths)
		f.Files = f.Files[:min(len(f.Files), maxFiles)]
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(string(a.Code), string(b.Code)))
	})
	return list
}

// lines counts what is in a source.
func lines(src *manifest.Source) string {
	if src.Files == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files and directories", src.Files)
}

func (p part) code(chroma, database, registry bool) Code {
	codes := [2]Code{FileDamaged, FileMissing}
	switch {
	case chroma:
		codes = [2]Code{ChromaDamaged, ChromaMissing}
	case database:
		codes = [2]Code{DatabaseDamaged, DatabaseMissing}
	case registry:
		codes = [2]Code{RegistryDamaged, RegistryMissing}
	}
	if p.missing {
		return codes[1]
	}
	return codes[0]
}

// isRegistry reports whether a source is one JSON file, by its name.
func isRegistry(src *manifest.Source, path string) bool {
	return src.Type == manifest.FileSource && strings.HasSuffix(path, ".json")
}

// sources completes the report: with what the findings mean for each source, and with what is wrong with the content of registries.
func (c *checker) sources() error {
	if c.snap == nil {
		return nil
	}
	head := c.snap.Head
	bad := map[string]bool{}
	for _, f := range c.r.Findings {
		for _, path := range f.Files {
			bad[sourceOf(path)] = true
		}
		if f.Code == TableDamaged && len(f.Files) == 0 {
			c.suffers.broken = true
		}
	}
	c.r.Findings = append(c.r.Findings, c.suffers.findings(head)...)
	if err := c.registries(bad); err != nil {
		return err
	}
	for _, f := range c.r.Findings {
		if f.Source != "" {
			bad[f.Source] = true
		}
	}
	for _, src := range head.Sources {
		r := SourceReport{Name: src.Name, Type: src.Type}
		if whole := !bad[src.Name] && !c.suffers.broken; !whole || c.r.ReadData {
			r.OK = &whole
		}
		c.r.Sources = append(c.r.Sources, r)
	}
	return nil
}

// maxRegistry bounds what is read of a registry to parse it, in bytes. A larger one is not parsed.
const maxRegistry = 64 << 20

// registries parses each source that is one JSON file, if data is read and nothing else is wrong with it; otherwise the manifest says whether
// it parsed when it was captured.
func (c *checker) registries(bad map[string]bool) error {
	for i := range c.snap.Head.Sources {
		src := &c.snap.Head.Sources[i]
		if src.Type != manifest.FileSource || c.suffers.broken {
			continue
		}
		path, why, err := c.registry(src, c.r.ReadData && !bad[src.Name])
		if err != nil {
			return err
		}
		if why != "" {
			c.r.Findings = append(c.r.Findings, Finding{Code: RegistryInvalid, Object: layout.ManifestKey(c.snap.ID), Source: src.Name, Detail: why, Files: []string{path}, Count: 1})
		}
	}
	return nil
}

// registry returns why a source that is one JSON file does not parse, or "".
func (c *checker) registry(src *manifest.Source, read bool) (path, why string, err error) {
	for _, p := range c.snap.Head.Problems {
		if p.Source == src.Name && p.Kind == layout.ProblemJSON && isRegistry(src, p.Path) {
			return p.Path, "it did not parse as JSON when it was captured", nil
		}
	}
	if !read {
		return "", "", nil
	}
	for f, err := range c.snap.FilesFrom(c.ctx, src.Name) {
		if err != nil {
			return "", "", c.unlessData(err)
		}
		if sourceOf(f.Path) != src.Name || !isRegistry(src, f.Path) || f.Type != manifest.Regular || f.Size > maxRegistry {
			return "", "", nil
		}
		var text bytes.Buffer
		if err := c.snap.Copy(c.ctx, &text, f); err != nil {
			return "", "", c.unlessData(err)
		}
		if !json.Valid(text.Bytes()) {
			return f.Path, "it does not parse as JSON, though every byte is as it was captured", nil
		}
		return "", "", nil
	}
	return "", "", nil
}

// unlessData returns an error that is not about the data: that was found before.
func (c *checker) unlessData(err error) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if layout.AboutData(err) {
		return nil
	}
	return err
}
