package sqlitedb

import (
	"context"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// Integrity is what a check found.
type Integrity string

// The results of a check, from good to bad.
const (
	// OK: nothing is wrong.
	OK Integrity = "ok"
	// Degraded: the tables are whole, but something derived from them or promised about them is not: a
	// full-text index, or a type or NOT NULL that rows do not keep. The application can repair it. (SQLite looks
	// at CHECK constraints only through a connection that could write, so they are not looked at.)
	Degraded Integrity = "degraded"
	// Unverifiable: nothing was found to be wrong, but the check needs what only the application has, such as
	// a collation or a tokenizer.
	Unverifiable Integrity = "unverifiable"
	// Corrupt: pages are damaged.
	Corrupt Integrity = "corrupt"
)

// worse returns the graver of two results.
func worse(a, b Integrity) Integrity {
	for _, i := range [...]Integrity{Corrupt, Unverifiable, Degraded} {
		if a == i || b == i {
			return i
		}
	}
	return OK
}

// Depth is how much a check looks at.
type Depth string

// The depths of a check: https://www.sqlite.org/pragma.html#pragma_integrity_check.
const (
	Quick Depth = "quick_check"     // every page of every table and index
	Full  Depth = "integrity_check" // and that the indexes agree with the tables; takes about twice as long
)

// QuickCheck checks the state that is pinned. detail is what was found, a line each, shortened if it is
// long; it is "" for OK. An error means that the check could not be made, not that it failed.
func (p *Pinned) QuickCheck(ctx context.Context) (result Integrity, detail string, err error) {
	var f findings
	if err := p.check(ctx, &f, Quick); err != nil {
		return "", "", err
	}
	result, detail = f.sum()
	return result, detail, nil
}

func (p *Pinned) check(ctx context.Context, f *findings, depth Depth) error {
	if p.source == nil {
		return errClosed
	}
	if p.damage != nil {
		f.failure(p.damage)
	}
	if p.conn != nil {
		if err := f.check(ctx, p.checks(), depth); err != nil {
			return p.because(fmt.Errorf("check %s: %w", p.source.path, err))
		}
	}
	return p.verify()
}

// findings gather what a check says.
type findings struct {
	result Integrity
	lines  []string
	cut    bool
}

const (
	mostLines  = 20
	longestRow = 300 // bytes
)

// check runs the check over the whole database. When that can't even begin, because some table needs what only
// the application has, every table is checked by itself.
func (f *findings) check(ctx context.Context, c *conn, depth Depth) error {
	err := f.run(ctx, c, fmt.Sprintf("PRAGMA main.%s(%d)", depth, mostLines))
	if !isContent(err) {
		return err
	}
	f.failure(err)
	if isDamage(err) {
		return nil
	}
	tables, err := tableNames(ctx, c)
	if isContent(err) {
		f.failure(err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, table := range tables {
		err := f.run(ctx, c, fmt.Sprintf("PRAGMA main.%s(%s)", depth, quote(table)))
		if isContent(err) {
			f.failure(err)
			// To count the rows is to go through every page of the table.
			var rows int64
			err = c.QueryRowContext(ctx, "SELECT count(*) FROM main."+quote(table)+" NOT INDEXED").Scan(&rows)
			if isContent(err) {
				f.failure(err)
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run adds the rows of one check.
func (f *findings) run(ctx context.Context, c *conn, query string) error {
	rows, err := c.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var message *string
		if err := rows.Scan(&message); err != nil {
			return err
		}
		if message != nil && *message != "ok" {
			f.add(classify(*message), *message)
		}
	}
	return rows.Err()
}

// classify tells what a row of the check means. The texts are those of sqlite3Pragma in SQLite's pragma.c,
// and of the xIntegrity methods of fts3.c and fts5_main.c.
func classify(message string) Integrity {
	for _, part := range []string{"NULL value in ", "TEXT value in ", "NUMERIC value in "} {
		if strings.HasPrefix(message, part) {
			return Degraded
		}
	}
	if strings.Contains(message, " value in ") && strings.HasPrefix(message, "non-") { // STRICT: "non-INT value in t.c"
		return Degraded
	}
	for _, part := range []string{"inverted index for FTS", "fts5: "} {
		if strings.Contains(message, part) {
			return Degraded
		}
	}
	return Corrupt
}

// failure adds an error that kept a check from running.
func (f *findings) failure(err error) {
	if isDamage(err) {
		f.add(Corrupt, err.Error())
	} else {
		f.add(Unverifiable, err.Error())
	}
}

// isContent reports whether an error comes from what the database holds: damage, or a schema that asks for more
// than we have; rather than from the disk, from memory or from ctx.
func isContent(err error) bool {
	primary := code(err) & 0xff
	return isSchema(err) || primary == sqlite3.SQLITE_NOTADB || primary == sqlite3.SQLITE_TOOBIG
}

func (f *findings) add(result Integrity, message string) {
	f.result = worse(f.result, result)
	for _, line := range f.lines {
		if line == message {
			return
		}
	}
	if len(f.lines) == mostLines {
		f.cut = true
		return
	}
	if len(message) > longestRow {
		message = message[:longestRow] + "…"
	}
	f.lines = append(f.lines, message)
}

func (f *findings) sum() (Integrity, string) {
	if f.cut {
		f.lines = append(f.lines, "…")
	}
	return worse(f.result, OK), strings.ToValidUTF8(strings.Join(f.lines, "\n"), "\uFFFD")
}
