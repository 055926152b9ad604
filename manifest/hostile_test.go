package manifest_test

import (
	"runtime"
	"strings"
	"testing"

	"lifeboat/manifest"
)

// Texts made to cost as much as they can. What is allocated in all, with what is freed on the way, stays within a multiple of
// their length, which is bounded.
func TestHostileTexts(t *testing.T) {
	fill := func(head, unit, tail string, n int) []byte {
		return []byte(expand(head) + strings.Repeat(expand(unit), (n-len(expand(head))-len(tail))/len(expand(unit))) + tail)
	}
	const head, piece = manifest.MaxHead / 16 / slow, manifest.MaxPiece / 8 / slow
	files := func(data []byte) func() error {
		return func() error {
			h := newHead()
			h.Sources = sourcesOf([]*manifest.File{{Path: "data"}})
			h.Files = manifest.Table{Count: 1, Pieces: []manifest.PieceRef{{First: "data", Len: int64(len(data)), SHA256: manifest.HashOf(data)}}}
			h.Roots = []manifest.Archive{describe(hex("a"), manifest.MaxArchive)}
			for _, err := range h.AllFiles(func(manifest.Hash, int64, int64) ([]byte, error) { return data, nil }) {
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	heads := func(data []byte) func() error {
		return func() error { _, err := manifest.ParseHead(data); return err }
	}
	maps := func(data []byte) func() error {
		return func() error { _, err := manifest.ParseMap(data, manifest.MapSpan); return err }
	}
	line := archivesLine + "\n"
	for _, tt := range []struct {
		name  string
		parse func() error
		most  int // times the bytes that there are
	}{
		{"head of sources", heads(fill(`{"format":"lifeboat/1","sources":[{}`, `,{}`, `]}`, head)), 1},
		{"head of roots", heads(fill(`{"format":"lifeboat/1","roots":[{}`, `,{}`, `]}`, head)), 1},
		{"head of problems", heads(fill(`{"format":"lifeboat/1","problems":[{}`, `,{}`, `]}`, head)), 1},
		{"head of frames", heads(fill(`{"format":"lifeboat/1","roots":[{"frames":[0`, `,0`, `]}]}`, head)), 40},
		{"head of pieces", heads(fill(`{"format":"lifeboat/1","files":{"pieces":[[]`, `,[]`, `]}}`, head)), 2},
		{"head of unknown lists", heads(fill(`{"format":"lifeboat/1","x":[[]`, `,[]`, `]}`, head)), 1},
		{"head of keys", heads(fill(`{"format":"lifeboat/1"`, `,"a":0`, `}`, head)), 1},
		{"head of brackets", heads(fill(`{"format":"lifeboat/1","x":`, `[`, ``, head)), 1},
		{"head of quotes", heads(fill(`{"format":"lifeboat/1","x":`, `"`, ``, head)), 1},
		{"head of backslashes", heads(fill(`{"format":"lifeboat/1","x":"`, `\`, ``, head)), 1},
		{"newlines", files(fill(line, "\n", "", piece)), 1},
		{"empty lines", files(fill(line, "{}\n", "", piece)), 1},
		{"inline extents", files(fill(line+`{"path":"data","type":"file","extents":[[0,0,1]`, `,[0,0,1]`, "]}\n", piece)), 20},
		{"maps", files(fill(line+`{"path":"data","type":"file","maps":[[0,0,1,"#1"]`, `,[0,0,1,"#1"]`, "]}\n", piece)), 20},
		{"attributes", files(fill(line+`{"path":"data","type":"file","xattrs":[["",""]`, `,["",""]`, "]}\n", piece)), 100},
		{"archives", files(fill(`{"archives":["#1"`, `,"#1"`, "]}\n{}\n", piece)), 5},
		{"map of bytes", maps(fill(line+`{"extents":[[0,0,1]`, `,[0,0,1]`, "]}\n", piece)), 30},
		{"map of zeros", maps(fill(line+`{"extents":[[-1,0,1]`, `,[-1,0,1]`, "]}\n", piece)), 30},
		{"map of lines", maps(fill(line, "\n", "", piece)), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			size := piece
			if strings.HasPrefix(tt.name, "head") {
				size = head
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := tt.parse()
			runtime.ReadMemStats(&after)
			checkInvalid(t, err, "")
			if got := after.TotalAlloc - before.TotalAlloc; got > uint64(tt.most*size+1<<20) {
				t.Errorf("%d bytes allocated for %d, %.1f times as many", got, size, float64(got)/float64(size))
			}
		})
	}
}
