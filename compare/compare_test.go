package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/compare"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Shared counts what is stored at the same place for the same place of the file, however the extents are cut.
func TestShared(t *testing.T) {
	x, y := manifest.Hash{1}, manifest.Hash{2}
	at := func(h manifest.Hash, off, n int64) manifest.Extent {
		return manifest.Extent{Archive: h, Off: off, Len: n}
	}
	zeros := func(n int64) manifest.Extent { return manifest.Extent{Len: n} }
	for _, test := range []struct {
		name     string
		old, now []manifest.Extent
		want     int64
	}{
		{"nothing", nil, nil, 0},
		{"came", nil, []manifest.Extent{at(x, 0, 8)}, 0},
		{"the same", []manifest.Extent{at(x, 5, 8)}, []manifest.Extent{at(x, 5, 8)}, 8},
		{"cut elsewhere", []manifest.Extent{at(x, 0, 3), at(x, 3, 5)}, []manifest.Extent{at(x, 0, 6), at(x, 6, 2)}, 8},
		{"one page of three", []manifest.Extent{at(x, 0, 12)}, []manifest.Extent{at(x, 0, 4), at(y, 0, 4), at(x, 8, 4)}, 8},
		{"another archive", []manifest.Extent{at(x, 0, 12)}, []manifest.Extent{at(y, 0, 12)}, 0},
		{"another place of it", []manifest.Extent{at(x, 0, 12)}, []manifest.Extent{at(x, 4, 12)}, 0},
		{"moved in the file", []manifest.Extent{at(x, 0, 4), at(y, 0, 4)}, []manifest.Extent{at(y, 0, 4), at(x, 0, 4)}, 0},
		{"longer", []manifest.Extent{at(x, 0, 4)}, []manifest.Extent{at(x, 0, 4), at(y, 0, 100)}, 4},
		{"shorter", []manifest.Extent{at(x, 0, 4), at(y, 0, 100)}, []manifest.Extent{at(x, 0, 3)}, 3},
		{"zeros", []manifest.Extent{zeros(100), at(x, 0, 4)}, []manifest.Extent{zeros(60), at(y, 0, 40), at(x, 0, 4)}, 64},
		{"zeros where there were none", []manifest.Extent{at(x, 0, 8)}, []manifest.Extent{zeros(8)}, 0},
	} {
		got, err := compare.Shared(t.Context(), &layout.Snapshot{}, &layout.Snapshot{}, &manifest.File{Extents: test.old}, &manifest.File{Extents: test.now})
		if err != nil || got != test.want {
			t.Errorf("%s: %d (%v), want %d", test.name, got, err, test.want)
		}
	}
}

// Maps that are the same need not be read, which nothing could do here; the last is as long as the rest of the file.
func TestSharedMaps(t *testing.T) {
	file := func(size int64, hashes ...byte) *manifest.File {
		f := &manifest.File{Size: size}
		for _, h := range hashes {
			f.Maps = append(f.Maps, manifest.Map{SHA256: manifest.Hash{h}})
		}
		return f
	}
	got, err := compare.Shared(t.Context(), &layout.Snapshot{}, &layout.Snapshot{}, file(manifest.MapSpan+4096, 1, 2), file(manifest.MapSpan+4096, 1, 2))
	if err != nil || got != manifest.MapSpan+4096 {
		t.Errorf("%d (%v)", got, err)
	}
	got, err = compare.Shared(t.Context(), &layout.Snapshot{}, &layout.Snapshot{}, file(2*manifest.MapSpan, 1, 2), file(manifest.MapSpan, 1))
	if err != nil || got != manifest.MapSpan {
		t.Errorf("of a file that was cut: %d (%v)", got, err)
	}
}

// Tables are compared by their rows; those that stay as they are do not show.
func TestTables(t *testing.T) {
	rows := func(list ...manifest.TableRows) *manifest.SQLite { return &manifest.SQLite{Tables: list} }
	a := rows(manifest.TableRows{Name: "gone", Rows: 0}, manifest.TableRows{Name: "less", Rows: 9}, manifest.TableRows{Name: "same", Rows: 3})
	b := rows(manifest.TableRows{Name: "came", Rows: 0}, manifest.TableRows{Name: "less", Rows: 8}, manifest.TableRows{Name: "same", Rows: 3})
	for _, test := range []struct {
		old, now *manifest.SQLite
		want     []compare.TableChange
	}{
		{a, b, []compare.TableChange{{"came", -1, 0}, {"gone", 0, -1}, {"less", 9, 8}}},
		{a, a, nil},
		{nil, rows(manifest.TableRows{Name: "x", Rows: 1}), []compare.TableChange{{"x", -1, 1}}},
		{rows(manifest.TableRows{Name: "x", Rows: 1}), nil, []compare.TableChange{{"x", 1, -1}}},
		{nil, nil, nil},
	} {
		if diff := cmp.Diff(test.want, compare.Tables(test.old, test.now)); diff != "" {
			t.Error(diff)
		}
	}
}
