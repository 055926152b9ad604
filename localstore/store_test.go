//go:build unix

package localstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
)

var kit = []layout.File{{Name: "RECOVER.md", Data: []byte("how")}, {Name: "recover.sh", Data: []byte("#!/bin/sh\n")}}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrepareAndOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "store")
	if _, err := localstore.Open(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing = %v", err)
	}
	s, made, err := localstore.Prepare(t.Context(), path, "app", kit)
	must(t, err)
	if !made || s.Path() != path {
		t.Errorf("made %v at %s", made, s.Path())
	}
	m, err := s.Marker(t.Context())
	must(t, err)
	if m.App != "app" || m.Format != manifest.Format || len(m.ID) != 36 || time.Since(m.Created) > time.Hour {
		t.Errorf("marker %+v", m)
	}
	for _, f := range kit {
		if data, err := os.ReadFile(filepath.Join(path, f.Name)); err != nil || string(data) != string(f.Data) {
			t.Errorf("%s is %q (%v)", f.Name, data, err)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the store has mode %v (%v)", fi.Mode(), err)
	}
	s, made, err = localstore.Prepare(t.Context(), path, "app", kit)
	must(t, err)
	if again, err := s.Marker(t.Context()); err != nil || made || again != m {
		t.Errorf("the second time: made %v, marker %+v (%v)", made, again, err)
	}
	var foreign *localstore.ForeignError
	if _, _, err := localstore.Prepare(t.Context(), path, "other", kit); !errors.As(err, &foreign) || foreign.App != "app" || foreign.Own != "other" {
		t.Errorf("as another application: %v", err)
	}
	opened, err := localstore.Open(t.Context(), path)
	must(t, err)
	if again, err := opened.Marker(t.Context()); err != nil || again != m {
		t.Errorf("marker %+v (%v)", again, err)
	}
	must(t, os.WriteFile(filepath.Join(path, layout.MarkerKey), []byte(`{"format":"lifeboat/9"}`), 0o600))
	var format *manifest.FormatError
	if _, err := localstore.Open(t.Context(), path); !errors.As(err, &format) {
		t.Errorf("Open of another format = %v", err)
	}
	must(t, os.WriteFile(filepath.Join(path, layout.MarkerKey), []byte(`{`), 0o600))
	if _, err := localstore.Open(t.Context(), path); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open with a damaged marker = %v", err)
	}
	must(t, os.Remove(filepath.Join(path, layout.MarkerKey)))
	if _, err := localstore.Open(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a directory that is no store = %v", err)
	}
}

// A store that is not ours to read is not absent: to make a new one, or to do without, would be a mistake.
func TestOpenOfWhatIsNotOurs(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	path := filepath.Join(snaptest.TempDir(t), "store")
	_, _, err := localstore.Prepare(t.Context(), path, "app", nil)
	must(t, err)
	must(t, os.Chmod(path, 0))
	if _, err := localstore.Open(t.Context(), path); errors.Is(err, fs.ErrNotExist) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open = %v", err)
	}
}

// Of several who make a store at once, one does, and all agree whose it is.
func TestEnsureMarkerAtOnce(t *testing.T) {
	s := layout.Store{Store: remote.NewMemory(nil)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	makers := 0
	for range 8 {
		wg.Go(func() {
			made, err := localstore.EnsureMarker(t.Context(), s, "app", kit)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if made {
				makers++
			}
		})
	}
	wg.Wait()
	if makers != 1 {
		t.Errorf("%d made it", makers)
	}
}

// Whatever fails while a store is made, it is one or it is none, and the next attempt makes it one.
func TestEnsureMarkerWithFaults(t *testing.T) {
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
		good := layout.Store{Store: remote.NewMemory(nil)}
		made, err := localstore.EnsureMarker(t.Context(), layout.Store{Store: snaptest.FaultyStore(good.Store, f)}, "app", kit)
		if err == nil && !made {
			t.Error("success, and it was not made")
		}
		if _, again := localstore.EnsureMarker(t.Context(), good, "app", kit); again != nil {
			t.Error(again)
		}
		if m, err := good.Marker(t.Context()); err != nil || m.App != "app" {
			t.Errorf("marker %+v (%v)", m, err)
		}
		return err
	})
}

// What is begun and discarded leaves nothing.
func TestCreateAndDiscard(t *testing.T) {
	s := snaptest.Local(t)
	o, err := s.Create(t.Context(), "source")
	must(t, err)
	_, err = o.Write([]byte("data"))
	must(t, err)
	o.Discard()
	o.Discard()
	snaptest.NoLitter(t, s.Path())
	o, err = s.Create(t.Context(), "source")
	must(t, err)
	_, err = o.Write([]byte("data"))
	must(t, err)
	a := &manifest.Archive{SHA256: manifest.HashOf([]byte("data")), Size: 4}
	must(t, o.Commit(a))
	o.Discard()
	if data, err := os.ReadFile(filepath.Join(s.Path(), layout.ArchiveKey(a.SHA256))); err != nil || string(data) != "data" {
		t.Errorf("the archive is %q (%v)", data, err)
	}
}

func TestKnownRemotes(t *testing.T) {
	s := snaptest.Local(t)
	want := func(url, id string) {
		t.Helper()
		if got, err := s.Known(url); err != nil || got != id {
			t.Errorf("Known(%s) = %q, %v; want %q", url, got, err, id)
		}
	}
	want("s3://a/b", "")
	must(t, s.Remember("s3://a/b", "1"))
	must(t, s.Remember("s3://a/c", "2"))
	must(t, s.Remember("s3://a/c", "2"))
	want("s3://a/b", "1")
	want("s3://a/c", "2")
	must(t, s.Remember("s3://a/b", "3"))
	want("s3://a/b", "3")
	snaptest.NoLitter(t, s.Path())
	if list := snaptest.ValidateAll(t, s.Store); len(list) != 0 {
		t.Errorf("%d snapshots", len(list))
	}
	path := filepath.Join(s.Path(), "known.json")
	must(t, os.WriteFile(path, []byte(`{"s3`), 0o600))
	if _, err := s.Known("s3://a/b"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Known from a damaged file = %v", err)
	}
	if err := s.Remember("s3://a/b", "4"); err == nil {
		t.Error("Remember replaces a damaged file")
	}
}

// history is a store with snapshots of a directory that has a file more each time, and one archive that belongs to none.
func history(t *testing.T, n int) (s *localstore.Store, ids []manifest.ID) {
	t.Helper()
	s = snaptest.Local(t)
	dir, still := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(still, "still"), []byte("the same in all"), 0o600))
	for i := range n {
		snaptest.WriteFile(t, filepath.Join(dir, "file"), 1000, snaptest.Random, uint64(i))
		opts := snapshot.Options{Stamp: manifest.StampOf(snaptest.Stamp.Time().Add(time.Duration(i) * time.Hour))}
		ids = append(ids, snaptest.Take(t, s, opts, snaptest.Directory("d", dir), snaptest.Directory("still", still)).ID)
	}
	o, err := s.Create(t.Context(), "source")
	must(t, err)
	_, err = o.Write([]byte("waste"))
	must(t, err)
	must(t, o.Commit(&manifest.Archive{SHA256: manifest.HashOf([]byte("waste"))}))
	return s, ids
}

// used returns how many bytes lie in a directory.
func used(t *testing.T, dir string) (n int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var fi fs.FileInfo
			if fi, err = d.Info(); err == nil {
				n += fi.Size()
			}
		}
		return err
	}))
	return n
}

// Only what is safe elsewhere goes, and of that the newest stay.
func TestRetain(t *testing.T) {
	for _, tt := range []struct {
		keep      int
		elsewhere string // of the snapshots, oldest first: + or -
		left      string
	}{
		{1, "-----", "11111"},
		{1, "+++++", "00001"},
		{0, "+++++", "00000"},
		{2, "+++++", "00011"},
		{9, "+++++", "11111"},
		{1, "++++-", "00011"},
		{1, "-++--", "10111"},
		{0, "+-+-+", "01010"},
		{2, "+-+-+", "01111"},
	} {
		s, ids := history(t, len(tt.elsewhere))
		before := used(t, s.Path())
		freed, err := s.Retain(t.Context(), tt.keep, func(id manifest.ID) bool {
			for i := range ids {
				if ids[i] == id {
					return tt.elsewhere[i] == '+'
				}
			}
			t.Errorf("asked about %s", id)
			return true
		})
		must(t, err)
		left := []byte(strings.Repeat("0", len(ids)))
		for _, e := range snaptest.ValidateAll(t, s.Store) {
			for i := range ids {
				if ids[i] == e.ID {
					left[i] = '1'
				}
			}
		}
		if string(left) != tt.left {
			t.Errorf("keep %d of %s: %s is left, want %s", tt.keep, tt.elsewhere, left, tt.left)
		}
		if got := before - used(t, s.Path()); got != freed || freed == 0 {
			t.Errorf("keep %d of %s: freed %d, it says %d", tt.keep, tt.elsewhere, got, freed)
		}
		if _, err := s.Stat(t.Context(), layout.ArchiveKey(manifest.HashOf([]byte("waste")))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what belongs to no snapshot is still there (%v)", err)
		}
		archives := 0
		for _, err := range s.ListArchives(t.Context()) {
			must(t, err)
			archives++
		}
		if n := strings.Count(tt.left, "1"); n == 0 && archives != 0 || n > 0 && archives != 2*n+1 {
			t.Errorf("%d archives for %d snapshots", archives, n)
		}
	}
}

// Of each source that the newest left out, as many copies stay as of the others.
func TestRetainWhatWasLeftOut(t *testing.T) {
	for _, tt := range []struct {
		keep int
		has  string // the sources, oldest first: d, e, b for both
		left string
	}{
		{1, "bbdd", "0101"},
		{2, "bbdd", "1111"},
		{1, "bbddee", "000101"},
		{1, "bbdb", "0001"},
		{1, "ddd", "001"},
		{0, "bd", "00"},
	} {
		s, dir := snaptest.Local(t), t.TempDir()
		var ids []manifest.ID
		for i, has := range tt.has {
			snaptest.WriteFile(t, filepath.Join(dir, "file"), 1000, snaptest.Random, uint64(i))
			opts := snapshot.Options{Stamp: manifest.StampOf(snaptest.Stamp.Time().Add(time.Duration(i) * time.Hour))}
			var sources []snapshot.Source
			for _, name := range []string{"d", "e"} {
				if has == 'b' || string(has) == name {
					sources = append(sources, snaptest.Directory(name, dir))
				} else {
					opts.Omitted = append(opts.Omitted, manifest.Omission{Source: name, Why: "not in --only"})
				}
			}
			ids = append(ids, snaptest.Take(t, s, opts, sources...).ID)
		}
		_, err := s.Retain(t.Context(), tt.keep, func(manifest.ID) bool { return true })
		must(t, err)
		listed := snaptest.ValidateAll(t, s.Store)
		left := ""
		for _, id := range ids {
			if slices.ContainsFunc(listed, func(e layout.Entry) bool { return e.ID == id }) {
				left += "1"
			} else {
				left += "0"
			}
		}
		if left != tt.left {
			t.Errorf("keep %d of %s: %s is left, want %s", tt.keep, tt.has, left, tt.left)
		}
	}
}

// Whatever fails, what is listed is whole.
func TestRetainWithFaults(t *testing.T) {
	snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
		s, ids := history(t, 3)
		good := s.Store
		s.Store = layout.Store{Store: snaptest.FaultyStore(good.Store, f)}
		_, err := s.Retain(t.Context(), 1, func(id manifest.ID) bool { return true })
		s.Store = good
		listed := snaptest.ValidateAll(t, s.Store)
		if len(listed) == 0 || listed[len(listed)-1].ID != ids[2] {
			t.Errorf("%d snapshots are left", len(listed))
		}
		if _, again := s.Retain(t.Context(), 1, func(id manifest.ID) bool { return true }); again != nil {
			t.Error(again)
		}
		if n := len(snaptest.ValidateAll(t, s.Store)); n != 1 {
			t.Errorf("%d snapshots are left after the next attempt", n)
		}
		return err
	})
}

// When what a snapshot needs is not known, no archive goes.
func TestRetainWithADamagedSnapshot(t *testing.T) {
	s, ids := history(t, 2)
	must(t, os.WriteFile(filepath.Join(s.Path(), layout.ManifestKey(ids[0])), []byte("damaged"), 0o600))
	count := func() (n int) {
		for _, err := range s.ListArchives(t.Context()) {
			must(t, err)
			n++
		}
		return n
	}
	before := count()
	if _, err := s.Retain(t.Context(), 1, func(manifest.ID) bool { return false }); err == nil || !strings.Contains(err.Error(), string(ids[0].Stamp)) {
		t.Errorf("Retain = %v", err)
	}
	if after := count(); after != before {
		t.Errorf("%d archives of %d are left", after, before)
	}
}
