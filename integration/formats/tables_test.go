package formats_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const specificationFile = "../../docs/format.md"

// A specification is the tables of docs/format.md.
type specification struct {
	objects map[string][]field // by what is in the first cell of the table
	lists   map[string][]element
	values  map[string]values // by type
	types   map[string]string // how each is written
	names   []string          // of objects in a store
	members []string          // of archives
	limits  map[string]string
}

// A field is a row of the table of an object.
type field struct{ key, typ, needed string }

// An element is one of a list of fixed length.
type element struct {
	typ      string
	optional bool
}

type values struct {
	closed bool
	list   []string
}

var (
	code       = regexp.MustCompile("`([^`]*)`")
	elementsOf = regexp.MustCompile("`[a-z0-9]+` ([a-z0-9]+)")
)

// readSpecification reads every table of the page whose form it knows. Of another form there may be such as no test reads.
func readSpecification(t testing.TB) *specification {
	t.Helper()
	text, err := os.ReadFile(specificationFile)
	if err != nil {
		t.Fatal(err)
	}
	s := &specification{objects: map[string][]field{}, lists: map[string][]element{}, values: map[string]values{}, types: map[string]string{}, limits: map[string]string{}}
	var header []string
	for line := range strings.Lines(string(text)) {
		row, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		if !isRow {
			header = nil
			continue
		}
		cells := strings.Split(strings.TrimSuffix(row, "|"), " |")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case header == nil:
			header = cells
		case cells[0] == "---":
		default:
			s.row(t, header, cells)
		}
	}
	return s
}

func (s *specification) row(t testing.TB, header, cells []string) {
	t.Helper()
	quoted := func(cell string) (list []string) {
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			list = append(list, m[1])
		}
		return list
	}
	switch columns := strings.Join(header[1:], ","); {
	case columns == "type,needed,meaning":
		key := quoted(cells[0])
		if len(key) != 1 {
			t.Fatalf("docs/format.md: %q is not one key", cells[0])
		}
		s.objects[header[0]] = append(s.objects[header[0]], field{key[0], cells[1], cells[2]})
	case header[0] == "list" && columns == "elements":
		always, optional, _ := strings.Cut(cells[1], ";")
		for _, m := range elementsOf.FindAllStringSubmatch(always, -1) {
			s.lists[cells[0]] = append(s.lists[cells[0]], element{typ: m[1]})
		}
		for _, m := range elementsOf.FindAllStringSubmatch(optional, -1) {
			s.lists[cells[0]] = append(s.lists[cells[0]], element{m[1], true})
		}
	case header[0] == "value of":
		s.values[cells[0]] = values{cells[1] == "closed", quoted(cells[2])}
	case header[0] == "type" && columns == "written as,what":
		for typ := range strings.SplitSeq(cells[0], ", ") {
			s.types[typ] = cells[1]
		}
	case header[0] == "object":
		s.names = append(s.names, quoted(cells[0])...)
	case header[0] == "member":
		s.members = append(s.members, quoted(cells[0])...)
	case header[0] == "limit":
		s.limits[cells[0]] = cells[1]
	}
}

// The tables speak of nothing that they do not say themselves.
func TestTablesAreClosed(t *testing.T) {
	s := readSpecification(t)
	if len(s.objects) < 15 || len(s.lists) < 6 || len(s.values) < 10 || len(s.names) < 10 || len(s.members) != 5 || len(s.limits) < 10 {
		t.Fatalf("tables were not found: %+v", s)
	}
	known := func(typ string) bool {
		_, isValue := s.values[typ]
		return s.types[typ] != "" || isValue || s.objects[typ] != nil || s.lists[typ] != nil
	}
	used := map[string]bool{"marker": true, "record": true, "head": true, "line": true, "archive": true, "first line": true, "second line": true}
	for object, fields := range s.objects {
		keys := map[string]bool{}
		for _, f := range fields {
			typ := strings.TrimPrefix(f.typ, "list of ")
			if used[typ] = true; !known(typ) {
				t.Errorf("%s: %s is of type %q, of which the page does not say what it is", object, f.key, f.typ)
			}
			if keys[f.key] {
				t.Errorf("%s: %s has two rows", object, f.key)
			}
			if keys[f.key] = true; !slices.Contains([]string{"", "yes", "files", "links", "all but hardlinks"}, f.needed) {
				t.Errorf("%s: %s is needed %q, which this test does not know", object, f.key, f.needed)
			}
		}
	}
	for list, elements := range s.lists {
		for _, e := range elements {
			if used[e.typ] = true; !known(e.typ) {
				t.Errorf("list %s: type %q", list, e.typ)
			}
		}
	}
	for _, names := range [][]string{mapKeys(s.types), mapKeys(s.objects), mapKeys(s.lists), mapKeys(s.values)} {
		for _, typ := range names {
			if !used[typ] {
				t.Errorf("the page says what %q is, and nothing is", typ)
			}
		}
	}
}

func mapKeys[V any](m map[string]V) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
