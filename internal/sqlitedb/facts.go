package sqlitedb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
)

// Facts describe a database, so that a restored one can be compared with the one that was captured. The
// database is not judged by them: a table that can't be counted is left out.
type Facts struct {
	PageSize      int    // bytes; 0 for an empty file
	Pages         uint32 // how many
	JournalMode   string // "wal" or "delete", as Pinned.JournalMode
	UserVersion   int32  // PRAGMA user_version
	ApplicationID int32  // PRAGMA application_id
	// SchemaSHA256 is the SHA-256 of the rows of sqlite_schema by rowid: type, name, tbl_name and sql, each
	// followed by a zero byte, NULL as nothing.
	SchemaSHA256 [sha256.Size]byte
	ForeignKeys  int64   // rows whose foreign key leads nowhere
	Tables       []Table // ascending by name
}

// Table is a table, ordinary or virtual, and how many rows it has. SQLite's own tables and those that a virtual
// table keeps its data in are not listed.
type Table struct {
	Name string // valid UTF-8; U+FFFD stands for what was not
	Rows int64
}

// ReadFacts reads the facts of the state that is pinned. It goes through every table once.
func (p *Pinned) ReadFacts(ctx context.Context) (Facts, error) {
	if p.source == nil {
		return Facts{}, errClosed
	}
	f := Facts{
		PageSize: p.header.pageSize, Pages: p.pages, JournalMode: p.JournalMode(),
		UserVersion: p.header.userVersion, ApplicationID: p.header.applicationID,
		SchemaSHA256: sha256.Sum256(nil),
	}
	if p.conn != nil {
		if err := f.read(ctx, p.checks()); err != nil {
			return Facts{}, p.because(fmt.Errorf("read facts of %s: %w", p.source.path, err))
		}
	}
	return f, p.verify()
}

func (f *Facts) read(ctx context.Context, c *conn) (err error) {
	if f.SchemaSHA256, err = schemaSum(ctx, c); err != nil && !isContent(err) {
		return err
	}
	if f.ForeignKeys, err = foreignKeys(ctx, c); err != nil {
		return err
	}
	tables, err := userTables(ctx, c)
	if err != nil && !isContent(err) {
		return err
	}
	for _, name := range tables {
		var rows int64
		err := c.QueryRowContext(ctx, "SELECT count(*) FROM main."+quote(name)).Scan(&rows)
		if isContent(err) {
			continue
		}
		if err != nil {
			return err
		}
		f.Tables = append(f.Tables, Table{strings.ToValidUTF8(name, "\uFFFD"), rows})
	}
	return nil
}

func schemaSum(ctx context.Context, c *conn) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	rows, err := c.QueryContext(ctx, "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid")
	if err != nil {
		return sum, err
	}
	defer rows.Close()
	for rows.Next() {
		var column [4]sql.RawBytes
		if err := rows.Scan(&column[0], &column[1], &column[2], &column[3]); err != nil {
			return sum, err
		}
		for _, text := range column {
			h.Write(text)
			h.Write([]byte{0})
		}
	}
	h.Sum(sum[:0])
	return sum, rows.Err()
}

// foreignKeys counts violations. Where the schema is such that SQLite refuses to look ("foreign key
// mismatch"), tables are looked at one by one, and those are passed over.
func foreignKeys(ctx context.Context, c *conn) (int64, error) {
	var n int64
	err := c.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&n)
	if !isContent(err) {
		return n, err
	}
	tables, err := tableNames(ctx, c)
	if err != nil {
		if isContent(err) {
			err = nil
		}
		return 0, err
	}
	n = 0
	for _, name := range tables {
		var some int64
		err := c.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check(?)", name).Scan(&some)
		if err != nil && !isContent(err) {
			return 0, err
		}
		n += some
	}
	return n, nil
}

// mostTables is how many tables are looked at one by one: what a database from elsewhere may ask for is bounded.
const mostTables = 10_000

// tableNames returns the tables that have pages of their own, also those of SQLite and of virtual tables.
func tableNames(ctx context.Context, c *conn) ([]string, error) {
	return names(ctx, c, "SELECT name FROM main.sqlite_schema WHERE type='table' ORDER BY name LIMIT ?")
}

// userTables returns the tables that Facts list. It asks the library which are shadow tables, for only the
// module of a virtual table knows: https://www.sqlite.org/pragma.html#pragma_table_list.
func userTables(ctx context.Context, c *conn) ([]string, error) {
	return names(ctx, c, `SELECT name FROM pragma_table_list
		WHERE schema='main' AND type IN ('table','virtual') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name LIMIT ?`)
}

func names(ctx context.Context, c *conn, query string) ([]string, error) {
	rows, err := c.QueryContext(ctx, query, mostTables)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

// quote makes an SQL identifier of a name.
func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
