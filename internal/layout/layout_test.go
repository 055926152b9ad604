//go:build unix

package layout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/snapshot"
	"lifeboat/transfer"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func memory() layout.Store { return layout.Store{Store: remote.NewMemory(nil)} }

func put(t *testing.T, s layout.Store, key, data string) {
	t.Helper()
	must(t, s.Put(t.Context(), key, remote.Body{ReaderAt: strings.NewReader(data), Size: int64(len(data)), SHA256: manifest.HashOf([]byte(data))}, remote.PutOptions{}))
}

func TestMarker(t *testing.T) {
	const rest = `"id":"3f0c2a52-7a52-4a37-9a55-0b7f0f6a2d11","app":"app","created":"2026-01-02T03:04:05Z"}`
	const good = `{"format":"lifeboat/1",` + rest
	newer := new(manifest.FormatError)
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, tt := range []struct {
		text string
		want error // or newer
	}{
		{good, nil},
		{change(`"id"`, `"later":[{"x":true}],"id"`), nil},
		{" \n" + good + "\n", nil},
		{change("lifeboat/1", "lifeboat/2"), newer},
		{`{"format":"lifeboat/2"}`, newer},
		{change("lifeboat/1", "rescue/1"), manifest.ErrInvalid},
		{change(`"app":"app"`, `"app":"../app"`), manifest.ErrInvalid},
		{change(`"app":"app"`, `"app":"a\u001b[2Jb"`), manifest.ErrInvalid},
		{change(`"app":"app",`, ``), manifest.ErrInvalid},
		{change(`"app"`, `"App"`), manifest.ErrInvalid},
		{change(`"app"`, `"app":"other","app"`), manifest.ErrInvalid},
		{change(`"app":"app"`, `"app":null`), manifest.ErrInvalid},
		{change("3f0c2a52", "3F0c2a52"), manifest.ErrInvalid},
		{change("3f0c2a52", "../../ab"), manifest.ErrInvalid},
		{change(`"3f0c2a52-7a52-4a37-9a55-0b7f0f6a2d11"`, `""`), manifest.ErrInvalid},
		{change(`,"created":"2026-01-02T03:04:05Z"`, ``), manifest.ErrInvalid},
		{change("04:05Z", "04:05+01:00"), manifest.ErrInvalid},
		{change("2026-01-02", "2026-13-02"), manifest.ErrInvalid},
		{change("app", strings.Repeat("a", 65)), manifest.ErrInvalid},
		{change(`"id"`, `"x":`+strings.Repeat("[", 17)+strings.Repeat("]", 17)+`,"id"`), manifest.ErrInvalid},
		{good[:len(good)-1], manifest.ErrInvalid},
		{good + good, manifest.ErrInvalid},
		{`{}`, manifest.ErrInvalid},
		{``, manifest.ErrInvalid},
		{`"lifeboat/1"`, manifest.ErrInvalid},
		{"<html>404 Not Found</html>", manifest.ErrInvalid},
		{"\xff" + good, manifest.ErrInvalid},
		{strings.Repeat(" ", 1<<17) + good, manifest.ErrInvalid},
	} {
		s := memory()
		put(t, s, layout.MarkerKey, tt.text)
		m, err := s.Marker(t.Context())
		ok := errors.Is(err, tt.want)
		if tt.want == newer {
			ok = errors.As(err, new(*manifest.FormatError))
		}
		if !ok || (err == nil) != (m.App == "app") {
			t.Errorf("%.80q: %+v, %v", tt.text, m, err)
		}
	}
	if _, err := memory().Marker(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no marker: %v", err)
	}
}

// Objects with other names are nobody's.
func TestOtherObjectsAreIgnored(t *testing.T) {
	s := memory()
	hash := strings.Repeat("ab", 32)
	for _, key := range []string{
		"manifests/20260102T030405Z-" + hash + ".json.zst", "manifests/20260101T030405Z-" + hash + ".json.zst",
		"manifests/20260102T030405Z-" + hash + ".json", "manifests/20260102T030405Z-" + hash + ".json.zst.part", "manifests/20260102-" + hash + ".json.zst",
		"manifests/20260102T030405Z-" + strings.ToUpper(hash) + ".json.zst", "manifests/sub/20260102T030405Z-" + hash + ".json.zst", "manifests/x",
		"removed/20260103T030405Z-" + hash + ".json.zst",
		"archives/" + hash + ".tar.zst", "archives/" + hash + ".tar", "archives/" + strings.ToUpper(hash) + ".tar.zst", "archives/x.tar.zst", "archives/sub/" + hash + ".tar.zst", "lock",
	} {
		put(t, s, key, "x")
	}
	entries, err := s.Snapshots(t.Context())
	must(t, err)
	if len(entries) != 2 || entries[0].ID.Stamp != "20260101T030405Z" || entries[1].ID.Stamp != "20260102T030405Z" || entries[0].Size != 1 {
		t.Errorf("snapshots %+v", entries)
	}
	n := 0
	for a, err := range s.ListArchives(t.Context()) {
		must(t, err)
		if n++; a.SHA256.String() != hash || a.Size != 1 {
			t.Errorf("archive %+v", a)
		}
	}
	if n != 1 {
		t.Errorf("%d archives", n)
	}
}

// seal commits a snapshot without files. A head is never as small as this one would be, and the content size of a zstd frame of less
// than 256 bytes may be left out.
func seal(t *testing.T, s layout.Store, stamp string, change func(h *manifest.Head)) manifest.ID {
	t.Helper()
	h := &manifest.Head{Format: manifest.Format, App: "app", Kind: manifest.Backup, Stamp: manifest.Stamp(stamp), Tool: strings.Repeat("tool", 64), Finished: time.Unix(1, 0).UTC(),
		State: manifest.Complete, Consistency: manifest.Consistency{Level: manifest.Stable}}
	if change != nil {
		change(h)
	}
	id, stored, err := layout.SealManifest(h)
	must(t, err)
	must(t, s.Commit(t.Context(), id, stored))
	must(t, s.Commit(t.Context(), id, stored)) // once more is harmless
	return id
}

// What "latest" means, and why what is newer is not it.
func TestResolve(t *testing.T) {
	a, b := memory(), memory()
	oldest := seal(t, a, "20260101T000000Z", nil)
	good := seal(t, b, "20260102T000000Z", nil)
	incomplete := seal(t, a, "20260103T000000Z", func(h *manifest.Head) { h.State = manifest.Incomplete })
	safety := seal(t, a, "20260104T000000Z", func(h *manifest.Head) { h.Kind = manifest.Safety })
	corrupt := seal(t, b, "20260105T000000Z", func(h *manifest.Head) {
		h.Problems, h.ProblemCount = []manifest.Problem{{Source: "d", Path: "d/x", Kind: layout.ProblemCorrupt}}, 1
	})
	damaged := seal(t, b, "20260106T000000Z", nil)
	put(t, b, layout.ManifestKey(damaged), "damaged")
	future := seal(t, a, "20260201T000000Z", nil)
	now := time.Date(2026, 1, 7, 0, 0, 0, 0, time.UTC)
	c, err := layout.List(t.Context(), a, b)
	must(t, err)
	resolve := func(text string) (manifest.ID, []manifest.Skipped, error) {
		ref, err := manifest.ParseRef(text, time.UTC)
		must(t, err)
		return c.Resolve(t.Context(), ref, now)
	}
	id, skipped, err := resolve("latest")
	must(t, err)
	if id != good {
		t.Errorf("latest is %s", id)
	}
	var passed []manifest.ID
	for _, s := range skipped {
		passed = append(passed, s.ID)
		if s.Why == "" {
			t.Errorf("%s was passed over for no reason", s.ID)
		}
	}
	if want := []manifest.ID{future, damaged, corrupt, safety, incomplete}; !slices.Equal(passed, want) {
		t.Errorf("passed over %v", skipped)
	}
	for text, want := range map[string]manifest.ID{"20260103T000000Z": incomplete, "20260104": safety, oldest.String(): oldest, "latest@2026-01-01T12:00:00Z": oldest} {
		if id, _, err := resolve(text); err != nil || id != want {
			t.Errorf("%s is %s (%v)", text, id, err)
		}
	}
	if _, _, err := resolve("20250101"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a snapshot that is not there: %v", err)
	}
	if where := c.Where(good); len(where) != 1 || where[0] != b {
		t.Errorf("%s is in %v", good, where)
	}
}

// gone is a store that does not answer, or only lists.
type gone struct {
	remote.Store
	lists bool
}

func (g gone) err() error { return fmt.Errorf("no route to host: %w", remote.ErrUnavailable) }

func (g gone) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, g.err()
}

func (g gone) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	if g.lists {
		return g.Store.List(ctx, prefix)
	}
	return func(yield func(remote.Info, error) bool) { yield(remote.Info{}, g.err()) }
}

// A place that does not answer is an error, and no reason to take an older snapshot for the latest.
func TestResolveWithAnUnreachablePlace(t *testing.T) {
	a, b := memory(), memory()
	old := seal(t, a, "20260101T000000Z", nil)
	seal(t, b, "20260102T000000Z", nil)
	c, err := layout.List(t.Context(), a, layout.Store{Store: gone{Store: b.Store}})
	if c == nil || !errors.Is(err, remote.ErrUnavailable) || len(c.IDs) != 1 || c.IDs[0] != old {
		t.Errorf("List = %+v, %v", c, err)
	}
	if c, err := layout.List(t.Context(), layout.Store{Store: gone{Store: b.Store}}); c != nil || !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("List = %+v, %v", c, err)
	}
	c, err = layout.List(t.Context(), a, layout.Store{Store: gone{Store: b.Store, lists: true}})
	must(t, err)
	ref, err := manifest.ParseRef("latest", time.UTC)
	must(t, err)
	if id, _, err := c.Resolve(t.Context(), ref, time.Now()); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Resolve = %s, %v", id, err)
	}
}

// A manifest whose bytes are not those of its name, or not a manifest of that name, is refused.
func TestManifestOfAnotherName(t *testing.T) {
	s := memory()
	id := seal(t, s, "20260101T000000Z", nil)
	_, stored, err := s.Manifest(t.Context(), id)
	must(t, err)
	renamed := manifest.ID{Stamp: "20260102T000000Z", SHA256: id.SHA256}
	put(t, s, layout.ManifestKey(renamed), string(stored))
	if _, _, err := s.Manifest(t.Context(), renamed); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("another stamp: %v", err)
	}
	for i := range stored {
		bad := bytes.Clone(stored)
		bad[i] ^= 1
		put(t, s, layout.ManifestKey(id), string(bad))
		if _, _, err := s.Manifest(t.Context(), id); !errors.Is(err, layout.ErrDamaged) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, text := range []string{"", "no zstd", "\x28\xb5\x2f\xfd"} {
		id := manifest.ID{Stamp: "20260103T000000Z", SHA256: manifest.HashOf([]byte(text))}
		put(t, s, layout.ManifestKey(id), text)
		if _, _, err := s.Manifest(t.Context(), id); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := layout.OpenSnapshot(t.Context(), id, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenSnapshot in no place = %v", err)
	}
}

// A snapshot that several goroutines read, file by file, each in another order.
func TestSnapshotIsForSeveral(t *testing.T) {
	dir := snaptest.TempDir(t)
	snaptest.OddTree{Seed: 41, Entries: 200}.Make(t, dir)
	want := snaptest.Walk(t, dir)
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir)).ID
	snap := snaptest.Open(t, id, local.Store)
	var files []*manifest.File
	for f, err := range snap.Files(t.Context()) {
		must(t, err)
		if f.Type == manifest.Regular {
			files = append(files, f)
		}
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range files {
				f := files[(i*7+n*31)%len(files)]
				var out bytes.Buffer
				if err := snap.Copy(t.Context(), &out, f); err != nil {
					t.Error(err)
				} else if got := manifest.HashOf(out.Bytes()).String(); got != want[strings.TrimPrefix(f.Path, "d/")].SHA256 {
					t.Errorf("%s has SHA-256 %s", f.Path, got)
				}
				for from, err := range snap.FilesFrom(t.Context(), f.Path) {
					if err != nil || from.Path != f.Path {
						t.Errorf("FilesFrom(%q) begins with %v (%v)", f.Path, from, err)
					}
					break
				}
			}
		})
	}
	wg.Wait()
	if _, err := snap.Archive(t.Context(), manifest.Hash{1}); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("an archive that is not of the snapshot: %v", err)
	}
}

// Content that is not what the manifest says is not passed off as the file.
func TestCopyOfWrongContent(t *testing.T) {
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: "evil", Bytes: 4, Lines: []string{
		`{"path":"d","type":"directory","mode":"0755"}`,
		`{"path":"d/f","type":"file","mode":"0644","size":%N,"sha256":"` + strings.Repeat("12", 32) + `","chunk":4,"extents":[%A]}`,
	}}.Forge(t, local)
	snap := snaptest.Open(t, id, local.Store)
	for f, err := range snap.Files(t.Context()) {
		must(t, err)
		if f.Type != manifest.Regular {
			continue
		}
		err = snap.Copy(t.Context(), io.Discard, f)
		var digest *layout.DigestError
		if !errors.As(err, &digest) || !errors.Is(err, layout.ErrDigest) || digest.Path != "d/f" {
			t.Errorf("Copy = %v", err)
		}
	}
}

// A damaged place is passed over for one that is whole; damage in both is named.
func TestReadFromTheNextPlace(t *testing.T) {
	dir := t.TempDir()
	snaptest.WriteFile(t, dir+"/file", 3<<20, snaptest.Random, 1)
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir)).ID
	bad := memory()
	_, err := transfer.Copy(t.Context(), snaptest.Open(t, id, local.Store), []layout.Store{local.Store}, bad, transfer.Options{})
	must(t, err)
	for a, err := range bad.ListArchives(t.Context()) {
		must(t, err)
		put(t, bad, layout.ArchiveKey(a.SHA256), strings.Repeat("x", int(a.Size)))
	}
	read := func(places ...layout.Store) error {
		snap := snaptest.Open(t, id, places...)
		for f, err := range snap.Files(t.Context()) {
			if err == nil && f.Type == manifest.Regular {
				err = snap.Copy(t.Context(), io.Discard, f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	must(t, read(bad, local.Store))
	var damage *archive.DamageError
	if err := read(bad); !errors.As(err, &damage) || damage.Store != bad.String() {
		t.Errorf("from a damaged place alone: %v", err)
	}
}
