package manifest_test

import (
	"math"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"lifeboat/manifest"
)

// oddities are what has to be escaped, replaced or kept apart in JSON.
var oddities = []string{
	"\"", "\\", "\n", "\r", "\t", "\x01", "\x1f", "\x7f", "<", ">", "&", " ", "\u2028", "\u2029", "\uFFFD", `\ufffd`, `\\ufffd`, `\`,
	"\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "é", "🛟", ".", "..", "...", "a", "b", "~", "%2F", "null",
}

// oddText is any bytes, UTF-8 or not.
func oddText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9. ]{1,12}`),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom(oddities), 1, 6), func(s []string) string { return strings.Join(s, "") }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 10), func(b []byte) string { return string(b) }),
	)
}

// component is any name that a file may have.
func component() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		name := strings.NewReplacer("/", "-", "\x00", "-").Replace(oddText().Draw(t, "name"))
		if name == "." || name == ".." {
			return name + "x"
		}
		return name
	})
}

func utf8Text() *rapid.Generator[string] {
	return rapid.Map(oddText(), asText)
}

// asText is what remains of bytes where only text can stand.
func asText(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

func hash() *rapid.Generator[manifest.Hash] {
	return rapid.Map(rapid.Uint8(), func(n uint8) manifest.Hash { return hashOf("archive", n) })
}

func extent(max int64) *rapid.Generator[manifest.Extent] {
	return rapid.Custom(func(t *rapid.T) manifest.Extent {
		n := rapid.Int64Range(1, max).Draw(t, "len")
		if rapid.IntRange(0, 3).Draw(t, "zeros") == 0 {
			return manifest.Extent{Len: n}
		}
		return manifest.Extent{Archive: hash().Draw(t, "archive"), Off: rapid.Int64Range(0, manifest.MaxArchive-n).Draw(t, "off"), Len: n}
	})
}

func timestamp() *rapid.Generator[manifest.Timestamp] {
	return rapid.Custom(func(t *rapid.T) manifest.Timestamp {
		return manifest.Timestamp(rapid.OneOf(
			rapid.Int64(),
			rapid.Int64Range(-2e9, 2e9),
			rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0, -1, 1, -1e9, 1e9}),
		).Draw(t, "mtime"))
	})
}

// content gives a file its size and where that lies.
func content(t *rapid.T, f *manifest.File) {
	f.SHA256 = hashOf("content", f.Path)
	switch rapid.IntRange(0, 9).Draw(t, "content") {
	case 0: // empty
	case 1: // zeros, as many as there can be in a few files
		f.Size = rapid.Int64Range(1, 1<<55).Draw(t, "zeros")
		f.Extents = []manifest.Extent{{Len: f.Size}}
	case 2:
		f.Size = rapid.Int64Range(1, 5*manifest.MapSpan).Draw(t, "size")
		for off := int64(0); off < f.Size; off += manifest.MapSpan {
			m := manifest.Map{Extent: extent(manifest.MaxPiece).Draw(t, "map"), SHA256: hashOf("map", off)}
			if m.IsZeros() {
				m.Archive = hash().Draw(t, "map archive")
			}
			f.Maps = append(f.Maps, m)
		}
	case 3: // as many as fit into a line, and alike, for rapid is slow
		for i := range rapid.IntRange(1000, manifest.MaxInline).Draw(t, "extents") {
			f.Extents = append(f.Extents, manifest.Extent{Archive: hashOf("archive", i%7), Off: int64(i) * 4096, Len: 4096})
			f.Size += 4096
		}
	default:
		f.Extents = rapid.SliceOfN(extent(manifest.MaxExtent), 1, 8).Draw(t, "extents")
		for _, e := range f.Extents {
			f.Size += e.Len
		}
	}
	if f.Size > 0 {
		f.Chunk = rapid.SampledFrom([]int64{4096, 8192, 65536}).Draw(t, "chunk")
	}
}

func facts(t *rapid.T) *manifest.SQLite {
	s := &manifest.SQLite{
		PageSize: 4096, Pages: rapid.Int64Range(0, 9).Draw(t, "pages"), JournalMode: rapid.SampledFrom([]string{"", "wal"}).Draw(t, "mode"),
		Found:         rapid.SampledFrom([]string{"", "cold-wal", "a state of a later version"}).Draw(t, "found"),
		Read:          rapid.SampledFrom([]string{"", "copy"}).Draw(t, "read"),
		UserVersion:   int64(rapid.Int32().Draw(t, "user_version")),
		ApplicationID: int64(rapid.Int32().Draw(t, "application_id")),
		Integrity:     rapid.SampledFrom([]string{"", "ok", "degraded", "unverifiable", "corrupt"}).Draw(t, "integrity"),
		Detail:        rapid.OneOf(rapid.Just(""), oddText()).Draw(t, "detail"),
		ForeignKeys:   rapid.Int64Range(0, 9).Draw(t, "foreign_keys"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "tables") {
		s.Tables = append(s.Tables, manifest.TableRows{Name: oddText().Draw(t, "table"), Rows: rapid.Int64Min(0).Draw(t, "rows")})
	}
	if rapid.Bool().Draw(t, "schema") {
		h := hashOf("schema")
		s.SchemaSHA256 = &h
	}
	return s
}

// file is one line, of any type but hardlink.
func file(t *rapid.T, path string, typ manifest.FileType) *manifest.File {
	f := &manifest.File{Path: path, Type: typ, Mode: uint32(rapid.IntRange(0, 0o7777).Draw(t, "mode")),
		UID: manifest.NoOwner, GID: manifest.NoOwner, ModTime: timestamp().Draw(t, "mtime")}
	if rapid.Bool().Draw(t, "owned") {
		f.UID = int64(rapid.Uint32Max(1<<32-2).Draw(t, "uid"))
		f.GID = int64(rapid.Uint32Max(1<<32-2).Draw(t, "gid"))
		f.User = oddText().Draw(t, "user")
		f.Group = rapid.SampledFrom([]string{"", "www-data"}).Draw(t, "group")
	}
	for _, name := range rapid.SliceOfNDistinct(utf8Text(), 0, 3, rapid.ID[string]).Draw(t, "xattrs") {
		value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		f.Xattrs = append(f.Xattrs, manifest.Xattr{Name: strings.ReplaceAll(name, "\x00", "0"), Value: value})
	}
	// Replacing NUL may have made two names the same.
	slices.SortFunc(f.Xattrs, func(a, b manifest.Xattr) int { return strings.Compare(a.Name, b.Name) })
	f.Xattrs = slices.CompactFunc(f.Xattrs, func(a, b manifest.Xattr) bool { return a.Name == b.Name })
	f.Marked = rapid.SampledFrom([]string{"", "", manifest.MarkChanged, manifest.MarkGrew}).Draw(t, "marked")
	switch typ {
	case manifest.Regular:
		content(t, f)
		f.Links = rapid.SampledFrom([]int64{0, 0, 2, 70000}).Draw(t, "links")
		if rapid.IntRange(0, 4).Draw(t, "database") == 0 {
			f.SQLite = facts(t)
		}
	case manifest.Symlink:
		f.Link = strings.ReplaceAll(oddText().Draw(t, "link"), "\x00", "0")
	}
	return f
}

// files is a whole table: sources of each type, in order.
func files() *rapid.Generator[[]*manifest.File] {
	return rapid.Custom(func(t *rapid.T) []*manifest.File {
		var all []*manifest.File
		for _, source := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c0-1][a-b.-]{0,3}`), 1, 3, rapid.ID[string]).Draw(t, "sources") {
			if rapid.IntRange(0, 3).Draw(t, "single") == 0 {
				all = append(all, file(t, source+"/"+component().Draw(t, "name"), manifest.Regular))
				continue
			}
			all = append(all, directory(t, source)...)
		}
		// By components, as the format says it, and not by ComparePaths, which is tested here too.
		slices.SortFunc(all, func(a, b *manifest.File) int { return compareComponents(a.Path, b.Path) })
		return all
	})
}

func compareComponents(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// directory is a tree below root.
func directory(t *rapid.T, root string) []*manifest.File {
	dirs := []string{root}
	all := []*manifest.File{file(t, root, manifest.Directory)}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 12).Draw(t, "files") {
		path := rapid.SampledFrom(dirs).Draw(t, "dir") + "/" + component().Draw(t, "name")
		if seen[path] {
			continue
		}
		seen[path] = true
		typ := rapid.SampledFrom([]manifest.FileType{manifest.Regular, manifest.Regular, manifest.Directory, manifest.Symlink, manifest.Hardlink}).Draw(t, "type")
		if typ == manifest.Hardlink {
			target := slices.IndexFunc(all, func(f *manifest.File) bool { return f.Links > 1 && compareComponents(f.Path, path) < 0 })
			if target < 0 {
				continue
			}
			all = append(all, &manifest.File{Path: path, Type: typ, UID: manifest.NoOwner, GID: manifest.NoOwner, Link: all[target].Path})
			continue
		}
		all = append(all, file(t, path, typ))
		if typ == manifest.Directory {
			dirs = append(dirs, path)
		}
	}
	return all
}

// asRead returns a line as a reader should see it: texts for people have lost what is not UTF-8.
func asRead(f *manifest.File) *manifest.File {
	r := *f
	r.User, r.Group = asText(f.User), asText(f.Group)
	if f.SQLite != nil {
		s := *f.SQLite
		s.Detail = asText(s.Detail)
		s.Tables = slices.Clone(s.Tables)
		for i := range s.Tables {
			s.Tables[i].Name = asText(s.Tables[i].Name)
		}
		r.SQLite = &s
	}
	r.Xattrs = slices.Clone(f.Xattrs)
	for i := range r.Xattrs {
		r.Xattrs[i].Value = append([]byte{}, r.Xattrs[i].Value...)
	}
	return &r
}
