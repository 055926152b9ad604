//go:build unix

package transfer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/remote"
	"lifeboat/restore"
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

func directory(t *testing.T) layout.Store {
	t.Helper()
	dir, err := remote.NewDir(filepath.Join(t.TempDir(), "remote"), remote.DirOptions{Create: true})
	must(t, err)
	return layout.Store{Store: dir}
}

// application makes three sources, each of which has an archive of its own.
func application(t *testing.T) (sources []snapshot.Source, trees map[string]map[string]snaptest.Entry) {
	t.Helper()
	trees = map[string]map[string]snaptest.Entry{}
	for i, name := range []string{"a", "b", "c"} {
		dir := filepath.Join(snaptest.TempDir(t), name)
		snaptest.OddTree{Seed: uint64(21 + i), Entries: 8}.Make(t, dir)
		snaptest.WriteFile(t, filepath.Join(dir, "some"), 100_000, snaptest.Random, uint64(i))
		sources = append(sources, snaptest.Directory(name, dir))
		trees[name] = snaptest.Walk(t, dir)
	}
	return sources, trees
}

// taken is a snapshot of three archives of data and one of tables, and what it is of.
func taken(t *testing.T) (res *snapshot.Result, local *localstore.Store, trees map[string]map[string]snaptest.Entry) {
	t.Helper()
	sources, trees := application(t)
	local = snaptest.Local(t)
	res = snaptest.Take(t, local, snapshot.Options{}, sources...)
	if res.Head.Stats.ArchivesNew != 4 {
		t.Fatalf("%d archives", res.Head.Stats.ArchivesNew)
	}
	return res, local, trees
}

func whole(t *testing.T, id manifest.ID, trees map[string]map[string]snaptest.Entry, places ...layout.Store) {
	t.Helper()
	target := snaptest.Restore(t, id, restore.Options{}, places...)
	for name, tree := range trees {
		if diff := snaptest.Diff(tree, snaptest.Walk(t, filepath.Join(target, name)), 0o6000); diff != "" {
			t.Error(diff)
		}
	}
}

// A snapshot goes from store to store, whatever they are, and nothing is sent twice.
func TestCopy(t *testing.T) {
	res, local, trees := taken(t)
	for name, path := range map[string][]layout.Store{
		"directory": {directory(t), directory(t)},
		"memory":    {memory(), memory()},
		"mixed":     {memory(), directory(t), memory()},
	} {
		from := local.Store
		for _, to := range path {
			var planned, progress atomic.Int64
			opts := transfer.Options{Plan: func(n int64) { planned.Add(n) }, Progress: func(n int64) { progress.Add(n) }}
			snap := snaptest.Open(t, res.ID, from)
			got, err := transfer.Copy(t.Context(), snap, []layout.Store{from}, to, opts)
			must(t, err)
			if want := res.Head.Stats.StoredBytes; got.Archives != 4 || got.Present != 0 || got.Bytes != want+int64(len(snap.Stored)) || planned.Load() != want || progress.Load() != want {
				t.Errorf("%s: %+v, planned %d, progress %d, want %d", name, got, planned.Load(), progress.Load(), want)
			}
			got, err = transfer.Copy(t.Context(), snap, []layout.Store{from}, to, transfer.Options{})
			must(t, err)
			if got.Archives != 0 || got.Present != 4 {
				t.Errorf("%s: the second time %+v", name, got)
			}
			snaptest.Validate(t, res.ID, to)
			from = to
		}
		whole(t, res.ID, trees, from)
	}
}

// objects returns the keys of archives in a store.
func objects(t *testing.T, s layout.Store) []string {
	t.Helper()
	var keys []string
	for a, err := range s.ListArchives(t.Context()) {
		must(t, err)
		keys = append(keys, layout.ArchiveKey(a.SHA256))
	}
	return keys
}

// Whatever fails at either end, the other end lists nothing that does not validate, and the next attempt completes it.
func TestCopyWithFaults(t *testing.T) {
	snaptest.NoLeaks(t)
	res, local, _ := taken(t)
	via := memory()
	_, err := transfer.Copy(t.Context(), snaptest.Open(t, res.ID, local.Store), []layout.Store{local.Store}, via, transfer.Options{})
	must(t, err)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for name, from := range map[string]layout.Store{"from a directory": local.Store, "from elsewhere": via} {
		t.Run(name, func(t *testing.T) {
			attempt := func(t *testing.T, ctx context.Context, from, to, good layout.Store, f *snaptest.Faults) error {
				snap := snaptest.Open(t, res.ID, local.Store)
				got, err := transfer.Copy(ctx, snap, []layout.Store{from}, to, transfer.Options{Concurrency: 2})
				if left, _ := filepath.Glob(filepath.Join(temp, "lifeboat-*")); len(left) > 0 {
					t.Errorf("%q were left behind", left)
				}
				listed := snaptest.ValidateAll(t, good)
				if err == nil {
					if len(listed) != 1 || got.Archives+got.Present != 4 {
						t.Errorf("success, %d snapshots, %+v", len(listed), got)
					}
					return nil
				}
				if !errors.Is(err, snaptest.ErrFault) && !errors.Is(err, context.Canceled) {
					t.Errorf("Copy = %v, which is not the fault", err)
				}
				if errors.Is(err, transfer.ErrUnreadable) {
					t.Errorf("Copy = %v, which takes a failure for damage", err)
				}
				_, again := transfer.Copy(t.Context(), snap, []layout.Store{local.Store}, good, transfer.Options{})
				must(t, again)
				snaptest.Validate(t, res.ID, good)
				return err
			}
			snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
				good := memory()
				return attempt(t, t.Context(), from, layout.Store{Store: snaptest.FaultyStore(good.Store, f)}, good, f)
			})
			snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
				good := memory()
				return attempt(t, t.Context(), layout.Store{Store: snaptest.FaultyStore(from.Store, f)}, good, good, f)
			})
			snaptest.EachCancel(t, func(t *testing.T, ctx context.Context, f *snaptest.Faults) error {
				good := memory()
				return attempt(t, ctx, from, layout.Store{Store: snaptest.FaultyStore(good.Store, f)}, good, f)
			})
		})
	}
}

// damage replaces an object of a store by what change makes of it; nil removes it.
func damage(t *testing.T, s layout.Store, key string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(s.Store.(interface{ Path() string }).Path(), key)
	data, err := os.ReadFile(path)
	must(t, err)
	if data = change(data); data == nil {
		must(t, os.Remove(path))
		return
	}
	must(t, os.WriteFile(path, data, 0o600))
}

// pathed is a directory store that knows where it lies.
type pathed struct {
	*remote.Dir
	path string
}

func (p pathed) Path() string { return p.path }

func pathedCopy(t *testing.T, local *localstore.Store, id manifest.ID) layout.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy")
	dir, err := remote.NewDir(path, remote.DirOptions{Create: true})
	must(t, err)
	s := layout.Store{Store: pathed{dir, path}}
	_, err = transfer.Copy(t.Context(), snaptest.Open(t, id, local.Store), []layout.Store{local.Store}, s, transfer.Options{})
	must(t, err)
	return s
}

// An archive that is damaged or missing in one place comes from the next; if there is none, the place is named and
// nothing is committed.
func TestCopyFromDamagedPlaces(t *testing.T) {
	res, local, _ := taken(t)
	for name, change := range map[string]func([]byte) []byte{
		"flipped":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":      func(b []byte) []byte { return b[:len(b)-1] },
		"emptied":  func([]byte) []byte { return []byte{} },
		"appended": func(b []byte) []byte { return append(b, 0) },
		"removed":  func([]byte) []byte { return nil },
	} {
		for _, network := range []bool{false, true} {
			bad := pathedCopy(t, local, res.ID)
			key := objects(t, bad)[1]
			damage(t, bad, key, change)
			from := bad
			if network { // a store that cannot open files
				from = layout.Store{Store: struct{ remote.Store }{bad.Store}}
			}
			snap := snaptest.Open(t, res.ID, local.Store)
			to := memory()
			_, err := transfer.Copy(t.Context(), snap, []layout.Store{from}, to, transfer.Options{})
			if name == "appended" && err == nil && !network {
				snaptest.Validate(t, res.ID, to) // what is too much was not read
			} else if !errors.Is(err, transfer.ErrUnreadable) {
				t.Errorf("%s, over a network %v: Copy = %v", name, network, err)
			} else if list := snaptest.ValidateAll(t, to); len(list) > 0 {
				t.Errorf("%s: %d snapshots", name, len(list))
			}
			var damaged *archive.DamageError
			if err != nil && name != "removed" && (!errors.As(err, &damaged) || damaged.Object != key || damaged.Store != bad.String()) {
				t.Errorf("%s: Copy = %v, which does not name %s of %s", name, err, key, bad)
			}
			if name == "removed" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("removed: Copy = %v", err)
			}
			_, err = transfer.Copy(t.Context(), snap, []layout.Store{from, local.Store}, to, transfer.Options{})
			must(t, err)
			snaptest.Validate(t, res.ID, to)
		}
	}
}

// What lies in the target with another size is not what is meant, and is replaced.
func TestCopyRepairsWhatIsShort(t *testing.T) {
	res, local, _ := taken(t)
	to := pathedCopy(t, local, res.ID)
	for _, key := range objects(t, to) {
		damage(t, to, key, func(b []byte) []byte { return b[:len(b)/2] })
	}
	snap := snaptest.Open(t, res.ID, local.Store)
	got, err := transfer.Copy(t.Context(), snap, []layout.Store{local.Store}, to, transfer.Options{})
	must(t, err)
	if got.Archives != 4 {
		t.Errorf("%+v", got)
	}
	snaptest.Validate(t, res.ID, to)
}

// A copy from nowhere is an error.
func TestCopyFromNowhere(t *testing.T) {
	res, local, _ := taken(t)
	if _, err := transfer.Copy(t.Context(), snaptest.Open(t, res.ID, local.Store), nil, memory(), transfer.Options{}); err == nil {
		t.Error("no error")
	}
}
