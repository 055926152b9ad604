//go:build unix

package restore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// salvaged restores what can be restored.
func salvaged(t *testing.T, id manifest.ID, store layout.Store) (*restore.Result, string, error) {
	t.Helper()
	snap, err := layout.OpenSnapshot(t.Context(), id, 2, store)
	if err != nil {
		return nil, "", err
	}
	target := filepath.Join(snaptest.TempDir(t), "target")
	res, err := restore.Run(t.Context(), snap, restore.Options{Target: target, Salvage: true})
	return res, target, err
}

// Whatever is damaged in a store, each file comes back as it was, or is listed; and of what is listed, all but the lost bytes is there under another name.
func TestSalvage(t *testing.T) {
	id, local, tree := whole(t)
	files := map[string][]byte{}
	snap := snaptest.Open(t, id, local.Store)
	first := snaptest.Restore(t, id, restore.Options{}, local.Store)
	for f, err := range snap.Files(t.Context()) {
		must(t, err)
		if f.Type == manifest.Regular || f.Type == manifest.Hardlink {
			data, err := os.ReadFile(filepath.Join(first, f.Path))
			must(t, err)
			files[f.Path] = data
		}
	}
	res, target, err := salvaged(t, id, local.Store)
	must(t, err)
	if !res.Salvaged.Whole || res.Salvaged.LostCount != 0 {
		t.Errorf("of a whole snapshot, %+v", res.Salvaged)
	}
	same(t, tree, snaptest.Walk(t, filepath.Join(target, "d")), special)

	tables := map[string]bool{}
	for _, r := range snap.Head.Roots {
		tables[layout.ArchiveKey(r.SHA256)] = true
	}
	lost, saved, nothing := 0, 0, 0
	for info, err := range local.List(t.Context(), "archives/") {
		must(t, err)
		path := filepath.Join(local.Path(), info.Key)
		data, err := os.ReadFile(path)
		must(t, err)
		harms := map[string][]byte{"gone": nil, "cut": data[:len(data)/2], "cut at its end": data[:len(data)-1], "empty": {}}
		for i := range 7 {
			flipped := bytes.Clone(data)
			flipped[len(data)*i/7] ^= 0x10
			harms["flipped at "+string(rune('0'+i))+" sevenths"] = flipped
		}
		for name, harm := range harms {
			if harm == nil {
				must(t, os.Remove(path))
			} else {
				must(t, os.WriteFile(path, harm, 0o600))
			}
			t.Run(info.Key[9:17]+" "+name, func(t *testing.T) {
				res, target, err := salvaged(t, id, local.Store)
				if err != nil {
					if !tables[info.Key] || !layout.AboutData(err) {
						t.Fatal(err)
					}
					noStaging(t, filepath.Dir(target))
					nothing++
					return
				}
				l, s := compareSalvaged(t, res, target, files)
				lost, saved = lost+l, saved+s
			})
			must(t, os.WriteFile(path, data, 0o600))
		}
	}
	if lost == 0 || saved == 0 || nothing == 0 {
		t.Errorf("%d files lost, %d of them saved in part, %d times nothing: the samples show too little", lost, saved, nothing)
	}
}

// compareSalvaged compares what came back with what there was, and returns how many files are lost, and of how many a part was saved.
func compareSalvaged(t *testing.T, res *restore.Result, target string, files map[string][]byte) (lost, saved int) {
	t.Helper()
	sv := res.Salvaged
	if sv.Whole != (len(sv.Lost) == 0) || sv.LostCount != int64(len(sv.Lost)) {
		t.Errorf("whole %v, %d lost, %d listed", sv.Whole, sv.LostCount, len(sv.Lost))
	}
	aside := map[string]bool{}
	listed := map[string]bool{}
	for _, l := range sv.Lost {
		lost++
		listed[l.Path] = true
		want, ok := files[l.Path]
		if !ok {
			t.Errorf("%q is lost, and was not there", l.Path)
			continue
		}
		if _, err := os.Lstat(filepath.Join(target, l.Path)); err == nil {
			t.Errorf("%q is lost, and there is something under its name", l.Path)
		}
		if l.As == "" {
			continue
		}
		saved++
		aside[l.As] = true
		got, err := os.ReadFile(filepath.Join(target, l.As))
		must(t, err)
		var n int64
		for _, r := range l.Ranges {
			n += r[1]
			if len(bytes.Trim(got[r[0]:r[0]+r[1]], "\x00")) != 0 {
				t.Errorf("%q: there is something in what is lost", l.As)
			}
			copy(got[r[0]:], want[r[0]:r[0]+r[1]])
		}
		if n != l.Bytes || n == 0 || l.Size != int64(len(want)) || !bytes.Equal(got, want) {
			t.Errorf("%q: %d of %d bytes are lost by the ranges %v, %d it says, and the rest is %v what it was", l.As, n, l.Size, l.Ranges, l.Bytes, bytes.Equal(got, want))
		}
		if strings.HasSuffix(l.Path, "app.db") && len(l.Pages) == 0 {
			t.Errorf("no pages of %q are named", l.Path)
		}
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(target, path))
		if !listed[path] && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%q is not listed and did not come back (%v)", path, err)
		}
	}
	must(t, filepath.WalkDir(target, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(target, path)
		if _, known := files[rel]; err == nil && e.Type().IsRegular() && !known && !aside[rel] {
			t.Errorf("%q was never there", rel)
		}
		return err
	}))
	return lost, saved
}

// What cannot be reached is not lost: a salvage waits for it, and fails.
func TestSalvageOfWhatIsAway(t *testing.T) {
	id, local, _ := whole(t)
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
		store := layout.Store{Store: snaptest.FaultyStore(local.Store.Store, f)}
		res, target, err := salvaged(t, id, store)
		if err == nil && !res.Salvaged.Whole {
			t.Errorf("what could not be read is taken to be lost: %+v", res.Salvaged.Lost)
		}
		if err != nil && target != "" {
			noStaging(t, filepath.Dir(target))
		}
		return err
	})
}
