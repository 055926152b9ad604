package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// maxPins is how often a database is pinned that nobody has open and that somebody changes nevertheless.
const maxPins = 5

// database hands on a database, and closes p. When it was read without a lock and was changed meanwhile, it is read again.
func (r *reader) database(rel string, fi fs.FileInfo, p *sqlitedb.Pinned) error {
	defer func() { p.Close() }()
	f := r.line(rel, fi, manifest.Regular)
	err := r.pinned(f, p, item{file: f})
	for n := 1; errors.Is(err, sqlitedb.ErrChanged) && n < maxPins; n++ {
		p.Close()
		if p, err = sqlitedb.Pin(r.ctx, r.abs(rel), sqlitedb.Options{Scratch: r.c.t.scratch}); err != nil {
			break
		}
		err = r.pinned(f, p, item{again: true})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	r.c.seen.pin(p.At())
	return r.send(item{end: true})
}

// pinned hands on the pages of a pinned database and what is found out about it in the same transaction.
func (r *reader) pinned(f *manifest.File, p *sqlitedb.Pinned, first item) error {
	f.Size = p.Size()
	f.SQLite = &manifest.SQLite{PageSize: p.PageSize(), Pages: int64(p.Pages()), JournalMode: p.JournalMode()}
	if err := r.send(first); err != nil {
		return err
	}
	if err := r.pages(p); err != nil {
		return err
	}
	if f.Size == 0 {
		f.SQLite = nil // an empty file: a database that nothing was written to yet
		return p.Close()
	}
	return r.inspect(f, p)
}

// pages hands on the pages, in blocks.
func (r *reader) pages(p *sqlitedb.Pinned) error {
	var b []byte
	fill := 0
	err := p.Stream(r.ctx, func(_ uint32, page []byte) error {
		if b == nil {
			var err error
			if b, err = r.block(); err != nil {
				return err
			}
			fill = 0
		}
		fill += copy(b[fill:], page)
		if fill < blockSize {
			return nil
		}
		full := b
		b = nil
		return r.send(item{block: full})
	})
	if err == nil && b != nil {
		err = r.send(item{block: b[:fill]})
	}
	return err
}

// inspect checks the database that was just read, records what it holds, and ends its transaction.
func (r *reader) inspect(f *manifest.File, p *sqlitedb.Pinned) error {
	integrity, detail, err := p.QuickCheck(r.ctx)
	if err != nil {
		return err
	}
	facts, err := p.ReadFacts(r.ctx)
	if err != nil {
		return err
	}
	if grown, err := p.WALGrowth(); err == nil {
		r.c.seen.walGrowth += grown
	}
	r.c.seen.pinTime(p.At(), r.c.t.opts.Now())
	if err := p.Close(); err != nil {
		return err
	}
	f.SQLite.Integrity, f.SQLite.Detail = string(integrity), cut(detail, 1000)
	switch integrity {
	case sqlitedb.Corrupt:
		r.c.t.problems.addDetail(layout.ProblemCorrupt, r.c.Source.Name, f.Path, cut(detail, 200))
	case sqlitedb.OK:
	default:
		r.c.t.problems.addDetail(problemIntegrity, r.c.Source.Name, f.Path, fmt.Sprintf("%s: %s", integrity, cut(detail, 200)))
	}
	sum := manifest.Hash(facts.SchemaSHA256)
	f.SQLite.SchemaSHA256 = &sum
	f.SQLite.UserVersion = int64(facts.UserVersion)
	f.SQLite.ApplicationID = int64(facts.ApplicationID)
	f.SQLite.ForeignKeys = facts.ForeignKeys
	for _, t := range facts.Tables {
		f.SQLite.Tables = append(f.SQLite.Tables, manifest.TableRows{Name: t.Name, Rows: t.Rows})
	}
	return context.Cause(r.ctx)
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
