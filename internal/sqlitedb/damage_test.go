package sqlitedb_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/sqlitedb"
)

const page = 4096

// damages are what may be wrong with a database. It is told apart: the pages, something derived, the data, or only that we lack what the
// application has. All of it can be captured, byte for byte, and an image is judged like the database itself.
func damages() []state {
	base := []string{table, fill, "CREATE INDEX v ON t(v)", "CREATE TABLE u(id INTEGER PRIMARY KEY, v)", "INSERT INTO u VALUES(1,'a')"}
	fts := slices.Concat(base, []string{"CREATE VIRTUAL TABLE f USING fts5(x, tokenize='unicode61')", "INSERT INTO f VALUES('some words to find')"})
	// The last of the statements may leave the schema unreadable.
	all := []state{
		{name: "sound", make: gone(base...), tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}}},
		{name: "a corrupt page of a table", make: gone(base...).scribbled(40 * page), quick: sqlitedb.Corrupt, detail: "page 41: "},
		{name: "cut short", make: gone(base...).then(func(t *testing.T, path string) {
			vandal(t, path, func(f *os.File) { f.Truncate(20 * page) })
		}), quick: sqlitedb.Corrupt, detail: "malformed"},
		{name: "malformed schema", make: edited(base, schema("sql='CREATE TABLE u(((' WHERE name='u'")...), quick: sqlitedb.Corrupt, detail: "malformed database schema"},
		{name: "malformed schema of a view", make: edited(base, slices.Concat([]string{"CREATE VIEW w AS SELECT 1"}, schema("sql='CREATE VIEW w AS SELECT FROM' WHERE name='w'"))...),
			quick: sqlitedb.Corrupt, detail: "malformed database schema"},
		{name: "a corrupt page of the schema", make: gone(base...).scribbled(100), quick: sqlitedb.Corrupt},
		{name: "collation of the application", make: edited(base, schema(icu)...),
			quick: sqlitedb.Unverifiable, detail: "no such collation sequence: icu_de", tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}}},
		{name: "collation of the application, and a corrupt page", make: edited(base, schema(icu)...).scribbled(40 * page),
			quick: sqlitedb.Corrupt, detail: "no such collation sequence: icu_de"},
		{name: "function of the application in an index", make: edited(base, schema("sql='CREATE INDEX v ON t(libsql_vector_idx(v))' WHERE name='v'")...),
			full: sqlitedb.Unverifiable},
		{name: "unknown tokenizer of FTS5", make: edited(fts, schema("sql=replace(sql,'unicode61','jieba') WHERE name='f'")...),
			quick: sqlitedb.Unverifiable, tables: []sqlitedb.Table{{"f", 1}, {"t", 3000}, {"u", 1}}},
		{name: "module of the application", make: edited(base, "PRAGMA writable_schema=ON",
			"INSERT INTO sqlite_schema VALUES('table','vec','vec',0,'CREATE VIRTUAL TABLE vec USING vec0(e float[4])')", "CREATE TABLE vec_chunks(x)", "PRAGMA writable_schema=RESET"),
			tables: []sqlitedb.Table{{"t", 3000}, {"u", 1}, {"vec_chunks", 0}}},
		{name: "damaged FTS5 index", make: edited(fts, "DELETE FROM f_data WHERE id>10"), quick: sqlitedb.Degraded, detail: "fts5: corruption found"},
		{name: "FTS5 index of other words", make: edited(fts, "UPDATE f_content SET c0='other words'"), quick: sqlitedb.Degraded, detail: "inverted index for FTS5"},
		// SQLite looks at CHECK constraints only through a connection that could write.
		{name: "a constraint that rows do not keep", make: edited(base, "CREATE TABLE c(x CHECK(x>0))", "PRAGMA ignore_check_constraints=1", "INSERT INTO c VALUES(-1)"),
			tables: []sqlitedb.Table{{"c", 1}, {"t", 3000}, {"u", 1}}},
		{name: "a null where none may be", make: edited(base, slices.Concat([]string{"CREATE TABLE c(x)", "INSERT INTO c VALUES(NULL)"}, schema("sql='CREATE TABLE c(x NOT NULL)' WHERE name='c'"))...),
			quick: sqlitedb.Degraded, detail: "NULL value in c.x"},
	}
	for i := range all {
		all[i].found, all[i].read = sqlitedb.FoundRollback, rollbackRead
	}
	return all
}

// Foreign keys that lead nowhere are counted; that is for the application to judge.
var foreignKeys = []state{
	{name: "foreign keys, kept", make: gone("CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p)", "INSERT INTO p VALUES(1)", "INSERT INTO c VALUES(1),(NULL)"),
		found: sqlitedb.FoundRollback, read: rollbackRead, foreign: 0},
	{name: "foreign keys, 2 violations", make: gone("CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p)", "INSERT INTO c VALUES(1),(2),(NULL)"),
		found: sqlitedb.FoundRollback, read: rollbackRead, foreign: 2},
	{name: "foreign keys, 3 violations and a key that can't be checked", make: gone("CREATE TABLE p(id INTEGER PRIMARY KEY, x)", "CREATE TABLE m(p REFERENCES p(x))", "INSERT INTO m VALUES(1)",
		"CREATE TABLE c(p REFERENCES p)", "INSERT INTO c VALUES(1),(2),(3)"), found: sqlitedb.FoundRollback, read: rollbackRead, foreign: 3},
}

// icu gives a table a collation that only the application has.
const icu = "sql=replace(sql,'v TEXT','v TEXT COLLATE icu_de') WHERE name='t'"

// schema edits what sqlite_schema says, as no statement would.
func schema(edit string) []string {
	return []string{"PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET " + edit, "PRAGMA writable_schema=RESET"}
}

// edited is what came out of some statements and then of others.
func edited(base []string, edit ...string) maker { return gone(slices.Concat(base, edit)...) }

// scribbled has noise written into the file.
func (m maker) scribbled(offset int64) maker {
	return m.then(func(t *testing.T, path string) {
		vandal(t, path, func(f *os.File) {
			if _, err := f.WriteAt([]byte(strings.Repeat("\xaa\x55", 100)), offset); err != nil {
				t.Fatal(err)
			}
		})
	})
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
