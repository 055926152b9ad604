package manifest_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lifeboat/manifest"
)

// What was written is read as it was, and written again it is the same bytes.
func TestFilesCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := files().Draw(t, "files")
		s := new(store)
		h := s.snapshot(t, want, nil)
		var got []*manifest.File
		for f, err := range h.AllFiles(s.Fetch) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f)
		}
		for i := range want {
			want[i] = asRead(want[i])
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(slices.Equal[[]manifest.Extent])); diff != "" {
			t.Fatalf("files (-written +read):\n%s", diff)
		}
		checkWrittenAgain(t, h, s.Fetch)
		for _, p := range h.Files.Pieces {
			piece, err := s.Fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
			if err != nil {
				t.Fatal(err)
			}
			checkNoWhiteSpace(t, piece)
		}
	})
}

// checkNoWhiteSpace checks each line against the compact form of the standard library.
func checkNoWhiteSpace(t tester, piece []byte) {
	t.Helper()
	for line := range bytes.Lines(piece) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, line); err != nil || compact.String()+"\n" != string(line) {
			t.Fatalf("white space in %q (%v)", line, err)
		}
	}
}

func TestMapsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		extents := rapid.SliceOfN(extent(manifest.MaxExtent), 1, 16).Draw(t, "extents")
		if rapid.Bool().Draw(t, "zeros") {
			extents = []manifest.Extent{{Len: manifest.MapSpan}}
		}
		span := int64(0)
		for _, e := range extents {
			span += e.Len
		}
		data, err := manifest.EncodeMap(extents)
		if err != nil {
			t.Fatal(err)
		}
		checkNoWhiteSpace(t, data)
		got, err := manifest.ParseMap(data, span)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(extents, got); diff != "" {
			t.Fatalf("extents (-written +read):\n%s", diff)
		}
		again, err := manifest.EncodeMap(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, again) {
			t.Fatalf("wrote\n%s\nand again\n%s", data, again)
		}
	})
}

func TestArchivesCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		archives := archivesOf(rapid.IntRange(0, 40).Draw(t, "archives"))
		for _, a := range archives {
			a.Data = rapid.Int64Range(0, a.Length).Draw(t, "data")
			a.Index.Off = rapid.Int64Range(0, a.Length).Draw(t, "off")
			a.Index.Len = rapid.Int64Range(0, a.Length-a.Index.Off).Draw(t, "len")
		}
		s := new(store)
		h := s.snapshot(t, nil, archives)
		var got []*manifest.Archive
		for a, err := range h.AllArchives(s.Fetch) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a)
		}
		if diff := cmp.Diff(archives, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("archives (-written +read):\n%s", diff)
		}
		checkWrittenAgain(t, h, s.Fetch)
	})
}

func TestHeadCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(store)
		table := files().Draw(t, "files")
		h := newHead()
		h.Sources = sourcesOf(table)
		h.Files = s.writeFiles(t, table)
		h.Archives = s.writeArchives(t, archivesOf(3))
		h.Roots = s.roots()
		h.Kind = rapid.SampledFrom([]manifest.Kind{manifest.Backup, manifest.Safety, manifest.Adopted}).Draw(t, "kind")
		h.State = rapid.SampledFrom([]manifest.State{manifest.Complete, manifest.Incomplete}).Draw(t, "state")
		zone := time.FixedZone("", rapid.IntRange(-12*3600, 14*3600).Draw(t, "zone"))
		h.Finished = time.Unix(rapid.Int64Range(0, 1<<36).Draw(t, "finished"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		h.Tool, h.Host.Name = oddText().Draw(t, "tool"), oddText().Draw(t, "host")
		if rapid.Bool().Draw(t, "previous") {
			h.Previous = &manifest.ID{Stamp: "20260101T030405Z", SHA256: hashOf("previous")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "problems") {
			h.Problems = append(h.Problems, manifest.Problem{Source: "data", Path: oddText().Draw(t, "path"), Kind: "unreadable", Detail: oddText().Draw(t, "detail")})
		}
		h.ProblemCount = int64(len(h.Problems)) + rapid.Int64Range(0, 5).Draw(t, "more problems")
		for range rapid.IntRange(0, 2).Draw(t, "omitted") {
			h.Omitted = append(h.Omitted, manifest.Omission{Source: oddText().Draw(t, "source"), Why: oddText().Draw(t, "why")})
		}
		for i := range h.Sources {
			h.Sources[i].Root = oddText().Draw(t, "root")
			h.Sources[i].Optional = rapid.Bool().Draw(t, "optional")
			h.Sources[i].Consistency = rapid.SampledFrom([]manifest.Level{manifest.Transactional, manifest.Fuzzy}).Draw(t, "level")
		}
		h.Consistency = manifest.Consistency{Level: manifest.Fuzzy, SkewUS: rapid.Int64Min(0).Draw(t, "skew")}
		h.Stats = manifest.Stats{Bytes: h.Files.Bytes, NewBytes: rapid.Int64Min(0).Draw(t, "new"), Seconds: float64(rapid.IntRange(0, 1e9).Draw(t, "seconds"))}

		data, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		checkNoWhiteSpace(t, append(slices.Clone(data), '\n'))
		got, err := manifest.ParseHead(data)
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		again, err := got.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(data), string(again)); diff != "" {
			t.Fatalf("head (-written +again):\n%s", diff)
		}
		h.Finished = h.Finished.UTC()
		h.Tool, h.Host.Name = asText(h.Tool), asText(h.Host.Name)
		for i := range h.Problems {
			h.Problems[i].Path, h.Problems[i].Detail = asText(h.Problems[i].Path), asText(h.Problems[i].Detail)
		}
		for i := range h.Omitted {
			h.Omitted[i].Source, h.Omitted[i].Why = asText(h.Omitted[i].Source), asText(h.Omitted[i].Why)
		}
		for i := range h.Sources {
			h.Sources[i].Root = asText(h.Sources[i].Root)
		}
		if diff := cmp.Diff(h, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("head (-written +read):\n%s", diff)
		}
	})
}

// A writer may meet attributes in any order, and empty ones without a value.
func TestXattrsAreSorted(t *testing.T) {
	given := []manifest.Xattr{{Name: "user.b", Value: []byte("2")}, {Name: "user.a"}, {Name: "security.c", Value: []byte{}}}
	f := &manifest.File{Path: "conf/a", Type: manifest.Regular, UID: -1, GID: -1, SHA256: manifest.HashOf(nil), Xattrs: slices.Clone(given)}
	s := new(store)
	h := s.snapshot(t, []*manifest.File{f}, nil)
	if diff := cmp.Diff(given, f.Xattrs); diff != "" {
		t.Errorf("AddFile changed its argument (-before +after):\n%s", diff)
	}
	for f, err := range h.AllFiles(s.Fetch) {
		if err != nil {
			t.Fatal(err)
		}
		want := []manifest.Xattr{{Name: "security.c"}, {Name: "user.a"}, {Name: "user.b", Value: []byte("2")}}
		if diff := cmp.Diff(want, f.Xattrs, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("xattrs (-want +read):\n%s", diff)
		}
	}
}
