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
	"text/tabwriter"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
	"lifeboat/recovery"
	"lifeboat/remote"
	"lifeboat/snapshot"
	"lifeboat/transfer"
	"lifeboat/validate"
)

// A tiny store is one of a few KiB, in memory, so that every byte of it can be damaged.
type tiny struct {
	id      manifest.ID
	store   layout.Store
	marker  layout.Marker
	objects map[string][]byte
	files   map[string][]string // by key of an archive
	scratch string
}

// newTiny captures sources into a store and takes that to memory, with its marker and the recovery kit.
func newTiny(t *testing.T, sources ...snapshot.Source) *tiny {
	t.Helper()
	local := snaptest.Local(t)
	id := snaptest.Take(t, local, snapshot.Options{}, sources...).ID
	return readTiny(t, id, local.Store)
}

func readTiny(t *testing.T, id manifest.ID, store layout.Store) *tiny {
	t.Helper()
	to := layout.Store{Store: remote.NewMemory(nil)}
	p := &tiny{id: id, store: to, objects: map[string][]byte{}, files: map[string][]string{}, scratch: t.TempDir()}
	snap := snaptest.Open(t, id, store)
	_, err := transfer.Copy(t.Context(), snap, []layout.Store{store}, to, transfer.Options{})
	must(t, err)
	p.marker, err = store.Marker(t.Context())
	must(t, err)
	_, err = to.Init(t.Context(), p.marker, kitFiles())
	must(t, err)
	for info, err := range to.List(t.Context(), "") {
		must(t, err)
		p.objects[info.Key], err = to.ReadSmall(t.Context(), info.Key, 1<<20)
		must(t, err)
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
	return p
}

func kitFiles() (files []layout.File) {
	for _, f := range recovery.Files() {
		files = append(files, layout.File{Name: f.Name, Data: f.Data})
	}
	return files
}

// set gives an object other bytes, or removes it.
func (p *tiny) set(t *testing.T, key string, data []byte) {
	t.Helper()
	if data == nil {
		must(t, p.store.Delete(t.Context(), key))
		return
	}
	must(t, p.store.PutSmall(t.Context(), key, data, remote.PutOptions{}))
}

// check returns all that validate finds: in the store itself, and in the snapshot.
func (p *tiny) check(t *testing.T) []validate.Finding {
	t.Helper()
	s, err := validate.CheckStore(t.Context(), p.store, validate.StoreOptions{App: p.marker.App, ID: p.marker.ID, Kit: kitFiles()})
	must(t, err)
	r, err := validate.Check(t.Context(), p.id, p.store, validate.Options{ReadData: true, Workers: 1, Scratch: p.scratch})
	must(t, err)
	if r.OK != (len(r.Findings) == 0) || s.OK != (len(s.Findings) == 0) {
		t.Errorf("OK is %v with %d findings, and %v with %d", r.OK, len(r.Findings), s.OK, len(s.Findings))
	}
	return append(s.Findings, r.Findings...)
}

// names reports whether the findings name an object, with a place or a reason, and every file that it touches.
func (p *tiny) names(findings []validate.Finding, key string) bool {
	for _, f := range findings {
		if f.Object == key && f.Code != "" && f.Detail != "" && slices.Equal(f.Files, p.files[key]) {
			return true
		}
	}
	return false
}

// patients are the tiny stores: one with a file, one with a database, and one with a file that has a map.
func patients(t *testing.T) map[string]*tiny {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("some text that is packed, ", 20)), 0o644))
	must(t, os.Symlink("text", filepath.Join(dir, "link")))
	db := filepath.Join(t.TempDir(), "app.db")
	app, err := sqlitedb.OpenApp(db)
	must(t, err)
	_, err = app.Exec("PRAGMA page_size=512; CREATE TABLE t(a); INSERT INTO t VALUES('one'),('two'),(NULL)")
	must(t, err)
	must(t, app.Close())
	local := snaptest.Local(t)
	mapped := snaptest.Forgery{Content: "some content", Bytes: 12, Lines: []string{
		`{"path":"d","type":"directory","mode":"0755"}`,
		`{"path":"d/f","type":"file","mode":"0644","size":%N,"sha256":"%S","chunk":12,"maps":[%M]}`,
	}}.Forge(t, local)
	return map[string]*tiny{
		"file":     newTiny(t, snaptest.Directory("d", dir)),
		"database": newTiny(t, snapshot.Source{Name: "db", Path: db}),
		"map":      readTiny(t, mapped, local.Store),
	}
}

// A tally counts what was tried, and what nothing was found of.
type tally struct{ flips, cuts, others, harmless, missed int }

// Every byte of every object is flipped; every object is cut at every length, removed, appended to, and put in the place of every other. All of it is found, and
// the object named with the files that it touches.
//
// What is no damage: the marker has no digest, so a flip in the time of its creation gives another time. Its application and its ID are compared with
// what is known of them.
func TestEveryByte(t *testing.T) {
	step := 4
	switch {
	case os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "":
		step = 1
	case testing.Short():
		step = 17
	}
	if step > 1 {
		t.Logf("NOT ALL: one byte in %d is damaged; LIFEBOAT_TEST_EXHAUSTIVE=1 damages all", step)
	}
	out := new(strings.Builder)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "store\tobject\tbytes\tflips\tcuts\tothers\tharmless\tmissed")
	var total tally
	all := patients(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		if f := p.check(t); len(f) > 0 {
			t.Fatalf("%s is not whole: %+v", name, f)
		}
		for _, key := range slices.Sorted(maps.Keys(p.objects)) {
			if name != "file" && !strings.Contains(key, "/") {
				continue // marker and kit are the same everywhere
			}
			n := p.damage(t, key, step)
			fmt.Fprintf(w, "%s\t%.20s\t%d\t%d\t%d\t%d\t%d\t%d\n", name, key, len(p.objects[key]), n.flips, n.cuts, n.others, n.harmless, n.missed)
			total = tally{total.flips + n.flips, total.cuts + n.cuts, total.others + n.others, total.harmless + n.harmless, total.missed + n.missed}
		}
		snaptest.Empty(t, p.scratch)
	}
	fmt.Fprintf(w, "all\t\t\t%d\t%d\t%d\t%d\t%d\n", total.flips, total.cuts, total.others, total.harmless, total.missed)
	w.Flush()
	t.Log("\n" + out.String())
	if total.harmless > 40/step+10 {
		t.Errorf("%d flips are said to be harmless", total.harmless)
	}
}

// damage damages one object in every way.
func (p *tiny) damage(t *testing.T, key string, step int) (n tally) {
	good := p.objects[key]
	defer p.set(t, key, good)
	try := func(what string, bad []byte) {
		p.set(t, key, bad)
		findings := p.check(t)
		switch {
		case p.names(findings, key):
		case len(findings) == 0 && key == layout.MarkerKey && p.sameMarker(bad):
			n.harmless++
		default:
			if n.missed++; n.missed < 5 {
				t.Errorf("%s %s: found %+v", key, what, findings)
			}
		}
	}
	// The kit is some 80 KB and is compared byte by byte with what it should be; there is nothing in it that could make a difference to that.
	flipStep, cutStep := step, step
	if !strings.Contains(key, "/") && key != layout.MarkerKey {
		flipStep, cutStep = 61*step, 307*step
	}
	random := rand.New(rand.NewPCG(7, uint64(len(good))))
	for at := 0; at < len(good); at += flipStep {
		bad := slices.Clone(good)
		bad[at] ^= 1 << random.IntN(8)
		try(fmt.Sprintf("with byte %d flipped", at), bad)
		n.flips++
	}
	for length := 0; length < len(good); length += cutStep {
		try(fmt.Sprintf("cut to %d bytes", length), good[:length:length])
		n.cuts++
	}
	others := map[string][]byte{"removed": nil, "with a byte more": append(slices.Clone(good), 'x'), "twice": append(slices.Clone(good), good...),
		"zeros": make([]byte, len(good))}
	for other, data := range p.objects {
		if other != key {
			others["in place of which is "+other] = data
		}
	}
	for what, bad := range others {
		try(what, bad)
		n.others++
	}
	return n
}

// sameMarker reports whether a marker says what the good one does, but for the time.
func (p *tiny) sameMarker(data []byte) bool {
	m, err := layout.ParseMarker(data)
	m.Created = p.marker.Created
	return err == nil && m == p.marker
}
