package sqlitedb_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// schema edits what sqlite_schema says, as no statement would.
func schema(edit string) []string {
	return []string{"PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET " + edit, "PRAGMA writable_schema=RESET"}
}

// vandal opens a file for writing between the pages.
func vandal(t *testing.T, path string, change func(f *os.File)) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	change(f)
}

func scribble(t *testing.T, path string, offset int64) {
	vandal(t, path, func(f *os.File) {
		if _, err := f.WriteAt([]byte(strings.Repeat("\xaa\x55", 100)), offset); err != nil {
			t.Fatal(err)
		}
	})
}

const page = 4096

// What is wrong with a database is told apart: the pages, something derived, the data, or only that we lack what the
// application has. All of it can be captured, byte for byte, and an image is judged like the database itself.
func TestDamage(t *testing.T) {
	base := []string{table, fill, "CREATE INDEX v ON t(v)", "CREATE TABLE u(id INTEGER PRIMARY KEY, v)", "INSERT INTO u VALUES(1,'a')"}
	fts := slices.Concat(base, []string{"CREATE VIRTUAL TABLE f USING fts5(x, tokenize='unicode61')", "INSERT INTO f VALUES('some words to find')"})
	for _, test := range []struct {
		name   string
		build  []string
		edit   []string // the last thing done, which may leave the schema unreadable
		damage func(t *testing.T, path string)
		want   sqlitedb.Integrity
		full   sqlitedb.Integrity // of the full check of an image, if that is another
		detail string             // part of it
		tables []sqlitedb.Table
	}{
		{name: "sound", build: base, want: sqlitedb.OK, tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}}},
		{name: "a page of a table", build: base, damage: func(t *testing.T, path string) { scribble(t, path, 40*page) }, want: sqlitedb.Corrupt, detail: "page 41: "},
		{name: "cut short", build: base, damage: func(t *testing.T, path string) {
			vandal(t, path, func(f *os.File) { f.Truncate(20 * page) })
		}, want: sqlitedb.Corrupt, detail: "malformed"},
		{name: "malformed schema", build: base, edit: schema("sql='CREATE TABLE u(((' WHERE name='u'"), want: sqlitedb.Corrupt, detail: "malformed database schema"},
		{name: "malformed schema of a view", build: slices.Concat(base, []string{"CREATE VIEW w AS SELECT 1"}), edit: schema("sql='CREATE VIEW w AS SELECT FROM' WHERE name='w'"), want: sqlitedb.Corrupt, detail: "malformed database schema"},
		{name: "page of the schema", build: base, damage: func(t *testing.T, path string) { scribble(t, path, 100) }, want: sqlitedb.Corrupt},
		{name: "collation of the application", build: base, edit: schema("sql=replace(sql,'v TEXT','v TEXT COLLATE icu_de') WHERE name='t'"),
			want: sqlitedb.Unverifiable, detail: "no such collation sequence: icu_de", tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}}},
		{name: "collation of the application, and a bad page", build: base, edit: schema("sql=replace(sql,'v TEXT','v TEXT COLLATE icu_de') WHERE name='t'"),
			damage: func(t *testing.T, path string) { scribble(t, path, 40*page) }, want: sqlitedb.Corrupt, detail: "no such collation sequence: icu_de"},
		{name: "function of the application in an index", build: base, edit: schema("sql='CREATE INDEX v ON t(libsql_vector_idx(v))' WHERE name='v'"),
			want: sqlitedb.OK, full: sqlitedb.Unverifiable},
		{name: "tokenizer of the application", build: fts, edit: schema("sql=replace(sql,'unicode61','jieba') WHERE name='f'"),
			want: sqlitedb.Unverifiable, tables: []sqlitedb.Table{{"f", 1}, {"t", 3000}, {"u", 1}}},
		{name: "module of the application", build: base, edit: []string{"PRAGMA writable_schema=ON",
			"INSERT INTO sqlite_schema VALUES('table','vec','vec',0,'CREATE VIRTUAL TABLE vec USING vec0(e float[4])')", "CREATE TABLE vec_chunks(x)", "PRAGMA writable_schema=RESET"},
			want: sqlitedb.OK, tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}, {"vec_chunks", 0}}},
		{name: "full-text index", build: fts, edit: []string{"DELETE FROM f_data WHERE id>10"}, want: sqlitedb.Degraded, detail: "fts5: corruption found"},
		{name: "full-text index of other words", build: fts, edit: []string{"UPDATE f_content SET c0='other words'"}, want: sqlitedb.Degraded, detail: "inverted index for FTS5"},
		// SQLite looks at CHECK constraints only through a connection that could write.
		{name: "a constraint that rows do not keep", build: base, edit: []string{"CREATE TABLE c(x CHECK(x>0))", "PRAGMA ignore_check_constraints=1", "INSERT INTO c VALUES(-1)"},
			want: sqlitedb.OK, tables: []sqlitedb.Table{{"c", 1}, {"t", 3000}, {"u", 1}}},
		{name: "a null where none may be", build: slices.Concat(base, []string{"CREATE TABLE c(x)", "INSERT INTO c VALUES(NULL)"}), edit: schema("sql='CREATE TABLE c(x NOT NULL)' WHERE name='c'"),
			want: sqlitedb.Degraded, detail: "NULL value in c.x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := build(t, slices.Concat(test.build, test.edit)...)
			if test.damage != nil {
				test.damage(t, path)
			}
			p := pin(t, path)
			result, detail, err := p.QuickCheck(t.Context())
			if err != nil || result != test.want || !strings.Contains(detail, test.detail) || (detail == "") != (test.want == sqlitedb.OK) {
				t.Errorf("%s, not %s, %v: %q", result, test.want, err, detail)
			}
			facts, err := p.ReadFacts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.tables != nil {
				equal(t, facts.Tables, test.tables)
			}
			img := image(t, p)
			p.Close()
			same(t, img, path)

			for _, depth := range []sqlitedb.Depth{sqlitedb.Quick, sqlitedb.Full} {
				want := test.want
				if depth == sqlitedb.Full && test.full != "" {
					want = test.full
				}
				again, text, err := sqlitedb.Check(t.Context(), img, depth)
				if err != nil || again != want || depth == sqlitedb.Quick && text != detail {
					t.Errorf("image, %s: %s, not %s, %v: %q, not %q", depth, again, want, err, text, detail)
				}
			}
			restored, err := sqlitedb.ImageFacts(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, restored, facts)
			equal(t, list(t, filepath.Dir(img)), []string{img})
		})
	}
}

func TestForeignKeys(t *testing.T) {
	for name, test := range map[string]struct {
		statements []string
		want       int64
	}{
		"kept":   {[]string{"CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p)", "INSERT INTO p VALUES(1)", "INSERT INTO c VALUES(1),(NULL)"}, 0},
		"broken": {[]string{"CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p)", "INSERT INTO c VALUES(1),(2),(NULL)"}, 2},
		"one that can't be checked": {[]string{"CREATE TABLE p(id INTEGER PRIMARY KEY, x)", "CREATE TABLE m(p REFERENCES p(x))", "INSERT INTO m VALUES(1)",
			"CREATE TABLE c(p REFERENCES p)", "INSERT INTO c VALUES(1),(2),(3)"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			facts, err := pin(t, build(t, test.statements...)).ReadFacts(t.Context())
			if err != nil || facts.ForeignKeys != test.want {
				t.Errorf("%d violations, not %d: %v", facts.ForeignKeys, test.want, err)
			}
		})
	}
}
