//go:build unix

package validate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/snapshot"
	"lifeboat/validate"
)

// application makes the sources of an application with a database, a registry, a vector store and other files, and captures them.
func application(t *testing.T, registry string) (*localstore.Store, manifest.ID) {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		return path
	}
	for _, name := range []string{"db/app.db", "chroma/chroma.sqlite3"} {
		db, err := sqlitedb.OpenApp(at(name))
		must(t, err)
		_, err = db.Exec("CREATE TABLE t(x); INSERT INTO t VALUES('" + name + "')")
		must(t, err)
		must(t, db.Close())
	}
	must(t, os.WriteFile(at("chroma/segment/data.bin"), []byte("vectors"), 0o644))
	must(t, os.WriteFile(at("projects.json"), []byte(registry), 0o644))
	must(t, os.WriteFile(at("files/a"), []byte("a file"), 0o644))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snapshot.Source{Name: "database", Path: at("db/app.db")}, snaptest.Directory("chroma", at("chroma")),
		snapshot.Source{Name: "registry", Path: at("projects.json")}, snaptest.Directory("files", at("files")))
	return local, res.ID
}

// summary is a report in short: the codes, and of each source whether it is right.
type summary struct {
	Exists, Valid bool
	Codes         string
	Sources       string
}

func summarize(t *testing.T, id manifest.ID, store layout.Store, data bool) summary {
	t.Helper()
	r, err := validate.Check(t.Context(), id, store, validate.Options{ReadData: data, Scratch: t.TempDir()})
	must(t, err)
	if r.OK != r.Valid || r.OK != (len(r.Findings) == 0) {
		t.Errorf("ok %v, valid %v, with %d findings", r.OK, r.Valid, len(r.Findings))
	}
	var codes, sources []string
	for _, f := range r.Findings {
		if f.Detail == "" || f.Object == "" && f.Source == "" {
			t.Errorf("a finding that says too little: %+v", f)
		}
		code := string(f.Code)
		if f.Source != "" {
			code += "(" + f.Source + ")"
		}
		codes = append(codes, code)
	}
	for _, s := range r.Sources {
		word := "?"
		if s.OK != nil {
			word = map[bool]string{true: "+", false: "-"}[*s.OK]
		}
		sources = append(sources, word+s.Name)
	}
	return summary{r.Exists, r.Valid, strings.Join(codes, " "), strings.Join(sources, " ")}
}

// archiveOf returns the key of the archive that holds a file.
func archiveOf(t *testing.T, id manifest.ID, store layout.Store, path string) string {
	t.Helper()
	snap := snaptest.Open(t, id, store)
	for f, err := range snap.FilesFrom(t.Context(), path) {
		must(t, err)
		for e, err := range snap.Extents(t.Context(), f) {
			must(t, err)
			if !e.IsZeros() {
				return layout.ArchiveKey(e.Archive)
			}
		}
	}
	t.Fatalf("no archive has %s", path)
	return ""
}

// What the damage of an object means for the sources is said by the source's own code, without reading data where it shows without.
func TestSources(t *testing.T) {
	local, id := application(t, `{"projects": []}`)
	key := func(path string) string { return archiveOf(t, id, local.Store, path) }
	const all, unread = "+chroma +database +files +registry", "?chroma ?database ?files ?registry"
	remove := func(t *testing.T, path string) { must(t, os.Remove(path)) }
	flip := func(t *testing.T, path string) {
		data, err := os.ReadFile(path)
		must(t, err)
		data[len(data)/2] ^= 1
		must(t, os.WriteFile(path, data, 0o600))
	}
	for _, tt := range []struct {
		name            string
		damage          func(*testing.T, string)
		keys            []string
		quick, thorough summary
	}{
		{"nothing", nil, nil, summary{true, true, "", unread}, summary{true, true, "", all}},
		{"database gone", remove, []string{key("database")}, summary{true, false, "archive_missing db_snapshot_missing(database)", "?chroma -database ?files ?registry"},
			summary{true, false, "archive_missing db_snapshot_missing(database)", "+chroma -database +files +registry"}},
		{"vector store gone", remove, []string{key("chroma/segment/data.bin")}, summary{true, false, "archive_missing chroma_snapshot_missing(chroma)", "-chroma ?database ?files ?registry"},
			summary{true, false, "archive_missing chroma_snapshot_missing(chroma)", "-chroma +database +files +registry"}},
		{"registry gone", remove, []string{key("registry")}, summary{true, false, "archive_missing registry_snapshot_missing(registry)", "?chroma ?database ?files -registry"},
			summary{true, false, "archive_missing registry_snapshot_missing(registry)", "+chroma +database +files -registry"}},
		{"files flipped", flip, []string{key("files/a")}, summary{true, true, "", unread}, summary{true, false, "archive_damaged file_snapshot_damaged(files)", "+chroma +database -files +registry"}},
		{"database flipped", flip, []string{key("database")}, summary{true, true, "", unread}, summary{true, false, "archive_damaged db_snapshot_damaged(database)", "+chroma -database +files +registry"}},
		{"two gone", remove, []string{key("database"), key("files/a")}, summary{true, false, "archive_missing archive_missing db_snapshot_missing(database) file_snapshot_missing(files)", "?chroma -database -files ?registry"},
			summary{true, false, "archive_missing archive_missing db_snapshot_missing(database) file_snapshot_missing(files)", "+chroma -database -files +registry"}},
		{"manifest gone", remove, []string{layout.ManifestKey(id)}, summary{false, false, "metadata_missing", ""}, summary{false, false, "metadata_missing", ""}},
		{"manifest flipped", flip, []string{layout.ManifestKey(id)}, summary{true, false, "manifest_damaged metadata_invalid_json", ""}, summary{true, false, "manifest_damaged metadata_invalid_json", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, k := range tt.keys {
				path := filepath.Join(local.Path(), k)
				good, err := os.ReadFile(path)
				must(t, err)
				t.Cleanup(func() { os.WriteFile(path, good, 0o600) })
				tt.damage(t, path)
			}
			if diff := cmp.Diff(tt.quick, summarize(t, id, local.Store, false)); diff != "" {
				t.Errorf("without data:\n%s", diff)
			}
			if diff := cmp.Diff(tt.thorough, summarize(t, id, local.Store, true)); diff != "" {
				t.Errorf("with data:\n%s", diff)
			}
		})
	}
}

// When a table is damaged, no source can be relied upon.
func TestSourcesOfADamagedTable(t *testing.T) {
	local, id := application(t, `{}`)
	root := snaptest.Open(t, id, local.Store).Head.Roots[0].SHA256
	must(t, os.Remove(filepath.Join(local.Path(), layout.ArchiveKey(root))))
	if got := summarize(t, id, local.Store, false); got.Sources != "-chroma -database -files -registry" || got.Valid {
		t.Errorf("%+v", got)
	}
}

// A registry that was no JSON when it was captured is found without reading it.
func TestRegistryThatIsNoJSON(t *testing.T) {
	local, id := application(t, `{"projects": [`)
	want := summary{true, false, "registry_invalid_json(registry)", "?chroma ?database ?files -registry"}
	if diff := cmp.Diff(want, summarize(t, id, local.Store, false)); diff != "" {
		t.Error(diff)
	}
}

// One of which the manifest says nothing, as another writer may leave it, is found when it is read.
func TestRegistryThatNobodyParsed(t *testing.T) {
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: `{"projects": [`, Bytes: 14, First: "registry/projects.json",
		Lines:   []string{`{"path":"registry/projects.json","type":"file","mode":"0644","size":%N,"sha256":"%S","chunk":14,"extents":[%A]}`},
		Sources: []manifest.Source{{Name: "registry", Type: manifest.FileSource}}}.Forge(t, local)
	if diff := cmp.Diff(summary{true, true, "", "?registry"}, summarize(t, id, local.Store, false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(summary{true, false, "registry_invalid_json(registry)", "-registry"}, summarize(t, id, local.Store, true)); diff != "" {
		t.Error(diff)
	}
}
