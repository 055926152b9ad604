//go:build unix

package validate_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
	"lifeboat/transfer"
	"lifeboat/validate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A patient is a store that is damaged and healed again, and a whole copy of it.
type patient struct {
	id      manifest.ID
	store   *localstore.Store
	copy    layout.Store
	tree    map[string]snaptest.Entry
	objects map[string][]byte   // archives and manifest, by key
	files   map[string][]string // by key of an archive, what lies in it, directly or through a map
	tables  map[string]bool     // keys of the archives that the tables lie in
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	dir := filepath.Join(snaptest.TempDir(t), "d")
	snaptest.OddTree{Seed: 31, Entries: 14}.Make(t, dir)
	snaptest.WriteFile(t, filepath.Join(dir, "large"), 2<<20+1, snaptest.ZeroInner, 1)
	db, err := sqlitedb.OpenApp(filepath.Join(dir, "app.db"))
	must(t, err)
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA secure_delete=ON", "CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1100) INSERT INTO big SELECT i, printf('%.*c', 3900, 'x') FROM n",
		"DELETE FROM big WHERE id%2=0"} {
		_, err := db.Exec(q)
		must(t, err)
	}
	must(t, db.Close())
	p := &patient{store: snaptest.Local(t), objects: map[string][]byte{}, files: map[string][]string{}, tables: map[string]bool{}}
	more := filepath.Join(t.TempDir(), "more")
	snaptest.WriteFile(t, more, 1000, snaptest.Random, 1)
	p.id = snaptest.Take(t, p.store, snapshot.Options{}, snaptest.Directory("d", dir), snapshot.Source{Name: "m", Path: more}).ID
	p.copy = snaptest.Local(t).Store
	snap := snaptest.Open(t, p.id, p.store.Store)
	_, err = transfer.Copy(t.Context(), snap, []layout.Store{p.store.Store}, p.copy, transfer.Options{})
	must(t, err)
	for info, err := range p.store.List(t.Context(), "") {
		must(t, err)
		if strings.HasPrefix(info.Key, "archives/") || strings.HasPrefix(info.Key, "manifests/") {
			p.objects[info.Key], err = os.ReadFile(filepath.Join(p.store.Path(), info.Key))
			must(t, err)
		}
	}
	for _, r := range snap.Head.Roots {
		p.tables[layout.ArchiveKey(r.SHA256)] = true
	}
	for f, err := range snap.Files(t.Context()) {
		must(t, err)
		in := map[string]bool{}
		for _, m := range f.Maps {
			in[layout.ArchiveKey(m.Archive)] = true
		}
		for e, err := range snap.Extents(t.Context(), f) {
			must(t, err)
			if !e.IsZeros() {
				in[layout.ArchiveKey(e.Archive)] = true
			}
		}
		for key := range in {
			p.files[key] = append(p.files[key], f.Path)
		}
	}
	p.tree = snaptest.Walk(t, dir)
	if len(p.objects) != 5 || len(p.files) != 3 {
		t.Fatalf("%d objects, %d of them with files; want two archives of data, one of maps, one of tables, and a manifest", len(p.objects), len(p.files))
	}
	return p
}

// keys returns the keys of the objects, in order.
func (p *patient) keys() []string { return slices.Sorted(maps.Keys(p.objects)) }

// set gives an object other bytes, or removes it.
func (p *patient) set(t *testing.T, key string, data []byte) {
	t.Helper()
	path := filepath.Join(p.store.Path(), key)
	if data == nil {
		must(t, os.Remove(path))
		return
	}
	must(t, os.WriteFile(path, data, 0o600))
}

func (p *patient) heal(t *testing.T) {
	t.Helper()
	for key, data := range p.objects {
		p.set(t, key, data)
	}
}

func (p *patient) check(t *testing.T, readData bool) *validate.Report {
	t.Helper()
	scratch := t.TempDir()
	r, err := validate.Check(t.Context(), p.id, p.store.Store, validate.Options{ReadData: readData, Workers: 2, Scratch: scratch})
	must(t, err)
	snaptest.Empty(t, scratch)
	if r.OK != (len(r.Findings) == 0) {
		t.Errorf("OK is %v with %d findings", r.OK, len(r.Findings))
	}
	return r
}

// named fails the test unless the report names an object, and the files that are touched.
func (p *patient) named(t *testing.T, r *validate.Report, key string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Object != key {
			continue
		}
		if want := p.files[key]; len(want) > 0 {
			if diff := cmp.Diff(want, f.Files); diff != "" || f.Count != int64(len(want)) {
				t.Errorf("%s touches %d files:\n%s", key, f.Count, diff)
			}
		}
		return
	}
	t.Errorf("nothing names %s: %+v", key, r.Findings)
}

// refused fails the test if a restore does anything but succeed, with the right result, or leave no trace.
func (p *patient) refused(t *testing.T, mustFail bool) {
	t.Helper()
	parent := snaptest.TempDir(t)
	target := filepath.Join(parent, "target")
	snap, err := layout.OpenSnapshot(t.Context(), p.id, 2, p.store.Store)
	if err == nil {
		_, err = restore.Run(t.Context(), snap, restore.Options{Target: target})
	}
	switch {
	case err != nil:
		snaptest.Empty(t, parent)
	case mustFail:
		t.Error("the restore succeeded")
	default:
		p.restored(t, target)
	}
	target = snaptest.Restore(t, p.id, restore.Options{}, p.store.Store, p.copy)
	p.restored(t, target)
}

func (p *patient) restored(t *testing.T, target string) {
	t.Helper()
	if diff := snaptest.Diff(p.tree, snaptest.Walk(t, filepath.Join(target, "d")), 0o6000); diff != "" {
		t.Error(diff)
	}
}

// A flipped bit anywhere is found, and the object and the files are named.
func TestFlippedBits(t *testing.T) {
	p := newPatient(t)
	places := 40
	if testing.Short() {
		places = 12
	}
	random := rand.New(rand.NewPCG(1, 2))
	n := 0
	for _, key := range p.keys() {
		good := p.objects[key]
		at := []int{0, 4, len(good) / 2, len(good) - 1}
		for range places {
			at = append(at, random.IntN(len(good)))
		}
		for i, at := range at {
			bad := slices.Clone(good)
			bad[at] ^= 1 << random.IntN(8)
			p.set(t, key, bad)
			r := p.check(t, true)
			p.named(t, r, key)
			if !strings.HasPrefix(key, "archives/") && r.Findings[0].Code != validate.ManifestDamaged {
				t.Errorf("a damaged manifest is %s", r.Findings[0].Code)
			}
			if quick := p.check(t, false); quick.OK && strings.HasPrefix(key, "manifests/") {
				t.Error("without its data, a damaged manifest is not found")
			}
			if i < 6 {
				p.refused(t, false)
			}
			if t.Failed() {
				t.Fatalf("that was with byte %d of %s flipped", at, key)
			}
			n++
		}
		p.set(t, key, good)
	}
	if r := p.check(t, true); !r.OK || r.Files == 0 || r.Archives != 4 || len(r.Databases) != 1 {
		t.Errorf("healed: %+v", r)
	}
	t.Logf("%d bits were flipped", n)
}

// What a piece of a table was damaged to is found without reading data. A flip that decodes to the same bytes, as when zeros are copied from
// another place, did the piece no harm, and shows when the archive is read.
func TestFlippedBitsInTables(t *testing.T) {
	p := newPatient(t)
	snap := snaptest.Open(t, p.id, p.store.Store)
	frame := snap.Head.Roots[0].Frames[0] // which holds all pieces; what follows is the chunk index
	n, harmless := 0, 0
	for key := range p.tables {
		for at := int64(0); at < frame; at += max(1, frame/50) {
			bad := slices.Clone(p.objects[key])
			bad[at] ^= 4
			p.set(t, key, bad)
			r := p.check(t, false)
			if r.OK {
				harmless++
				r = p.check(t, true)
			}
			p.named(t, r, key)
			if t.Failed() {
				t.Fatalf("that was with byte %d of %s flipped", at, key)
			}
			n++
		}
	}
	if t.Logf("%d bits were flipped, %d without harm", n, harmless); harmless > 5 {
		t.Error("too many")
	}
}

// An object that is missing, of another length, or another object, is found; where only its length is wrong, or it is gone,
// without reading data.
func TestDamagedObjects(t *testing.T) {
	p := newPatient(t)
	keys := p.keys()
	for i, key := range keys {
		good := p.objects[key]
		damages := map[string][]byte{
			"removed": nil, "emptied": {}, "cut to a byte": good[:1], "cut in half": good[:len(good)/2], "cut by a byte": good[:len(good)-1],
			"with a byte more": append(slices.Clone(good), 0), "twice": append(slices.Clone(good), good...), "zeros": make([]byte, len(good)),
			"swapped": p.objects[keys[(i+1)%len(keys)]],
		}
		for name, bad := range damages {
			p.set(t, key, bad)
			p.named(t, p.check(t, true), key)
			if len(bad) != len(good) {
				p.named(t, p.check(t, false), key)
			}
			p.refused(t, name != "twice" && name != "with a byte more" && !strings.HasPrefix(name, "cut by"))
			if t.Failed() {
				t.Fatalf("that was %s %s", key, name)
			}
		}
		p.set(t, key, good)
	}
}

// Two objects that have changed places, and everything gone.
func TestSeveralDamages(t *testing.T) {
	p := newPatient(t)
	keys := p.keys()
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			p.set(t, a, p.objects[b])
			p.set(t, b, p.objects[a])
			named := map[string]bool{}
			for _, f := range p.check(t, true).Findings {
				named[f.Object] = true
			}
			// What else is damaged is not known when the manifest or a table is.
			isKey := func(key string) bool { return strings.HasPrefix(key, "manifests/") || p.tables[key] }
			if !named[b] && !(isKey(a) && named[a]) || !named[a] && !(isKey(b) && named[b]) {
				t.Errorf("%s and %s have changed places, and these are named: %v", a, b, named)
			}
			p.heal(t)
		}
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "archives/") {
			p.set(t, key, nil)
		}
	}
	r := p.check(t, false)
	for key := range p.tables {
		p.named(t, r, key)
	}
	p.refused(t, true)
}

// Whatever the store fails at, that is an error and no finding.
func TestFaultsAreNoFindings(t *testing.T) {
	snaptest.NoLeaks(t)
	p := newPatient(t)
	scratch := t.TempDir()
	for _, readData := range []bool{false, true} {
		t.Run(fmt.Sprintf("read data %v", readData), func(t *testing.T) {
			snaptest.EachFault(t, func(t *testing.T, f *snaptest.Faults) error {
				store := layout.Store{Store: snaptest.FaultyStore(p.store.Store.Store, f)}
				r, err := validate.Check(t.Context(), p.id, store, validate.Options{ReadData: readData, Workers: 2, Scratch: scratch})
				snaptest.Empty(t, scratch)
				if err == nil && !r.OK {
					t.Errorf("a failure of the store became a finding: %+v", r.Findings)
				}
				if err == nil && f.Hit() && readData {
					t.Log("a fault was passed over")
				}
				return err
			})
		})
	}
}

// A file whose digest the manifest has wrong, though every archive is right.
func TestWrongDigest(t *testing.T) {
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: "evil", Bytes: 4, Lines: []string{
		`{"path":"d","type":"directory","mode":"0755"}`,
		`{"path":"d/f","type":"file","mode":"0644","size":%N,"sha256":"` + strings.Repeat("12", 32) + `","chunk":4,"extents":[%A]}`,
	}}.Forge(t, local)
	r, err := validate.Check(t.Context(), id, local.Store, validate.Options{ReadData: true, Scratch: t.TempDir()})
	must(t, err)
	if r.OK || len(r.Findings) != 1 || r.Findings[0].Code != validate.FileDigest || !slices.Equal(r.Findings[0].Files, []string{"d/f"}) {
		t.Errorf("%+v", r)
	}
}

// A database that is corrupt is found, also when it was so from the beginning.
func TestCorruptDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sqlitedb.OpenApp(path)
	must(t, err)
	_, err = db.Exec("CREATE TABLE t(a); CREATE INDEX i ON t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT randomblob(100) FROM n")
	must(t, err)
	must(t, db.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("damage", 200)), 20*4096)
	must(t, err)
	must(t, f.Close())
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, snapshot.Source{Name: "db", Path: path}).ID
	r, err := validate.Check(t.Context(), id, local.Store, validate.Options{ReadData: true, Scratch: t.TempDir()})
	must(t, err)
	if r.OK || len(r.Findings) != 1 || r.Findings[0].Code != validate.DatabaseCorrupt || !slices.Equal(r.Findings[0].Files, []string{"db/app.db"}) || r.Findings[0].Detail == "" {
		t.Errorf("%+v", r)
	}
}

// A snapshot that is not there.
func TestAbsentSnapshot(t *testing.T) {
	local := snaptest.Local(t)
	id := manifest.ID{Stamp: snaptest.Stamp, SHA256: manifest.Hash{1}}
	r, err := validate.Check(t.Context(), id, local.Store, validate.Options{})
	must(t, err)
	if r.OK || r.Findings[0].Object != layout.ManifestKey(id) {
		t.Errorf("%+v", r)
	}
	must(t, os.RemoveAll(local.Path()))
	if _, err := validate.Check(t.Context(), id, local.Store, validate.Options{}); err == nil || os.IsNotExist(err) {
		t.Errorf("a store that is not mounted: %v", err)
	}
}

// Only a part is read: what is damaged in it is found, and in the rest is not; what was read is counted; and an archive that was verified
// in the same run is not read again, and what was found is told again.
func TestPart(t *testing.T) {
	p := newPatient(t)
	snap := snaptest.Open(t, p.id, p.store.Store)
	all := map[manifest.Hash]int64{}
	must(t, validate.Archives(t.Context(), snap, func(a *manifest.Archive) { all[a.SHA256] = a.Size }))
	archives := 0
	for _, key := range p.keys() {
		if p.tables[key] || strings.HasPrefix(key, "manifests/") {
			continue
		}
		bad := slices.Clone(p.objects[key])
		bad[len(bad)-1] ^= 1
		p.set(t, key, bad)
		if !p.check(t, false).OK {
			p.set(t, key, p.objects[key]) // an archive of maps, which are always read
			continue
		}
		archives++
		found := 0
		for h, size := range all {
			verified := new(validate.Verified)
			for again := range 2 {
				r, err := validate.Check(t.Context(), p.id, p.store.Store, validate.Options{ReadData: true, Part: map[manifest.Hash]bool{h: true}, Verified: verified, Workers: 2})
				must(t, err)
				if want := (validate.Read{Archives: 1, Bytes: size, OfArchives: 4, OfBytes: r.Read.OfBytes}); *r.Read != want || r.ReadData || len(r.Databases) > 0 {
					t.Errorf("read %+v, want %+v; %+v", *r.Read, want, r)
				}
				if r.OK != (layout.ArchiveKey(h) != key) {
					t.Errorf("with %s damaged and %s read: %+v", key, layout.ArchiveKey(h), r.Findings)
				}
				if !r.OK {
					found++
					p.named(t, r, key)
				}
				if again == 0 {
					p.set(t, key, p.objects[key]) // it is not read again, so it does not matter
				}
			}
			p.set(t, key, bad)
		}
		if found != 2 {
			t.Errorf("%s was found damaged %d times, want 2", key, found)
		}
		p.set(t, key, p.objects[key])
	}
	if archives != 2 {
		t.Errorf("%d archives were tried, want 2", archives)
	}
}
