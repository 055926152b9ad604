package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"lifeboat/manifest"
)

const validArchives = `{"archives":[]}
{"sha256":"#a","size":500,"length":1048577,"frames":[400,100],"index":[4096,48,"#5"]}
{"sha256":"#b","size":600,"length":1400,"frames":[600],"index":[1024,376,"#4"],"data":800}
`

func forgeArchives(s *store, pieces ...string) *manifest.Head {
	h := newHead()
	for _, piece := range pieces {
		data := []byte(expand(piece))
		_, first, _ := strings.Cut(string(data), `{"sha256":"`)
		first, _, _ = strings.Cut(first, `"`)
		archive, off := s.put(data)
		h.Archives.Pieces = append(h.Archives.Pieces, manifest.PieceRef{First: first, Archive: archive, Off: off, Len: int64(len(data)), SHA256: manifest.HashOf(data)})
	}
	h.Archives.Count, h.Archives.Bytes = 2, 1100
	h.Roots = s.roots()
	return h
}

func readArchives(h *manifest.Head, s *store) error {
	for _, err := range h.AllArchives(s.Fetch) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAllArchivesRefuses(t *testing.T) {
	s := new(store)
	if err := readArchives(forgeArchives(s, validArchives), s); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(validArchives, "\n")
	for _, tt := range []struct{ name, old, new, names string }{
		{"no lines", lines[1] + lines[2], ``, `no lines`},
		{"no newline", `"data":800}` + "\n", `"data":800}`, `newline`},
		{"no first line", lines[0], ``, `no archives`},
		{"key twice", `"size":600`, `"size":600,"size":600`, `line 3: invalid manifest: key "size" occurs twice`},
		{"upper-case key", `"size":600`, `"Size":600`, `"Size"`},
		{"null", `"data":800`, `"data":null`, `null`},
		{"float", `"data":800`, `"data":800.5`, `800.5`},
		{"exponent", `"data":800`, `"data":8e2`, `8e2`},
		{"no hash", `"sha256":"#b",`, ``, `without sha256`},
		{"hash of zeros", `"sha256":"#b",`, `"sha256":"#0",`, `without sha256`},
		{"no size", `"size":600,`, ``, `size 0`},
		{"size too large", `"size":600,"length":1400,"frames":[600]`, `"size":4294967297,"length":1400,"frames":[4294967297]`, `bbbb: size 4294967297`},
		{"negative size", `"size":600`, `"size":-600`, `-600`},
		{"no length", `"length":1400,`, ``, `length 0`},
		{"length too large", `"length":1400`, `"length":4294967297`, `4294967297`},
		{"frames for another length", `"length":1048577`, `"length":1048576`, `aaaa: 2 frames`},
		{"frames too small", `[400,100]`, `[400,99]`, `aaaa: frames do not add up to 500`},
		{"frames too large", `[400,100]`, `[400,101]`, `aaaa: frames`},
		{"empty frame", `[400,100]`, `[500,0]`, `aaaa: frames`},
		{"index outside", `[4096,48,"#5"]`, `[1048530,48,"#5"]`, `aaaa: index`},
		{"index far outside", `[4096,48,"#5"]`, `[9223372036854775807,9223372036854775807,"#5"]`, `aaaa: index`},
		{"data beyond length", `"data":800`, `"data":1401`, `bbbb: 1401 bytes of data`},
		{"out of order", lines[1] + lines[2], lines[2] + lines[1], `aaaa`},
		{"twice", lines[2], lines[1], `out of order`},
		{"a line less", lines[2], ``, `1 lines of 500 bytes, the head says 2 of 1100`},
		{"other size", `"size":600,"length":1400,"frames":[600]`, `"size":601,"length":1400,"frames":[601]`, `2 lines of 1101 bytes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(store)
			checkInvalid(t, readArchives(forgeArchives(s, replace(t, validArchives, tt.old, tt.new)), s), tt.names)
		})
	}
	a, b := lines[0]+lines[1], lines[0]+lines[2]
	if err := readArchives(forgeArchives(s, a, b), s); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*manifest.Head{"exchanged": forgeArchives(s, b, a), "the first twice": forgeArchives(s, a, a), "one of two": forgeArchives(s, a)} {
		if err := readArchives(h, s); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("two pieces, %s: %v", name, err)
		}
	}
	h := forgeArchives(s, a, b)
	h.Archives.Pieces[1].First = hex("c").String()
	checkInvalid(t, readArchives(h, s), `"cccc`)
	// A line that FindArchivePiece would look for in another piece.
	h = forgeArchives(s, lines[0]+lines[1]+replace(t, lines[2], "#b", "#d"), b)
	_, err := h.ArchivesOf(0, s.Fetch)
	checkInvalid(t, err, `out of order`)
}

func TestParseMapRefuses(t *testing.T) {
	const span = 5<<20 + 1<<20 + 9
	const valid = `{"archives":["#c","#a"]}` + "\n" + `{"extents":[[0,512,1048576],[-1,0,5242880],[1,0,1],[0,9,8]]}` + "\n"
	if _, err := manifest.ParseMap([]byte(expand(valid)), span); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, names string }{
		{"nothing", valid, ``, `newline`},
		{"a newline", valid, "\n", `no lines`},
		{"one line", `{"extents":[[0,512,1048576],[-1,0,5242880],[1,0,1],[0,9,8]]}` + "\n", ``, `no lines`},
		{"three lines", `[0,9,8]]}` + "\n", `[0,9,8]]}` + "\n{}\n", `3 lines`},
		{"no newline", `[0,9,8]]}` + "\n", `[0,9,8]]}`, `newline`},
		{"no archives", `{"archives":["#c","#a"]}`, `{}`, `archives`},
		{"no extents", `"extents"`, `"extent"`, `missing`},
		{"key twice", `"extents":`, `"extents":[],"extents":`, `"extents" occurs twice`},
		{"null", `[[0,512,1048576]`, `[null,[0,512,1048576]`, `null`},
		{"float", `[0,9,8]`, `[0,9,8.0]`, `8.0`},
		{"archive 2", `[0,9,8]`, `[2,9,8]`, `archive 2 of 2`},
		{"archive -2", `[0,9,8]`, `[-2,9,8]`, `archive -2`},
		{"zeros at a place", `[-1,0,5242880]`, `[-1,1,5242880]`, `zeros at 1`},
		{"extent of nothing", `[0,9,8]`, `[0,9,8],[0,9,0]`, `0 bytes`},
		{"long extent", `[0,512,1048576],[-1,0,5242880],[1,0,1]`, `[0,512,1048577],[-1,0,5242880]`, `1048577`},
		{"outside any archive", `[0,9,8]`, `[0,4294967289,8]`, `4294967289`},
		{"too short", `[0,9,8]`, `[0,9,7]`, `1 are missing`},
		{"too long", `[0,9,8]`, `[0,9,9]`, `to more`},
		{"overflow", `[-1,0,5242880]`, `[-1,0,9223372036854775807],[-1,0,9223372036854775807],[-1,0,5242882]`, `to more`},
		{"nested", `[0,9,8]`, `[[0],9,8]`, `integer`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.ParseMap([]byte(expand(replace(t, valid, tt.old, tt.new))), span)
			checkInvalid(t, err, tt.names)
		})
	}
	_, err := manifest.ParseMap(make([]byte, manifest.MaxPiece+1), span)
	checkInvalid(t, err, "16777217")
}

func TestEncodeMapRefuses(t *testing.T) {
	for name, extents := range map[string][]manifest.Extent{
		"no extents":         nil,
		"more than 16777216": {{Len: manifest.MapSpan}, {Len: 1}},
		"16777216 bytes":     {{Len: 1<<63 - 1}, {Len: 1<<63 - 1}},
		"zeros at 1":         {{Off: 1, Len: 1}},
		"0 bytes":            {{Archive: hex("a")}},
		"1048577":            {{Archive: hex("a"), Len: manifest.MaxExtent + 1}},
	} {
		_, err := manifest.EncodeMap(extents)
		checkInvalid(t, err, name)
	}
}

func TestAddArchiveRefuses(t *testing.T) {
	w := manifest.NewArchiveTable(func(string, []byte) error { return nil })
	a := describe(hex("b"), 5000)
	if err := w.AddArchive(&a); err != nil {
		t.Fatal(err)
	}
	if err := w.AddArchive(&a); err == nil {
		t.Error("an archive was added twice")
	}
	before := describe(hex("a"), 5000)
	if err := w.AddArchive(&before); err == nil {
		t.Error("an archive was added out of order")
	}
	wrong := describe(hex("c"), 5000)
	wrong.Size++
	checkInvalid(t, w.AddArchive(&wrong), "cccc")
	if w.Count != 1 || w.Bytes != a.Size {
		t.Errorf("%d archives of %d bytes, want 1 of %d", w.Count, w.Bytes, a.Size)
	}
}

func TestContains(t *testing.T) {
	a := describe(hex("a"), 5000)
	const most = 1<<63 - 1
	for _, tt := range []struct {
		off, n int64
		ok     bool
	}{{0, 5000, true}, {5000, 0, true}, {4999, 1, true}, {0, 0, true}, {0, 5001, false}, {5000, 1, false}, {5001, 0, false}, {-1, 1, false}, {0, -1, false},
		{most, 1, false}, {1, most, false}, {most, most, false}} {
		if err := a.Contains(tt.off, tt.n); (err == nil) != tt.ok {
			t.Errorf("%d bytes at %d: %v", tt.n, tt.off, err)
		} else if err != nil {
			checkInvalid(t, err, "aaaa")
		}
	}
}
