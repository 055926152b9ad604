package formats_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// tableOf says in which table of docs/format.md the fields of a type are that the program writes as JSON into a store.
var tableOf = map[string]string{
	"layout.Marker": "marker", "manifest.Head": "head", "manifest.Host": "host", "manifest.ID": "previous", "manifest.Problem": "problem",
	"manifest.Omission": "omission", "manifest.Consistency": "consistency", "manifest.Source": "source", "manifest.Table": "table",
	"manifest.Stats": "stats", "manifest.archivesLine": "first line", "manifest.fileLine": "line", "manifest.mapLine": "second line",
	"manifest.SQLite": "sqlite", "manifest.Archive": "archive",
	"drill.Record": "record", "drill.Link": "earlier", "drill.Phase": "phase", "drill.Checks": "checks", "drill.Finding": "finding",
}

// Every field that the program writes is in the table of its object, in its order, with its type, and needed when the program always writes it;
// and every field of a table is one that the program writes.
func TestTablesAreThoseOfTheCode(t *testing.T) {
	spec := readSpecification(t)
	found := map[string]bool{}
	for _, source := range []string{"manifest/*.go", "internal/layout/*.go", "drill/record.go"} {
		for name, fields := range jsonStructs(t, filepath.Join("../..", filepath.FromSlash(source))) {
			name = path.Base(path.Dir(source)) + "." + name
			table, ok := tableOf[name]
			if !ok {
				t.Errorf("%s is written as JSON, and this test does not know where docs/format.md has it", name)
				continue
			}
			found[table] = true
			compareWithTable(t, spec, table, name, fields)
		}
	}
	for table := range spec.objects {
		if !found[table] {
			t.Errorf("docs/format.md has a table %q, and nothing in the program is it", table)
		}
	}
}

func compareWithTable(t *testing.T, spec *specification, table, name string, fields []goField) {
	t.Helper()
	var keys, want []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	for _, f := range spec.objects[table] {
		want = append(want, f.key)
	}
	if !slices.Equal(keys, want) {
		t.Errorf("%s has the keys\n%q, and the table %q of docs/format.md\n%q", name, keys, table, want)
		return
	}
	for i, f := range spec.objects[table] {
		if writes := kindInGo(fields[i].typ); writes != spec.kind(f.typ) {
			t.Errorf("%s: %s is %s, and in docs/format.md %s, a %s", name, f.key, fields[i].typ, f.typ, spec.kind(f.typ))
		}
		if table == "line" && f.needed != "yes" && f.needed != "" {
			continue // the type of the line decides
		}
		if fields[i].always != (f.needed == "yes") {
			t.Errorf("%s: %s is always written: %t; docs/format.md says needed: %q", name, f.key, fields[i].always, f.needed)
		}
	}
}

// kind returns how a type is written: string, integer, true or false, object, list.
func (s *specification) kind(typ string) string {
	if strings.HasPrefix(typ, "list of ") || s.lists[typ] != nil {
		return "list"
	}
	if s.objects[typ] != nil {
		return "object"
	}
	if _, ok := s.values[typ]; ok {
		return "string"
	}
	return s.types[typ]
}

// kindInGo is kind of a type in the program.
func kindInGo(typ string) string {
	typ = strings.TrimPrefix(strings.TrimPrefix(typ, "*"), "manifest.")
	switch typ {
	case "int", "int64", "uint32", "float64":
		return "integer"
	case "bool":
		return "true or false"
	case "string", "[]byte", "Hash", "Stamp", "Timestamp", "octal", "time.Time", "Kind", "State", "Level", "SourceType", "FileType", "Result", "Mode":
		return "string"
	case "wireExtents", "wireMaps", "Index":
		return "list"
	}
	if strings.HasPrefix(typ, "[]") {
		return "list"
	}
	return "object"
}

// A goField is a field of a struct that is written as JSON.
type goField struct {
	key, typ string
	always   bool
}

// jsonStructs returns the structs in some files that have JSON keys, read from the source, since some are a package's own.
func jsonStructs(t *testing.T, pattern string) map[string][]goField {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no source (%v)", pattern, err)
	}
	structs := map[string][]goField{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				if fields := jsonFields(t, s); len(fields) > 0 {
					structs[spec.Name.Name] = fields
				}
			}
			return true
		})
	}
	return structs
}

func jsonFields(t *testing.T, s *ast.StructType) (fields []goField) {
	t.Helper()
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		key, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		fields = append(fields, goField{key, types.ExprString(f.Type), !strings.Contains(options, "omit")})
	}
	return fields
}

// The limits of the page are those of the program.
func TestLimitsAreThoseOfTheCode(t *testing.T) {
	want := map[string]int64{
		"a head, stored": manifest.MaxHeadStored, "a head, decompressed": manifest.MaxHead, "a piece or map": manifest.MaxPiece,
		"an archive, stored or its tar stream": manifest.MaxArchive, "a frame of an archive, stored": manifest.MaxFrame,
		"an extent that is not zeros, and a chunk": manifest.MaxExtent, "a path, and a link": manifest.MaxPath, "extents in a line": manifest.MaxInline,
		"extended attributes of a file": manifest.MaxXattrs, "names and values of the extended attributes of a file": manifest.MaxXattrBytes,
		"problems in a head": manifest.MaxProblems,
		"keys in an object":  64, "depth of nested lists and objects": 16, "objects in a head or a line": 65536, // which package manifest keeps to itself
	}
	spec := readSpecification(t)
	for what, limit := range want {
		if got := amountOf(t, spec.limits[what]); got != limit {
			t.Errorf("docs/format.md: %s: %q, and the program has %d", what, spec.limits[what], limit)
		}
	}
	for what := range spec.limits {
		if want[what] == 0 {
			t.Errorf("docs/format.md has a limit of %q, which this test does not know", what)
		}
	}
	if manifest.FrameSize != 1<<20 || manifest.MapSpan != 16<<20 || archive.DefaultLimit != 32<<20 || archive.MaxSegment != 1<<20 {
		t.Error("the frames, maps, archives or segments of the program are not those that docs/format.md speaks of")
	}
}

var amounts = regexp.MustCompile(`([0-9,]+)( [KMG]iB)?`)

// amountOf reads "1 MiB and 64 KiB".
func amountOf(t *testing.T, text string) (sum int64) {
	t.Helper()
	for _, m := range amounts.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n << map[string]int{"": 0, " KiB": 10, " MiB": 20, " GiB": 30}[m[2]]
	}
	return sum
}

// The bounds that package manifest keeps to itself are the ones of the page: at each of them a head is read, and beyond it is refused.
func TestShapesAtTheirLimits(t *testing.T) {
	const head = `{"format":"lifeboat/1","app":"a","kind":"backup","stamp":"20260102T030405Z","state":"complete","consistency":{"level":"stable"}`
	deep := func(n int) string { return `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) }
	var keys strings.Builder
	for i := range 64 - 6 {
		keys.WriteString(`,"k` + strconv.Itoa(i) + `":1`)
	}
	objects := func(n int) string { return `,"x":[{}` + strings.Repeat(",{}", n-1) + `]` }
	for _, c := range []struct {
		what, extra string
		ok          bool
	}{
		{"no more", "", true},
		{"nested 16 deep", deep(15), true},
		{"nested 17 deep", deep(16), false},
		{"64 keys", keys.String(), true},
		{"65 keys", keys.String() + `,"one_more":1`, false},
		{"65,536 objects", objects(65536 - 2), true},
		{"65,537 objects", objects(65536 - 1), false},
		{"an unknown key", `,"a_key_of_a_later_version":{"x":["y",1,true]}`, true},
		{"null", `,"x":null`, false},
		{"a fraction", `,"x":1.5`, false},
		{"a capital", `,"X":1`, false},
		{"a key twice", `,"x":1,"x":1`, false},
	} {
		if _, err := manifest.ParseHead([]byte(head + c.extra + "}")); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
