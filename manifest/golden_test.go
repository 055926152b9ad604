package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/manifest"
)

// hex returns the hash whose digits are all the same, so that a golden text can be read.
func hex(digit string) manifest.Hash {
	h, err := manifest.ParseHash(strings.Repeat(digit, 64))
	if err != nil {
		panic(err)
	}
	return h
}

// expand writes #d for the hash of 64 digits d.
func expand(golden string) string {
	return regexp.MustCompile(`#[0-9a-f]`).ReplaceAllStringFunc(golden, func(s string) string { return strings.Repeat(s[1:], 64) })
}

// Every key of docs/format.md, 4.1, in its order.
const goldenHead = `{"format":"lifeboat/1","app":"vault-warden.2","kind":"safety","stamp":"20260102T030405Z","finished":"2026-01-02T03:04:09.5Z",` +
	`"tool":"0.1.0","host":{"name":"<lighthouse>","os":"linux","arch":"amd64"},"previous":{"stamp":"20260101T030405Z","sha256":"#d"},` +
	`"state":"incomplete","problems":[{"source":"data","path":"data/a\nb","kind":"unreadable","detail":"permission denied"},{"kind":"clock"}],"problem_count":7,` +
	`"omitted":[{"source":"logs","why":"optional, and missing"}],"consistency":{"level":"stable","skew_us":250},` +
	`"sources":[{"name":"conf","type":"file","root":"/srv/app.json","consistency":"transactional","files":1,"bytes":20},` +
	`{"name":"data","type":"directory","root":"/srv/data","optional":true,"consistency":"stable","files":4,"bytes":180,"databases":1}],` +
	`"files":{"count":5,"bytes":200,"pieces":[["conf/app.json",1,512,900,"#1"],["data/` + "\uFFFD" + `",0,512,800,"#2","ZGF0YS//"]]},` +
	`"archives":{"count":1,"bytes":600,"pieces":[["#7",1,2048,100,"#3"]]},` +
	`"roots":[{"sha256":"#b","size":600,"length":1400,"frames":[600],"index":[1024,376,"#4"],"data":800},` +
	`{"sha256":"#a","size":500,"length":1048577,"frames":[400,100],"index":[4096,48,"#5"]}],` +
	`"stats":{"bytes":200,"new_bytes":100,"stored_bytes":50,"archives_new":2,"seconds":3,"pin_ms":40,"wal_growth":4096,"writer_block_ms":5}}`

func headOfGolden() *manifest.Head {
	h := newHead()
	h.App, h.Kind, h.State = "vault-warden.2", manifest.Safety, manifest.Incomplete
	h.Finished = time.Date(2026, 1, 2, 5, 4, 9, 5e8, time.FixedZone("", 2*3600))
	h.Host.Name = "<lighthouse>"
	h.Previous = &manifest.ID{Stamp: "20260101T030405Z", SHA256: hex("d")}
	h.Problems = []manifest.Problem{{Source: "data", Path: "data/a\nb", Kind: "unreadable", Detail: "permission denied"}, {Kind: "clock"}}
	h.ProblemCount = 7
	h.Omitted = []manifest.Omission{{Source: "logs", Why: "optional, and missing"}}
	h.Consistency = manifest.Consistency{Level: manifest.Stable, SkewUS: 250}
	h.Sources = []manifest.Source{
		{Name: "conf", Type: manifest.FileSource, Root: "/srv/app.json", Consistency: manifest.Transactional, Files: 1, Bytes: 20},
		{Name: "data", Type: manifest.DirectorySource, Root: "/srv/data", Optional: true, Consistency: manifest.Stable, Files: 4, Bytes: 180, Databases: 1},
	}
	h.Files = manifest.Table{Count: 5, Bytes: 200, Pieces: []manifest.PieceRef{
		{First: "conf/app.json", Archive: 1, Off: 512, Len: 900, SHA256: hex("1")},
		{First: "data/\xff", Archive: 0, Off: 512, Len: 800, SHA256: hex("2")},
	}}
	h.Archives = manifest.Table{Count: 1, Bytes: 600, Pieces: []manifest.PieceRef{{First: hex("7").String(), Archive: 1, Off: 2048, Len: 100, SHA256: hex("3")}}}
	h.Roots = []manifest.Archive{
		{SHA256: hex("b"), Size: 600, Length: 1400, Frames: []int64{600}, Index: manifest.Index{Off: 1024, Len: 376, SHA256: hex("4")}, Data: 800},
		{SHA256: hex("a"), Size: 500, Length: 1048577, Frames: []int64{400, 100}, Index: manifest.Index{Off: 4096, Len: 48, SHA256: hex("5")}},
	}
	h.Stats = manifest.Stats{Bytes: 200, NewBytes: 100, StoredBytes: 50, ArchivesNew: 2, Seconds: 2.6, PinMS: 40, WALGrowth: 4096, WriterBlockMS: 5}
	return h
}

func TestGoldenHead(t *testing.T) {
	got, err := headOfGolden().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expand(goldenHead), string(got)); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
}

// A head of nothing has only what is never empty.
func TestGoldenEmptyHead(t *testing.T) {
	got, err := (&manifest.Head{Format: manifest.Format, App: "a", Kind: manifest.Backup, Stamp: "20260102T030405Z", State: manifest.Complete,
		Consistency: manifest.Consistency{Level: manifest.Fuzzy}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"format":"lifeboat/1","app":"a","kind":"backup","stamp":"20260102T030405Z","state":"complete","consistency":{"level":"fuzzy"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
}

// Every key of docs/format.md, 4.3, in its order.
const goldenFile = `{"path":"data/` + "\uFFFD" + `.db","raw":"ZGF0YS//LmRi","type":"file","mode":"4644","uid":0,"gid":0,"user":"root","group":"wheel","mtime":"1795378500.123456789",` +
	`"size":5120,"sha256":"#9","links":2,"xattrs":[["user.a",""],["user.b","AP8="]],"chunk":4096,"extents":[[0,1024,4096],[-1,0,512],[1,0,512]],"marked":"grew",` +
	`"sqlite":{"page_size":4096,"pages":1,"journal_mode":"wal","found":"live-wal","read":"transaction","user_version":-3,"application_id":-7,"schema_sha256":"#8","integrity":"degraded","detail":"a \"b\"",` +
	`"foreign_keys":2,"tables":[["t",12],["u",0]]}}` + "\n"

const goldenFiles = `{"archives":["#6","#7"]}` + "\n" +
	`{"path":"data","type":"directory","mode":"0755","mtime":"-0.500000000"}` + "\n" +
	`{"path":"data/z","type":"directory","mode":"0000","uid":4294967294,"gid":1,"mtime":"0.000000000"}` + "\n" +
	`{"path":"data/z/big","type":"file","mode":"0600","mtime":"0.000000000","size":16777217,"sha256":"#9","chunk":65536,` +
	`"maps":[[0,512,16777216,"#2"],[1,512,99,"#3"]],"marked":"changed"}` + "\n" +
	`{"path":"data/z/empty","type":"file","mode":"0000","mtime":"0.000000001","size":0,"sha256":"#0"}` + "\n" +
	`{"path":"data/z.link","type":"symlink","mode":"0777","mtime":"0.000000000","link":"../` + "\uFFFD\uFFFD" + `","raw_link":"Li4v//4="}` + "\n" +
	goldenFile +
	`{"path":"data/` + "\uFFFD" + `.hard","raw":"ZGF0YS//LmhhcmQ=","type":"hardlink","link":"data/` + "\uFFFD" + `.db","raw_link":"ZGF0YS//LmRi"}` + "\n"

func filesOfGolden() []*manifest.File {
	schema := hex("8")
	return []*manifest.File{
		{Path: "data", Type: manifest.Directory, Mode: 0o755, UID: -1, GID: -1, ModTime: -5e8},
		{Path: "data/z", Type: manifest.Directory, UID: 4294967294, GID: 1},
		{Path: "data/z/big", Type: manifest.Regular, Mode: 0o600, UID: -1, GID: -1, Size: 16<<20 + 1, SHA256: hex("9"), Chunk: 65536, Marked: manifest.MarkChanged,
			Maps: []manifest.Map{{Extent: manifest.Extent{Archive: hex("6"), Off: 512, Len: 16 << 20}, SHA256: hex("2")},
				{Extent: manifest.Extent{Archive: hex("7"), Off: 512, Len: 99}, SHA256: hex("3")}}},
		{Path: "data/z/empty", Type: manifest.Regular, UID: -1, GID: -1, ModTime: 1},
		{Path: "data/z.link", Type: manifest.Symlink, Mode: 0o777, UID: -1, GID: -1, Link: "../\xff\xfe"},
		{Path: "data/\xff.db", Type: manifest.Regular, Mode: 0o4644, User: "root", Group: "wheel", ModTime: 1795378500123456789, Size: 5120, SHA256: hex("9"),
			Links: 2, Xattrs: []manifest.Xattr{{Name: "user.b", Value: []byte{0, 255}}, {Name: "user.a"}}, Chunk: 4096, Marked: manifest.MarkGrew,
			Extents: []manifest.Extent{{Archive: hex("6"), Off: 1024, Len: 4096}, {Len: 512}, {Archive: hex("7"), Off: 0, Len: 512}},
			SQLite: &manifest.SQLite{PageSize: 4096, Pages: 1, JournalMode: "wal", Found: "live-wal", Read: "transaction", UserVersion: -3, ApplicationID: -7, SchemaSHA256: &schema, Integrity: "degraded",
				Detail: `a "b"`, ForeignKeys: 2, Tables: []manifest.TableRows{{Name: "t", Rows: 12}, {Name: "u"}}}},
		// What a hardlink repeats is not written.
		{Path: "data/\xff.hard", Type: manifest.Hardlink, Link: "data/\xff.db", Mode: 0o644, UID: 5, GID: 5, User: "x", ModTime: 3, Size: 77},
	}
}

func TestGoldenFiles(t *testing.T) {
	var got []string
	w := manifest.NewFileTable(func(first string, piece []byte) error {
		got = append(got, first, string(piece))
		return nil
	})
	for _, f := range filesOfGolden() {
		if err := w.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"data", expand(goldenFiles)}, got); diff != "" {
		t.Errorf("piece (-want +got):\n%s", diff)
	}
	if want := int64(16<<20 + 1 + 5120); w.Count != 7 || w.Bytes != want {
		t.Errorf("%d lines of %d bytes, want 7 of %d", w.Count, w.Bytes, want)
	}
}

const goldenArchives = `{"archives":[]}` + "\n" +
	`{"sha256":"#a","size":500,"length":1048577,"frames":[400,100],"index":[4096,48,"#5"]}` + "\n" +
	`{"sha256":"#b","size":600,"length":1400,"frames":[600],"index":[1024,376,"#4"],"data":800}` + "\n"

func TestGoldenArchives(t *testing.T) {
	var got string
	w := manifest.NewArchiveTable(func(_ string, piece []byte) error { got += string(piece); return nil })
	roots := headOfGolden().Roots
	for _, i := range []int{1, 0} {
		if err := w.AddArchive(&roots[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expand(goldenArchives), got); diff != "" {
		t.Errorf("piece (-want +got):\n%s", diff)
	}
}

func TestGoldenMap(t *testing.T) {
	got, err := manifest.EncodeMap([]manifest.Extent{{Archive: hex("c"), Off: 512, Len: 1 << 20}, {Len: 5 << 20}, {Archive: hex("a"), Off: 0, Len: 1}, {Archive: hex("c"), Off: 9, Len: 8}})
	if err != nil {
		t.Fatal(err)
	}
	want := expand(`{"archives":["#c","#a"]}` + "\n" + `{"extents":[[0,512,1048576],[-1,0,5242880],[1,0,1],[0,9,8]]}` + "\n")
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("map (-want +got):\n%s", diff)
	}
}

// The tables of the specification and the golden texts have the same keys in the same order.
func TestGoldenHasEveryKeyOfTheFormat(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "format.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Split(goldenFiles, "\n")
	for _, tt := range []struct {
		section string
		lines   []string // which together have every key
	}{
		{"### 4.1", []string{goldenHead}},
		{"### 4.3", files[1 : len(files)-1]},
		{"### 4.4", strings.Split(goldenArchives, "\n")[2:3]},
	} {
		_, after, ok := strings.Cut(string(page), "\n"+tt.section)
		if !ok {
			t.Fatalf("no section %q", tt.section)
		}
		section, _, _ := strings.Cut(after, "\n#")
		want := tableKeys(section)
		missing := map[string]bool{}
		for _, k := range want {
			missing[k] = true
		}
		for _, line := range tt.lines {
			keys := topKeys(t, line)
			i := 0
			for _, k := range want {
				if i < len(keys) && keys[i] == k {
					delete(missing, k)
					i++
				}
			}
			if i < len(keys) {
				t.Errorf("section %s: key %q is not in the table, or not in its place: %s", tt.section, keys[i], line)
			}
		}
		if len(want) == 0 || len(missing) > 0 {
			t.Errorf("section %s: of the keys %q the golden text lacks %v", tt.section, want, missing)
		}
	}
}

// tableKeys returns the names in the first column of the first table, which may have several in a row.
func tableKeys(section string) []string {
	var keys []string
	for line := range strings.Lines(section) {
		if len(keys) > 0 && !strings.HasPrefix(line, "|") {
			break
		}
		if column, ok := strings.CutPrefix(line, "| `"); ok {
			column, _, _ = strings.Cut(column, " |")
			for k := range strings.SplitSeq(strings.Trim(column, "` "), "`, `") {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// topKeys returns the keys of an object in their order.
func topKeys(t *testing.T, line string) []string {
	t.Helper()
	var keys []string
	d := json.NewDecoder(strings.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}
