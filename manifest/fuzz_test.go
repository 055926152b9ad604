package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/manifest"
)

// Whatever is read: no panic, ErrInvalid or a newer format when it is refused; and what is accepted is written in a form that
// reads as the same and is written as the same.

func FuzzParseHead(f *testing.F) {
	f.Add([]byte(expand(goldenHead)))
	f.Add([]byte(`{"format":"lifeboat/1","app":"a","kind":"backup","stamp":"20260102T030405Z","state":"complete","consistency":{"level":"fuzzy"}}`))
	f.Add([]byte(`{"format":"lifeboat/2"}`))
	f.Add([]byte(`{"format":"lifeboat/1","x":[{"y":["\ud83d\udedf",-1,true,{}]}],"app":"a"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := manifest.ParseHead(data)
		if err != nil {
			var unknown *manifest.FormatError
			if h != nil || !errors.Is(err, manifest.ErrInvalid) && !errors.As(err, &unknown) {
				t.Fatalf("%v with error %v", h, err)
			}
			return
		}
		canonical, err := h.Encode()
		if err != nil {
			t.Fatalf("what was read is refused: %v", err)
		}
		again, err := manifest.ParseHead(canonical)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, canonical)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(canonical, twice) {
			t.Fatalf("written\n%s\nand again\n%s\n%v", canonical, twice, err)
		}
	})
}

// FuzzPiece reads the bytes as the one piece of a files table, under a head that counts what is in it.
func FuzzPiece(f *testing.F) {
	f.Add([]byte(expand(archivesLine + "\n" + validFiles)))
	f.Add([]byte(expand(goldenFiles)))
	f.Add([]byte(`{"archives":[]}` + "\n" + `{"path":"a","type":"directory","mtime":"0.000000000"}` + "\n"))
	f.Add([]byte(expand(`{"archives":[]}` + "\n" + `{"path":"a/b","type":"file","mtime":"0.000000000","size":0,"sha256":"#0"}` + "\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHead()
		h.Roots = []manifest.Archive{describe(hashOf("root"), int64(len(data))+1)}
		h.Files.Pieces = []manifest.PieceRef{{First: firstPath(data), Len: int64(len(data)), SHA256: manifest.HashOf(data)}}
		fetch := func(manifest.Hash, int64, int64) ([]byte, error) { return data, nil }
		var files []*manifest.File
		for file, err := range h.FilesFrom("", fetch) {
			if err != nil {
				break
			}
			files = append(files, file)
		}
		h.Sources = sourcesOf(files)
		for _, s := range h.Sources {
			if manifest.CheckName(s.Name) != nil {
				return // no head lists it
			}
			h.Files.Count += s.Files
			h.Files.Bytes += s.Bytes // may overflow, and then no table fits it
		}
		var read []*manifest.File
		for file, err := range h.AllFiles(fetch) {
			if err != nil {
				if file != nil || !errors.Is(err, manifest.ErrInvalid) {
					t.Fatalf("%v with error %v", file, err)
				}
				return
			}
			read = append(read, file)
			for _, err := range file.AllExtents(fetch) {
				if err != nil && !errors.Is(err, manifest.ErrInvalid) {
					t.Fatal(err)
				}
			}
		}
		checkTable(t, read)
		once := piecesOf(t, read...)
		s := new(store)
		again, err := readAll(s.snapshot(t, read, nil), s)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, once)
		}
		if twice := piecesOf(t, again...); strings.Join(once, "") != strings.Join(twice, "") {
			t.Fatalf("written\n%s\nand again\n%s", once, twice)
		}
	})
}

// firstPath returns the path in the first table line of a piece, read without care.
func firstPath(piece []byte) string {
	_, lines, _ := bytes.Cut(piece, []byte("\n"))
	first, _, _ := bytes.Cut(lines, []byte("\n"))
	var l struct {
		Path string
		Raw  []byte
	}
	if err := json.Unmarshal(first, &l); err != nil || len(l.Raw) == 0 {
		return l.Path
	}
	return string(l.Raw)
}

// checkTable holds what AllFiles let pass to the rules that span lines, said in another way than there.
func checkTable(t *testing.T, files []*manifest.File) {
	t.Helper()
	seen := map[string]*manifest.File{}
	last := ""
	for _, f := range files {
		if last != "" && compareComponents(last, f.Path) >= 0 {
			t.Fatalf("%q comes after %q", f.Path, last)
		}
		last = f.Path
		if !fs.ValidPath(strings.ToValidUTF8(f.Path, "?")) || f.Path == "." || strings.Contains(f.Path, "\x00") {
			t.Fatalf("%q is not a path below anything", f.Path)
		}
		source, _, below := strings.Cut(f.Path, "/")
		if parent := seen[path.Dir(f.Path)]; below && seen[source] != nil && (parent == nil || parent.Type != manifest.Directory) {
			t.Fatalf("%q lies below %v", f.Path, parent)
		}
		if f.Type == manifest.Hardlink {
			if to := seen[f.Link]; to == nil || to.Type != manifest.Regular || to.Links < 2 || manifest.SourceOf(to.Path) != source {
				t.Fatalf("%q is a hardlink to %v", f.Path, to)
			}
		}
		sum := int64(0)
		for _, e := range f.Extents {
			if sum += e.Len; e.Len < 1 || sum < 0 || e.Off < 0 || !e.IsZeros() && (e.Len > manifest.MaxExtent || e.Off+e.Len > manifest.MaxArchive) {
				t.Fatalf("%q has the extent %+v", f.Path, e)
			}
		}
		if f.Maps == nil && sum != f.Size {
			t.Fatalf("%q has extents of %d bytes and size %d", f.Path, sum, f.Size)
		}
		seen[f.Path] = f
	}
}

// FuzzParseMap reads the bytes as a map of that many bytes of a file.
func FuzzParseMap(f *testing.F) {
	const two = `{"archives":["#c","#a"]}` + "\n" + `{"extents":[[0,512,1048576],[-1,0,5242880],[1,0,1],[0,9,8]]}` + "\n"
	f.Add([]byte(expand(two)), int64(1048576+5242880+9))
	f.Add([]byte(`{"archives":[]}`+"\n"+`{"extents":[[-1,0,16777216]]}`+"\n"), int64(manifest.MapSpan))
	f.Fuzz(func(t *testing.T, data []byte, span int64) {
		extents, err := manifest.ParseMap(data, span)
		if err != nil {
			if extents != nil || !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("%v with error %v", extents, err)
			}
			return
		}
		if span < 1 || span > manifest.MapSpan {
			return // which no caller asks for
		}
		canonical, err := manifest.EncodeMap(extents)
		if err != nil {
			t.Fatalf("what was read is refused: %v", err)
		}
		again, err := manifest.ParseMap(canonical, span)
		if err != nil || !slices.Equal(extents, again) {
			t.Fatalf("%v became %v, %v", extents, again, err)
		}
	})
}

// FuzzParseRef reads references, in zones of all kinds, and selects by them.
func FuzzParseRef(f *testing.F) {
	zones := []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Monrovia"}
	for i, s := range []string{"latest", "latest@2026-03-01", "latest@2018-11-03", "latest@2009-10-31 23:59:59", "latest@2026-01-01T00:00:00.5+14:00", "latest@20260102T030405Z", "20260102", "2026-",
		"20260102T030405Z-aaaa", "latest@0000-01-01", "latest@9999-12-31T23:59:59Z"} {
		f.Add(s, byte(i))
	}
	var locs []*time.Location
	for _, name := range zones {
		loc, err := time.LoadLocation(name)
		if err != nil {
			f.Fatal(err)
		}
		locs = append(locs, loc)
	}
	ids := append(everyMinute("20260101T000000Z", 3), id("20181104T013000Z", "b"), id("00000101T000000Z", "c"), id("99991231T235959Z", "d"))
	f.Fuzz(func(t *testing.T, s string, zone byte) {
		loc := locs[int(zone)%len(locs)]
		ref, err := manifest.ParseRef(s, loc)
		if err != nil {
			if ref != (manifest.Ref{}) {
				t.Fatalf("%q: a reference with error %v", s, err)
			}
			return
		}
		if ref.String() != s {
			t.Fatalf("%q became %q", s, ref)
		}
		got, _, err := ref.Select(ids, any1)
		var ambiguous *manifest.AmbiguousError
		switch {
		case errors.As(err, &ambiguous):
			for _, id := range ambiguous.IDs {
				if !strings.HasPrefix(id.String(), s) {
					t.Fatalf("%q fits %s", s, id)
				}
			}
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			t.Fatal(err)
		case ref.IsLatest():
			date, ok := strings.CutPrefix(s, "latest@")
			if _, err := time.Parse(time.DateOnly, date); ok && err == nil {
				if local := got.Stamp.Time().In(loc).Format(time.DateOnly); local > date {
					t.Fatalf("%q in %s is %s, which is %s there", s, loc, got, local)
				}
			}
		case !strings.HasPrefix(got.String(), s):
			t.Fatalf("%q is %s", s, got)
		}
	})
}

// FuzzTimestamp: there is one way to write a time.
func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"0.000000000", "-0.500000000", "1795378500.123456789", "9223372036.854775807", "-9223372036.854775808", "-0.000000000", "+1.000000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var n manifest.Timestamp
		if err := n.UnmarshalText([]byte(s)); err != nil {
			if n != 0 || !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("%d with error %v", n, err)
			}
			return
		}
		if text, err := n.MarshalText(); err != nil || string(text) != s {
			t.Fatalf("%q is written %q, %v", s, text, err)
		}
		if manifest.TimestampOf(n.Time()) != n {
			t.Fatalf("%q as a time is %s", s, n.Time())
		}
	})
}

// FuzzParseID: there is one way to write an ID.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{expand("20260102T030405Z-#a"), expand("20260102T030405Z-#0"), "20260102T030405Z-", "-", expand("00000101T000000Z-#f"), expand("20260102T030405Z-#a") + "-", expand("20261302T030405Z-#a")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := manifest.ParseID(s)
		if err != nil {
			if id != (manifest.ID{}) {
				t.Fatalf("%q: %+v with error %v", s, id, err)
			}
			return
		}
		if id.String() != s || manifest.StampOf(id.Stamp.Time()) != id.Stamp {
			t.Fatalf("%q became %q", s, id)
		}
	})
}

// FuzzArchives reads the bytes as the one piece of an archives table. What is taken can be read by extents without a bound being passed.
func FuzzArchives(f *testing.F) {
	good := describe(hashOf("one"), 3<<20)
	line, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte(`{"archives":[]}`+"\n"), append(line, '\n')...))
	f.Add([]byte(expand(`{"archives":[]}` + "\n" + `{"sha256":"#a","size":4294967296,"length":1,"frames":[4294967296],"index":[0,0,"#0"]}` + "\n")))
	f.Add([]byte(expand(`{"archives":[]}` + "\n" + `{"sha256":"#a","size":9223372036854775807,"length":2097152,"frames":[9223372036854775807,9223372036854775807],"index":[1,9223372036854775807,"#0"]}` + "\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHead()
		h.Roots = []manifest.Archive{describe(hashOf("root"), int64(len(data))+1)}
		h.Archives.Pieces = []manifest.PieceRef{{First: firstHash(data), Len: int64(len(data)), SHA256: manifest.HashOf(data)}}
		fetch := func(manifest.Hash, int64, int64) ([]byte, error) { return data, nil }
		archives, err := h.ArchivesOf(0, fetch)
		if err != nil {
			if archives != nil || !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("%v with error %v", archives, err)
			}
			return
		}
		last := ""
		for _, a := range archives {
			sum := int64(0)
			for _, n := range a.Frames {
				if sum += n; n < 1 || n > manifest.MaxFrame || sum > manifest.MaxArchive {
					t.Fatalf("%+v", a)
				}
			}
			if sum != a.Size || a.Length > manifest.MaxArchive || a.Length > int64(len(a.Frames))*manifest.FrameSize || a.Contains(a.Index.Off, a.Index.Len) != nil || last >= a.SHA256.String() {
				t.Fatalf("%+v after %s", a, last)
			}
			last = a.SHA256.String()
		}
	})
}

// firstHash returns the hash in the first table line of a piece, read without care.
func firstHash(piece []byte) string {
	_, lines, _ := bytes.Cut(piece, []byte("\n"))
	first, _, _ := bytes.Cut(lines, []byte("\n"))
	var l struct{ SHA256 string }
	if json.Unmarshal(first, &l) != nil {
		return ""
	}
	return l.SHA256
}
