package snaptest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
)

// A Forgery is a snapshot that no writer would make. Everything in it has its right digest; what it says is the forger's.
type Forgery struct {
	Sources []manifest.Source                               // the sums are filled in from Count and Bytes, all for the first source
	Content string                                          // of an archive; in Lines, %A is its extent as [0,off,len], %S its SHA-256, %N its size, %M a map of it
	Lines   []string                                        // of the files table
	Map     func(content manifest.Extent) []manifest.Extent // what %M lists; nil means the content once
	First   string                                          // key of the piece; "" means that of an honest writer: "d"
	Files   []*manifest.File                                // instead of Lines: through the writer, which refuses less than the reader
	Count   int64                                           // of lines; 0 means as many as there are
	Bytes   int64
}

// Forge writes the snapshot into a store.
func (f Forgery) Forge(t testing.TB, local *localstore.Store) manifest.ID {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pool, err := archive.NewPool(archive.PoolOptions{Workers: 1})
	check(err)
	pack := func(name string, data []byte) (archive.Place, *manifest.Archive) {
		w := archive.NewWriter(t.Context(), pool, archive.Options{Create: func(ctx context.Context) (archive.Object, error) { return local.Create(ctx, "") }})
		at, err := w.Add(archive.Segment{Name: name, Data: data, Chunk: len(data), Sums: []archive.ChunkSum{archive.SumOf(data)}})
		check(err)
		check(w.Close())
		return at, w.Archives()[0]
	}
	at, content := pack("content", []byte(f.Content))
	extents := []manifest.Extent{{Archive: content.SHA256, Off: at.Off, Len: at.Len}}
	if f.Map != nil {
		extents = f.Map(extents[0])
	}
	mapText, err := manifest.EncodeMap(extents)
	check(err)
	mapAt, mapped := pack("map", mapText)
	h := &manifest.Head{Format: manifest.Format, App: App, Kind: manifest.Backup, Stamp: Stamp, Finished: time.Unix(1, 0).UTC(),
		State: manifest.Complete, Consistency: manifest.Consistency{Level: manifest.Stable}}
	put := func(first string, piece []byte) error {
		at, a := pack("piece", piece)
		h.Roots = append(h.Roots, *a)
		h.Files.Pieces = append(h.Files.Pieces, manifest.PieceRef{First: first, Archive: len(h.Roots) - 1, Off: at.Off, Len: at.Len, SHA256: manifest.HashOf(piece)})
		return nil
	}
	if f.Files != nil {
		table := manifest.NewFileTable(put)
		for _, file := range f.Files {
			for i := range file.Extents {
				if !file.Extents[i].IsZeros() {
					file.Extents[i].Archive, file.Extents[i].Off = content.SHA256, at.Off
				}
			}
			check(table.AddFile(file))
		}
		check(table.Close())
		h.Files.Count, h.Files.Bytes = table.Count, table.Bytes
	} else {
		text := fmt.Sprintf(`{"archives":["%s","%s"]}`, content.SHA256, mapped.SHA256) + "\n" + strings.Join(f.Lines, "\n") + "\n"
		text = strings.NewReplacer("%A", fmt.Sprintf("[0,%d,%d]", at.Off, at.Len), "%S", manifest.HashOf([]byte(f.Content)).String(), "%N", fmt.Sprint(at.Len),
			"%M", fmt.Sprintf(`[1,%d,%d,"%s"]`, mapAt.Off, mapAt.Len, manifest.HashOf(mapText))).Replace(text)
		if f.First == "" {
			f.First = "d"
		}
		check(put(f.First, []byte(text)))
		h.Files.Count, h.Files.Bytes = int64(len(f.Lines)), f.Bytes
	}
	if f.Count != 0 {
		h.Files.Count = f.Count
	}
	archives := manifest.NewArchiveTable(func(first string, piece []byte) error {
		at, a := pack("archives", piece)
		h.Roots = append(h.Roots, *a)
		h.Archives.Pieces = append(h.Archives.Pieces, manifest.PieceRef{First: first, Archive: len(h.Roots) - 1, Off: at.Off, Len: at.Len, SHA256: manifest.HashOf(piece)})
		return nil
	})
	pair := []*manifest.Archive{content, mapped}
	slices.SortFunc(pair, func(a, b *manifest.Archive) int { return strings.Compare(a.SHA256.String(), b.SHA256.String()) })
	for _, a := range pair {
		check(archives.AddArchive(a))
	}
	check(archives.Close())
	h.Archives.Count, h.Archives.Bytes = archives.Count, archives.Bytes
	h.Sources = slices.Clone(f.Sources)
	if h.Sources == nil {
		h.Sources = []manifest.Source{{Name: "d", Type: manifest.DirectorySource, Consistency: h.Consistency.Level}}
	}
	for i := range h.Sources {
		h.Sources[i].Consistency = h.Consistency.Level
	}
	rest := &h.Sources[0]
	for _, s := range h.Sources[1:] {
		rest.Files -= s.Files
		rest.Bytes -= s.Bytes
	}
	rest.Files += h.Files.Count
	rest.Bytes += h.Files.Bytes
	id, stored, err := layout.SealManifest(h)
	check(err)
	check(local.Commit(t.Context(), id, stored))
	return id
}
