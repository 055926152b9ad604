package manifest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/zst"
	"lifeboat/manifest"
)

// The stores in testdata were written from docs/format.md by a program that shares no code with this package; the golden stores by lifeboat, on the
// day that the format was frozen. Every head, piece and map in them must be read, and be written again byte by byte.
func TestStores(t *testing.T) {
	var heads []string
	for _, stores := range []string{"testdata/stores", "integration/fixtures/format1"} {
		found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(stores), "*", "store", "*", "*.json.zst"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Fatalf("no store in %s", stores)
		}
		heads = append(heads, found...)
	}
	for _, name := range heads {
		store := filepath.Dir(filepath.Dir(name))
		t.Run(filepath.Base(filepath.Dir(store))+"/"+strings.TrimSuffix(filepath.Base(name), ".json.zst"), func(t *testing.T) {
			data := readZstd(t, name)
			h, err := manifest.ParseHead(data)
			if err != nil {
				t.Fatal(err)
			}
			again, err := h.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(data), string(again)); diff != "" {
				t.Errorf("head (-stored +encoded again):\n%s", diff)
			}
			if filepath.Base(filepath.Dir(name)) == "removed" {
				if _, err := os.Stat(filepath.Join(store, "archives", h.Roots[0].SHA256.String()+".tar.zst")); errors.Is(err, fs.ErrNotExist) {
					return // a prune has taken them, as it may
				}
			}
			archives := map[manifest.Hash][]byte{}
			fetch := func(archive manifest.Hash, off, n int64) ([]byte, error) {
				if archives[archive] == nil {
					archives[archive] = readZstd(t, filepath.Join(store, "archives", archive.String()+".tar.zst"))
				}
				if all := archives[archive]; off+n <= int64(len(all)) {
					return all[off : off+n], nil
				}
				return nil, fmt.Errorf("%d bytes at %d are outside the archive", n, off)
			}
			checkWrittenAgain(t, h, fetch)
			for f, err := range h.AllFiles(fetch) {
				if err != nil {
					t.Fatal(err)
				}
				checkMapsWrittenAgain(t, f, fetch)
			}
		})
	}
}

func readZstd(t *testing.T, name string) []byte {
	t.Helper()
	stored, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zst.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dec.DecodeBounded(stored, 256<<20)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

func checkMapsWrittenAgain(t tester, f *manifest.File, fetch manifest.Fetch) {
	t.Helper()
	for i, m := range f.Maps {
		data, err := fetch(m.Archive, m.Off, m.Len)
		if err != nil {
			t.Fatal(err)
		}
		extents, err := manifest.ParseMap(data, min(manifest.MapSpan, f.Size-int64(i)*manifest.MapSpan))
		if err != nil {
			t.Fatal(err)
		}
		again, err := manifest.EncodeMap(extents)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(data), string(again)); diff != "" {
			t.Fatalf("map %d of %q (-stored +encoded again):\n%s", i, f.Path, diff)
		}
	}
}

// checkWrittenAgain reads both tables of a snapshot, writes them again, and compares the bytes.
func checkWrittenAgain(t tester, h *manifest.Head, fetch manifest.Fetch) {
	t.Helper()
	next := comparePieces(t, h, h.Files.Pieces, fetch)
	files := manifest.NewFileTable(next)
	for f, err := range h.AllFiles(fetch) {
		if err != nil {
			t.Fatal(err)
		}
		if err := files.AddFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := next("", nil); err != nil {
		t.Fatal(err)
	}
	next = comparePieces(t, h, h.Archives.Pieces, fetch)
	archives := manifest.NewArchiveTable(next)
	for a, err := range h.AllArchives(fetch) {
		if err != nil {
			t.Fatal(err)
		}
		if err := archives.AddArchive(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := archives.Close(); err != nil {
		t.Fatal(err)
	}
	if err := next("", nil); err != nil {
		t.Fatal(err)
	}
}

// comparePieces returns a Put that compares what it is given with the pieces of a table, one after the other. When all were
// given, it is called with nil.
func comparePieces(t tester, h *manifest.Head, pieces []manifest.PieceRef, fetch manifest.Fetch) manifest.Put {
	t.Helper()
	return func(first string, piece []byte) error {
		switch {
		case piece == nil && len(pieces) > 0:
			return fmt.Errorf("piece %q was not written again", pieces[0].First)
		case piece == nil:
			return nil
		case len(pieces) == 0:
			return fmt.Errorf("piece %q is one too many", first)
		}
		p := pieces[0]
		pieces = pieces[1:]
		if first != p.First {
			return fmt.Errorf("piece %q became %q", p.First, first)
		}
		stored, err := fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(string(stored), string(piece)); diff != "" {
			return fmt.Errorf("piece %q (-stored +encoded again):\n%s", first, diff)
		}
		return nil
	}
}
