package manifest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/manifest"
)

const archivesLine = `{"archives":["#a","#b"]}`

// A valid table: a source that is one file, and a directory.
const validFiles = `{"path":"conf/app.json","type":"file","mode":"0600","uid":0,"gid":0,"mtime":"1.000000000","size":20,"sha256":"#1","chunk":65536,"extents":[[0,512,20]]}
{"path":"data","type":"directory","mode":"0755","mtime":"1.000000000"}
{"path":"data/a","type":"file","mtime":"1.000000000","size":100,"sha256":"#2","links":2,"chunk":4096,"extents":[[1,1024,60],[-1,0,40]]}
{"path":"data/b","type":"directory","mtime":"1.000000000"}
{"path":"data/b/big","type":"file","mtime":"1.000000000","size":16777217,"sha256":"#3","chunk":65536,"maps":[[0,2048,300,"#4"],[1,2048,99,"#5"]]}
{"path":"data/b/empty","type":"file","mtime":"1.000000000","size":0,"sha256":"#6"}
{"path":"data/b/hard","type":"hardlink","link":"data/a"}
{"path":"data/c.db","type":"file","mtime":"1.000000000","size":4096,"sha256":"#7","xattrs":[["user.a",""],["user.b","AA=="]],"chunk":4096,"extents":[[1,4096,4096]],"sqlite":{"page_size":4096,"pages":1,"tables":[["t",1]]}}
{"path":"data/l","type":"symlink","mode":"0777","mtime":"1.000000000","link":"a"}
{"path":"data/` + "\uFFFD" + `","raw":"ZGF0YS//","type":"symlink","mtime":"1.000000000","link":"` + "\uFFFD" + `","raw_link":"/w=="}
`

// forge stores pieces as they are, and returns a head that lists them, with the sources of validFiles.
func forge(s *store, pieces ...string) *manifest.Head {
	h := newHead()
	level := manifest.Stable
	h.Sources = []manifest.Source{
		{Name: "conf", Type: manifest.FileSource, Root: "/c", Consistency: level, Files: 1, Bytes: 20},
		{Name: "data", Type: manifest.DirectorySource, Root: "/d", Consistency: level, Files: 9, Bytes: 100 + 16777217 + 4096, Databases: 1},
	}
	h.Files = manifest.Table{Count: 10, Bytes: 20 + 100 + 16777217 + 4096}
	for _, piece := range pieces {
		first, _, _ := strings.Cut(piece, "\n")
		rest := strings.TrimPrefix(piece, first+"\n")
		path, _, _ := strings.Cut(strings.TrimPrefix(rest, `{"path":"`), `"`)
		data := []byte(expand(piece))
		archive, off := s.put(data)
		h.Files.Pieces = append(h.Files.Pieces, manifest.PieceRef{First: path, Archive: archive, Off: off, Len: int64(len(data)), SHA256: manifest.HashOf(data)})
	}
	h.Roots = s.roots()
	return h
}

func readAll(h *manifest.Head, s *store) ([]*manifest.File, error) {
	var files []*manifest.File
	for f, err := range h.AllFiles(s.Fetch) {
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// Each change of a valid table breaks one rule of docs/format.md. The counts in the head are those of the valid table, so
// changes that would show in them keep them.
func TestAllFilesRefuses(t *testing.T) {
	valid := archivesLine + "\n" + validFiles
	s := new(store)
	if _, err := readAll(forge(s, valid), s); err != nil {
		t.Fatal(err)
	}
	const (
		conf  = `{"path":"conf/app.json","type":"file","mode":"0600","uid":0,"gid":0,"mtime":"1.000000000","size":20,"sha256":"#1","chunk":65536,"extents":[[0,512,20]]}` + "\n"
		empty = `{"path":"data/b/empty","type":"file","mtime":"1.000000000","size":0,"sha256":"#6"}`
		hard  = `{"path":"data/b/hard","type":"hardlink","link":"data/a"}`
		link  = `{"path":"data/l","type":"symlink","mode":"0777","mtime":"1.000000000","link":"a"}`
		maps  = `"maps":[[0,2048,300,"#4"],[1,2048,99,"#5"]]`
	)
	// Other things at the place of data/b/empty.
	file := func(path string) string { return replace(t, empty, "data/b/empty", path) }
	for _, tt := range []struct{ name, old, new, names string }{
		// The piece, and the archives in its first line.
		{"no newline at the end", `"raw_link":"/w=="}` + "\n", `"raw_link":"/w=="}`, `newline`},
		{"no lines", validFiles, ``, `no lines`},
		{"no first line", archivesLine + "\n", "", `no archives`},
		{"first line of nothing", archivesLine, `{}`, `no archives`},
		{"archive of zeros", `"#b"]`, `"#0"]`, `archive of zeros`},
		{"archive that is no hash", `"#b"]`, `"b"]`, `"b" is not a SHA-256`},
		{"archives null", `["#a","#b"]`, `null`, `null`},
		{"white line", empty + "\n", empty + "\n\n", `line 8`},
		{"no JSON", empty, `{"path":"data/b/empty","type":"file"`, `line 7`},
		{"two on a line", empty, empty + empty, `line 7`},
		{"not UTF-8", `"data/l"`, "\"data/\xff\"", `UTF-8`},
		{"half a character", `"link":"a"`, `"link":"\udc00"`, `\udc00`},

		// Keys and numbers.
		{"key twice", `"size":20,`, `"size":20,"size":20,`, `"size" occurs twice`},
		{"upper-case key", `"links":2`, `"Links":2`, `"Links"`},
		{"null", `"uid":0`, `"uid":null`, `null`},
		{"float", `"size":20,`, `"size":20.0,`, `20.0`},
		{"exponent", `"size":20,`, `"size":2e1,`, `2e1`},
		{"float in an extent", `[[0,512,20]]`, `[[0,512.0,20]]`, `512.0`},
		{"nested", `"mode":"0777"`, `"x":` + strings.Repeat(`[`, 17) + strings.Repeat(`]`, 17), `deep`},
		{"many keys", `"mode":"0777",`, manyKeys(100_000), `more than 64`},
		{"uid beyond 32 bits", `"uid":0`, `"uid":4294967296`, `4294967296`},
		{"uid that stands for none", `"uid":0`, `"uid":4294967295`, `uid 4294967295`},
		{"negative uid", `"uid":0`, `"uid":-1`, `-1`},
		{"uid alone", `"uid":0,"gid":0,`, `"uid":0,`, `"conf/app.json": only one of uid and gid`},
		{"mode of five digits", `"0600"`, `"00600"`, `"00600"`},
		{"mode of three digits", `"0600"`, `"600"`, `"600"`},
		{"mode beyond octal", `"0600"`, `"0680"`, `"0680"`},
		{"mode too large", `"0600"`, `"10600"`, `"10600"`},
		{"mode with sign", `"0600"`, `"+600"`, `"+600"`},
		{"time without point", `"path":"conf/app.json","type":"file","mode":"0600","uid":0,"gid":0,"mtime":"1.000000000"`, `"path":"conf/app.json","type":"file","mtime":"1"`, `time "1"`},
		{"time too long", empty, replace(t, empty, `"1.000000000"`, `"1.0000000000"`), `1.0000000000`},
		{"time with sign", empty, replace(t, empty, `"1.000000000"`, `"+1.000000000"`), `+1.000000000`},
		{"time with a leading zero", empty, replace(t, empty, `"1.000000000"`, `"01.000000000"`), `01.000000000`},
		{"time of minus zero", empty, replace(t, empty, `"1.000000000"`, `"-0.000000000"`), `-0.000000000`},
		{"time that is a number", empty, replace(t, empty, `"1.000000000"`, `1`), `line 7`},
		{"time too far", empty, replace(t, empty, `"1.000000000"`, `"9223372036.854775808"`), `9223372036.854775808`},
		{"hash in upper case", `"#1"`, `"` + strings.Repeat("A", 64) + `"`, `AAAA`},

		// What belongs to which type.
		{"no type", `"type":"symlink","mode":"0777",`, ``, `"data/l": unknown type ""`},
		{"unknown type", `"type":"symlink","mode":"0777",`, `"type":"fifo",`, `"fifo"`},
		{"file without size", `"size":0,`, ``, `"data/b/empty": size`},
		{"file without digest", `"size":0,"sha256":"#6"`, `"size":0`, `"data/b/empty": size`},
		{"directory with size", `"data/b","type":"directory"`, `"data/b","type":"directory","size":0`, `"data/b": size`},
		{"symlink with digest", `"mode":"0777"`, `"sha256":"#6"`, `"data/l": size`},
		{"symlink with extents", `"mode":"0777"`, `"extents":[[0,512,1]],"chunk":4096`, `"data/l": a symlink has no content`},
		{"directory with maps", `"data/b","type":"directory"`, `"data/b","type":"directory",` + maps, `"data/b": a directory has no content`},
		{"directory with facts", `"data/b","type":"directory"`, `"data/b","type":"directory","sqlite":{}`, `"data/b": a directory has no content`},
		{"symlink to nothing", `"mode":"0777","mtime":"1.000000000","link":"a"`, `"mtime":"1.000000000"`, `"data/l": link`},
		{"symlink with NUL", `"link":"a"`, `"link":"a\u0000b"`, `"data/l": link`},
		{"symlink too long", `"link":"a"`, `"link":"` + strings.Repeat("a", 32<<10+1) + `"`, `"data/l": link`},
		{"file with link", `"size":0,`, `"size":0,"link":"x",`, `"data/b/empty": link`},
		{"directory with link", `"data/b","type":"directory"`, `"data/b","type":"directory","link":"x"`, `"data/b": link`},
		{"one name counted", `"links":2`, `"links":1`, `"data/a": links`},
		{"negative links", `"links":2`, `"links":-2`, `"data/a": links`},
		{"directory with links", `"data/b","type":"directory"`, `"data/b","type":"directory","links":2`, `"data/b": links`},
		{"unknown mark", `"mode":"0777"`, `"marked":"lost"`, `"lost"`},
		{"chunk without extents", `"size":0,`, `"size":0,"chunk":4096,`, `"data/b/empty": chunk`},
		{"extents without chunk", `"chunk":65536,"extents"`, `"extents"`, `"conf/app.json": chunk`},
		{"maps without chunk", `"chunk":65536,"maps"`, `"maps"`, `"data/b/big": chunk`},
		{"negative chunk", `"chunk":65536,"extents"`, `"chunk":-1,"extents"`, `"conf/app.json": chunk`},
		{"huge chunk", `"chunk":65536,"extents"`, `"chunk":1048577,"extents"`, `"conf/app.json": chunk`},
		{"hardlink with mode", hard, replace(t, hard, `"link"`, `"mode":"0644","link"`), `"data/b/hard": a hardlink has no metadata`},
		{"hardlink with time", hard, replace(t, hard, `"link"`, `"mtime":"1.000000000","link"`), `"data/b/hard"`},
		{"hardlink with owner", hard, replace(t, hard, `"link"`, `"uid":0,"gid":0,"link"`), `"data/b/hard"`},
		{"hardlink with user", hard, replace(t, hard, `"link"`, `"user":"x","link"`), `"data/b/hard"`},
		{"hardlink with attributes", hard, replace(t, hard, `"link"`, `"xattrs":[["a",""]],"link"`), `"data/b/hard"`},
		{"hardlink with mark", hard, replace(t, hard, `"link"`, `"marked":"grew","link"`), `"data/b/hard"`},
		{"hardlink with size", hard, replace(t, hard, `"link"`, `"size":0,"sha256":"#6","link"`), `"data/b/hard"`},
		{"too many xattrs", `["user.a",""]`, manyXattrs(manifest.MaxXattrs), `"data/c.db": invalid`},
		{"xattrs that are too large", `["user.b","AA=="]`, `["user.b","` + strings.Repeat("AAAA", manifest.MaxXattrBytes/3) + `"]`, `"data/c.db": invalid`},
		{"xattrs out of order", `["user.a",""],["user.b","AA=="]`, `["user.b","AA=="],["user.a",""]`, `"data/c.db": invalid`},
		{"xattr twice", `["user.a",""]`, `["user.b",""]`, `"user.b"`},
		{"xattr without name", `["user.a",""]`, `["",""]`, `xattr ""`},
		{"xattr with NUL", `["user.a",""]`, `["user\u0000a",""]`, `xattr "user\x00a"`},
		{"xattr without value", `["user.a",""]`, `["user.a"]`, `1 values`},
		{"xattr of other letters", `"AA=="`, `"A-=="`, `base64`},
		{"unknown integrity", `"page_size":4096`, `"page_size":4096,"integrity":"fine"`, `"fine"`},
		{"negative page size", `"page_size":4096`, `"page_size":-4096`, `"data/c.db"`},
		{"negative pages", `"pages":1`, `"pages":-1`, `"data/c.db"`},
		{"negative foreign keys", `"pages":1`, `"foreign_keys":-1`, `"data/c.db"`},
		{"negative rows", `["t",1]`, `["t",-1]`, `table "t"`},

		// Extents and maps.
		{"extent of archive 2", `[[0,512,20]]`, `[[2,512,20]]`, `archive 2 of 2`},
		{"extent of archive -2", `[[0,512,20]]`, `[[-2,0,20]]`, `archive -2`},
		{"zeros at a place", `[[0,512,20]]`, `[[-1,512,20]]`, `zeros at 512`},
		{"extent of nothing", `[[0,512,20]]`, `[[0,512,20],[0,600,0]]`, `"conf/app.json": invalid manifest: extent of 0 bytes`},
		{"zeros of nothing", `[[0,512,20]]`, `[[0,512,20],[-1,0,0]]`, `extent of 0 bytes`},
		{"negative extent", `[[0,512,20]]`, `[[0,512,10],[0,600,-10],[0,600,20]]`, `extent of -10 bytes`},
		{"negative offset", `[[0,512,20]]`, `[[0,-512,20]]`, `at -512`},
		{"extent outside any archive", `[[0,512,20]]`, `[[0,4294967277,20]]`, `4294967277`},
		{"extent far outside", `[[0,512,20]]`, `[[0,9223372036854775807,20]]`, `9223372036854775807`},
		{"offset beyond 64 bits", `[[0,512,20]]`, `[[0,9223372036854775808,20]]`, `integer`},
		{"long extent", `"size":20,"sha256":"#1","chunk":65536,"extents":[[0,512,20]]`, `"size":1048577,"sha256":"#1","chunk":65536,"extents":[[0,512,1048577]]`, `1048577 bytes, more than 1048576`},
		{"extents too short", `[[0,512,20]]`, `[[0,512,19]]`, `"conf/app.json": invalid manifest: extents do not add up to 20 bytes`},
		{"extents too long", `[[0,512,20]]`, `[[0,512,21]]`, `do not add up`},
		{"no extents", `"chunk":65536,"extents":[[0,512,20]]`, `"marked":"grew"`, `do not add up`},
		{"extents overflow", `[-1,0,40]`, `[-1,0,9223372036854775807],[-1,0,9223372036854775807],[-1,0,42]`, `"data/a": invalid manifest: extents do not add up`},
		{"extent of two", `[[0,512,20]]`, `[[0,512]]`, `','`},
		{"extent of four", `[[0,512,20]]`, `[[0,512,20,1]]`, `']'`},
		{"extent of text", `[[0,512,20]]`, `[["0",512,20]]`, `integer`},
		{"extent is no list", `[[0,512,20]]`, `[0,512,20]`, `'['`},
		{"extents are no list", `[[0,512,20]]`, `20`, `'['`},
		{"too many extents", `"size":20,"sha256":"#1","chunk":65536,"extents":[[0,512,20]]`,
			`"size":1025,"sha256":"#1","chunk":65536,"extents":[` + strings.Repeat(`[0,512,1],`, 1024) + `[0,512,1]]`, `"conf/app.json": 1025 extents, more than 1024`},
		{"extents and maps", `"chunk":65536,"maps"`, `"chunk":65536,"extents":[[-1,0,16777217]],"maps"`, `"data/b/big": invalid manifest: both`},
		{"maps too few", maps, `"maps":[[0,2048,300,"#4"]]`, `1 maps do not cover 16777217`},
		{"maps too many", maps, `"maps":[[0,2048,300,"#4"],[1,2048,99,"#5"],[1,3072,99,"#5"]]`, `3 maps`},
		{"map of an empty file", `"size":0,"sha256":"#6"`, `"size":0,"sha256":"#6","chunk":65536,"maps":[[0,512,1,"#4"]]`, `1 maps do not cover 0`},
		{"map in zeros", `[1,2048,99,"#5"]`, `[-1,0,99,"#5"]`, `map 1`},
		{"map of archive 2", `[1,2048,99,"#5"]`, `[2,2048,99,"#5"]`, `archive 2`},
		{"map of nothing", `[1,2048,99,"#5"]`, `[1,2048,0,"#5"]`, `0 bytes`},
		{"map too long", `[1,2048,99,"#5"]`, `[1,2048,16777217,"#5"]`, `16777217`},
		{"map outside any archive", `[1,2048,99,"#5"]`, `[1,4294967296,99,"#5"]`, `4294967296`},
		{"map without digest", `[1,2048,99,"#5"]`, `[1,2048,99]`, `','`},
		{"map with half a digest", `[1,2048,99,"#5"]`, `[1,2048,99,"55"]`, `"55" is not a SHA-256`},
		{"map with an escaped digest", `[1,2048,99,"#5"]`, `[1,2048,99,"\u0035` + strings.Repeat("5", 63) + `"]`, `is not a SHA-256`},
		{"negative size", `"size":0,`, `"size":-1,`, `size -1`},
		{"size beyond 64 bits", `"size":0,`, `"size":9223372036854775808,`, `9223372036854775808`},

		// Paths.
		{"empty path", empty, file(``), `empty path`},
		{"absolute path", empty, file(`/data/b/empty`), `"/data/b/empty"`},
		{"path upwards", empty, file(`data/b/../d`), `"data/b/../d"`},
		{"path upwards at the end", empty, file(`data/b/..`), `".."`},
		{"path here", empty, file(`data/b/./e`), `"."`},
		{"empty component", empty, file(`data/b//e`), `"data/b//e" has a component ""`},
		{"slash at the end", empty, file(`data/b/e/`), `"data/b/e/"`},
		{"NUL", empty, file(`data/b/e\u0000`), `NUL`},
		{"path too long", empty, file(`data/b/` + strings.Repeat("e", 32<<10)), `path of 32775 bytes`},
		{"path too long, deep", empty, file(`data/b` + strings.Repeat("/e", 16<<10)), `path of 32774 bytes`},
		{"raw path upwards", `"raw":"ZGF0YS//"`, `"raw":"ZGF0YS8uLi//"`, `".."`},
		{"raw that is UTF-8", `"raw":"ZGF0YS//"`, `"raw":"ZGF0YS/Drg=="`, `UTF-8`},
		{"raw link that is UTF-8", `"raw_link":"/w=="`, `"raw_link":"YQ=="`, `UTF-8`},
		{"out of order", empty, file(`data/b/a`), `"data/b/a" is out of order`},
		{"out of order by components", empty + "\n" + hard, replace(t, hard, "data/b/hard", "data/b.hard") + "\n" + file(`data/b/z`), `"data/b/z" is out of order`},
		{"twice", empty, file(`data/b/big`), `"data/b/big" is out of order`},
		{"below a file", empty, file(`data/b/big/e`), `"data/b/big/e": its parent`},
		{"below a symlink", `{"path":"data/` + "\uFFFD" + `","raw":"ZGF0YS//",`, `{"path":"data/l/x",`, `"data/l/x": its parent`},
		{"below a hardlink", empty + "\n" + hard, hard + "\n" + file(`data/b/hard/e`), `"data/b/hard/e": its parent`},
		{"no parent", empty, file(`data/b/d/e`), `"data/b/d/e": its parent`},
		{"source that is not listed", `"raw_link":"/w=="}` + "\n", `"raw_link":"/w=="}` + "\n" + file(`other/e`) + "\n", `"other/e": its source`},
		{"source before", conf, replace(t, conf, "conf/app.json", "boot/app.json"), `"boot/app.json": its source`},
		{"source of no files", conf, ``, `"data": its source`},
		{"last source of no files", strings.TrimPrefix(validFiles, conf), ``, `source "data" has no files`},
		{"source that comes back", `"path":"data/l",`, `"path":"conf/l",`, `out of order`},
		{"no root", `{"path":"data","type":"directory","mode":"0755","mtime":"1.000000000"}` + "\n", ``, `"data/a": its parent`},
		{"root is a file", `{"path":"data","type":"directory","mode":"0755","mtime":"1.000000000"}`, file(`data`), `"data": the root`},
		{"root is a symlink", `{"path":"data","type":"directory","mode":"0755","mtime":"1.000000000"}`, replace(t, link, "data/l", "data"), `"data": the root`},
		{"single file without name", `"conf/app.json"`, `"conf"`, `"conf": a source of type file`},
		{"single file below", `"conf/app.json"`, `"conf/a/b"`, `"conf/a/b": a source of type file`},
		{"single file is a directory", conf, `{"path":"conf/app.json","type":"directory"}` + "\n", `"conf/app.json": a source of type file`},
		{"single file is a symlink", conf, replace(t, link, "data/l", "conf/l") + "\n", `"conf/l": a source of type file`},
		{"two lines in a single file", conf, conf + file(`conf/b`) + "\n", `source "conf" has 2 files`},

		// Hardlinks.
		{"hardlink to a later file", `"data/a"}` + "\n" + `{"path":"data/c.db",`, `"data/c.db"}` + "\n" + `{"path":"data/c.db","links":2,`, `"data/b/hard": a hardlink to "data/c.db"`},
		{"hardlink to itself", hard, replace(t, hard, `"data/a"`, `"data/b/hard"`), `"data/b/hard"`},
		{"hardlink to a file of one name", hard, replace(t, hard, `"data/a"`, `"data/b/big"`), `"data/b/big"`},
		{"hardlink to a directory", hard, replace(t, hard, `"data/a"`, `"data/b"`), `"data/b"`},
		{"hardlink to a symlink", empty + "\n" + hard, replace(t, link, `data/l`, `data/b/e`) + "\n" + replace(t, hard, `data/a`, `data/b/e`), `"data/b/e"`},
		{"hardlink to a hardlink", empty + "\n" + hard, replace(t, hard, `data/b/hard`, `data/b/e`) + "\n" + replace(t, hard, `data/a`, `data/b/e`), `"data/b/e"`},
		{"hardlink to nothing", hard, replace(t, hard, `"data/a"`, `"data/A"`), `"data/A"`},
		{"hardlink outside", hard, replace(t, hard, `"data/a"`, `"../data/a"`), `"../data/a"`},
		{"hardlink without link", hard, `{"path":"data/b/hard","type":"hardlink"}`, `"data/b/hard": link`},
		{"the first name has no links", `"links":2,`, ``, `"data/a"`},

		// Counts.
		{"a line less", empty + "\n", ``, `source "data" has 8 files`},
		{"a line more", empty, empty + "\n" + file(`data/b/f`), `source "data" has 10 files`},
		{"fewer bytes", `"size":20,"sha256":"#1","chunk":65536,"extents":[[0,512,20]]`, `"size":19,"sha256":"#1","chunk":65536,"extents":[[0,512,19]]`, `19 bytes`},
		{"fewer databases", `,"sqlite":{"page_size":4096,"pages":1,"tables":[["t",1]]}`, ``, `0 databases`},
		{"sums overflow", `"size":0,"sha256":"#6"`, `"size":9223372036854775807,"sha256":"#6","chunk":65536,"extents":[[-1,0,9223372036854775807]]`, `"data/b/empty": sizes sum up`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(store)
			_, err := readAll(forge(s, replace(t, valid, tt.old, tt.new)), s)
			checkInvalid(t, err, tt.names)
		})
	}
}

// What was seen of one directory says nothing about the next one.
func TestSourcesAreApart(t *testing.T) {
	read := func(files []*manifest.File) error {
		s := new(store)
		h := s.snapshot(t, files, nil)
		_, err := readAll(h, s)
		return err
	}
	dir := func(path string) *manifest.File {
		return &manifest.File{Path: path, Type: manifest.Directory, UID: -1, GID: -1}
	}
	first := []*manifest.File{dir("alpha"), dir("alpha/b"), dir("alpha/b/c"),
		{Path: "alpha/b/c/d", Type: manifest.Regular, UID: -1, GID: -1, Links: 2}}
	hard := func(to string) *manifest.File {
		return &manifest.File{Path: "z/h", Type: manifest.Hardlink, UID: -1, GID: -1, Link: to}
	}
	named := &manifest.File{Path: "z/d", Type: manifest.Regular, UID: -1, GID: -1, Links: 2}
	if err := read(append(slices.Clone(first), dir("z"), named, hard("z/d"))); err != nil {
		t.Fatal(err)
	}
	checkInvalid(t, read(append(slices.Clone(first), dir("z"), named, hard("alpha/b/c/d"))), `"z/h": a hardlink to "alpha/b/c/d"`)
	checkInvalid(t, read(append(slices.Clone(first), dir("z"), dir("z/b/c"))), `"z/b/c": its parent`)
	checkInvalid(t, read(append(slices.Clone(first), dir("z/b"))), `"z/b": `)
}

// A hardlink stays in its source, even when the other one has a file with links.
func TestHardlinkToAnotherSource(t *testing.T) {
	text := replace(t, archivesLine+"\n"+validFiles, `"size":20,"sha256":"#1",`, `"size":20,"sha256":"#1","links":2,`)
	s := new(store)
	if _, err := readAll(forge(s, text), s); err != nil {
		t.Fatal(err)
	}
	_, err := readAll(forge(s, replace(t, text, `"link":"data/a"`, `"link":"conf/app.json"`)), s)
	checkInvalid(t, err, `"data/b/hard": a hardlink to "conf/app.json"`)
}

// A table in several pieces is the same table, and each piece begins with the line it is listed by.
func TestPiecesOfOneTable(t *testing.T) {
	lines := strings.SplitAfter(validFiles, "\n")
	two := func(n int) (string, string) {
		return archivesLine + "\n" + strings.Join(lines[:n], ""), archivesLine + "\n" + strings.Join(lines[n:], "")
	}
	s := new(store)
	whole, err := readAll(forge(s, archivesLine+"\n"+validFiles), s)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(lines)-2; n++ { // the last line has a path that forge does not see
		a, b := two(n)
		got, err := readAll(forge(s, a, b), s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("cut before line %d (-whole +two pieces):\n%s", n, diff)
		}
		for name, wrong := range map[string]*manifest.Head{"exchanged": forge(s, b, a), "the second alone": forge(s, b), "the first alone": forge(s, a), "the first twice": forge(s, a, a)} {
			_, err := readAll(wrong, s)
			if !errors.Is(err, manifest.ErrInvalid) {
				t.Errorf("cut before line %d, %s: %v", n, name, err)
			}
		}
		h := forge(s, a, b)
		h.Files.Pieces[1].First += "x"
		_, err = readAll(h, s)
		checkInvalid(t, err, fmt.Sprintf("%q", h.Files.Pieces[1].First))
		for range h.FilesFrom(h.Files.Pieces[1].First, s.Fetch) {
			if _, err := readFrom(h, h.Files.Pieces[1].First, s); !errors.Is(err, manifest.ErrInvalid) {
				t.Errorf("FilesFrom a piece that begins with another line: %v", err)
			}
			break
		}
	}
	// A line in the first piece that belongs behind the beginning of the second one would be found by one way of
	// reading and not by the other.
	a, b := two(5)
	h := forge(s, a+`{"path":"data/b/z","type":"directory"}`+"\n", b)
	_, err = readAll(h, s)
	checkInvalid(t, err, `"data/b/z" is out of order`)
	_, err = readFrom(h, "data/b/z", s)
	if err != nil {
		t.Errorf("from the second piece on, nothing is wrong: %v", err)
	}
	_, err = readFrom(h, "data/a", s)
	checkInvalid(t, err, `"data/b/z" is out of order`)
}

func readFrom(h *manifest.Head, path string, s *store) ([]*manifest.File, error) {
	var files []*manifest.File
	for f, err := range h.FilesFrom(path, s.Fetch) {
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// What a piece says in excess, or in another way, does not matter.
func TestPieceOfALaterWriter(t *testing.T) {
	text := archivesLine + "\n" + validFiles
	s := new(store)
	want, err := readAll(forge(s, text), s)
	if err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		"unknown keys":    strings.ReplaceAll(text, `"type"`, `"to_come":{"x":[1,-2,true,"\ud83d\udedf"]},"type"`),
		"unknown in head": replace(t, text, `{"archives"`, `{"to_come":[],"archives"`),
		"white space":     strings.NewReplacer(`[[0,512,20]]`, "\t[ [ 0 , 512,\r20 ] ] ", `[1,2048,99,"#5"]`, ` [ 1 , 2048 , 99 , "#5" ] `, `{"path":"data/l",`, " {\r\"path\" : \"data/l\"\t,").Replace(text),
		"zeros and empty": strings.NewReplacer(`"type":"symlink","mode":"0777"`, `"type":"symlink","links":0,"chunk":0,"user":"","extents":[],"maps":[],"xattrs":[],"marked":"","raw":"","mode":"0777"`,
			`"size":0,`, `"size":0,"mode":"0000","extents":[],"raw_link":"","link":"",`).Replace(text),
		"display of raw": strings.NewReplacer(`"data/`+"\uFFFD"+`","raw"`, `"data/anything","raw"`).Replace(text),
	} {
		if changed == text {
			t.Fatalf("%s: nothing changed", name)
		}
		got, err := readAll(forge(s, changed), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range got {
			if len(f.Xattrs) == 0 {
				f.Xattrs = nil
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A line is held to the same rules when it is written.
func TestAddFileRefuses(t *testing.T) {
	base := manifest.File{Path: "data/a", Type: manifest.Regular, UID: 1, GID: 1, Size: 10, SHA256: hex("1"), Chunk: 4096, Extents: []manifest.Extent{{Archive: hex("a"), Len: 10}}}
	for name, change := range map[string]func(*manifest.File){
		"\"../a\"":              func(f *manifest.File) { f.Path = "../a" },
		"fifo":                  func(f *manifest.File) { f.Type = "fifo" },
		"mode 10644":            func(f *manifest.File) { f.Mode = 0o10644 },
		"uid -1 and gid 1":      func(f *manifest.File) { f.UID = manifest.NoOwner },
		"uid 1 and gid -2":      func(f *manifest.File) { f.GID = -2 },
		"4294967296":            func(f *manifest.File) { f.UID = 1 << 32 },
		"10 bytes, 1 are":       func(f *manifest.File) { f.Extents[0].Len = 9 },
		"but to more":           func(f *manifest.File) { f.Extents[0].Len = 11 },
		"extent of 0 bytes":     func(f *manifest.File) { f.Extents = append(f.Extents, manifest.Extent{Archive: hex("a")}) },
		"zeros at 5":            func(f *manifest.File) { f.Extents[0] = manifest.Extent{Off: 5, Len: 10} },
		"beyond the end":        func(f *manifest.File) { f.Extents[0].Off = manifest.MaxArchive - 9 },
		"more than 1048576":     func(f *manifest.File) { f.Extents[0].Len = 1<<20 + 1; f.Size = 1<<20 + 1 },
		"chunk 0":               func(f *manifest.File) { f.Chunk = 0 },
		"both extents and maps": func(f *manifest.File) { f.Maps = make([]manifest.Map, 1) },
		"map 0":                 func(f *manifest.File) { f.Extents, f.Maps = nil, []manifest.Map{{Extent: manifest.Extent{Len: 9}}} },
		"2 maps":                func(f *manifest.File) { f.Extents, f.Maps = nil, make([]manifest.Map, 2) },
		"1025 extents":          func(f *manifest.File) { f.Extents = make([]manifest.Extent, 1025) },
		"links":                 func(f *manifest.File) { f.Links = 1 },
		"link":                  func(f *manifest.File) { f.Link = "x" },
		"xattr \"user.\\xff\"":  func(f *manifest.File) { f.Xattrs = []manifest.Xattr{{Name: "user.\xff"}} },
		"xattr \"b\" is out":    func(f *manifest.File) { f.Xattrs = []manifest.Xattr{{Name: "b"}, {Name: "a"}, {Name: "b"}} },
		"marked \"moved\"":      func(f *manifest.File) { f.Marked = "moved" },
		"integrity \"good\"":    func(f *manifest.File) { f.SQLite = &manifest.SQLite{Integrity: "good"} },
		"-1 pages":              func(f *manifest.File) { f.SQLite = &manifest.SQLite{Pages: -1} },
		"has no content":        func(f *manifest.File) { f.Type = manifest.Directory },
		"link belongs":          func(f *manifest.File) { *f = manifest.File{Path: f.Path, Type: manifest.Hardlink} },
	} {
		f := base
		f.Extents = []manifest.Extent{base.Extents[0]}
		change(&f)
		w := manifest.NewFileTable(func(string, []byte) error { return nil })
		checkInvalid(t, w.AddFile(&f), name)
		if w.Count != 0 || w.Bytes != 0 {
			t.Errorf("%s: a refused line was counted", name)
		}
	}
	w := manifest.NewFileTable(func(string, []byte) error { return nil })
	huge := manifest.File{Type: manifest.Regular, UID: -1, GID: -1, Size: 1<<63 - 1, Chunk: 4096, Extents: []manifest.Extent{{Len: 1<<63 - 1}}}
	for i, path := range []string{"data/a", "data/b"} {
		huge.Path = path
		if err := w.AddFile(&huge); (err == nil) != (i == 0) {
			t.Errorf("%d files of 2^63-1 bytes: %v", i+1, err)
		}
	}
}

// manyXattrs returns so many attributes, which come before user.b.
func manyXattrs(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`["user.a%06d",""]`, i))
	}
	return strings.Join(list, ",")
}
