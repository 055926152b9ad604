package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// maxPins is how often a database is pinned that nobody has open and that somebody changes nevertheless.
const maxPins = 5

// database hands on a database, and gives back p and the room. When it was read without a lock and was changed meanwhile, it is read again.
func (r *reader) database(rel string, fi fs.FileInfo, p *sqlitedb.Pinned, room room, attrs xattrs) error {
	for n := 1; ; n++ {
		f := r.line(rel, fi, manifest.Regular)
		f.Xattrs = attrs.list
		proof, err := r.unchangedDatabase(f, p)
		same := proof != nil
		if err == nil && !same && room.why == nil { // else what can be done for its writers was done
			if p, room, err = r.c.t.letGo(r.ctx, r.c.Source.Name, r.abs(rel), p, r.reach); err != nil && n == 1 {
				return r.unpinned(rel, err)
			}
		}
		if err == nil && !same {
			proof = proofOf(r.ctx, p)
			err = r.pinned(f, p, n > 1)
		}
		from, to := r.c.t.span(r.ctx, p)
		blocked, unbroken := p.Blocked(), p.Unbroken()
		r.c.t.unpin(p)
		cut := room.release()
		if err == nil {
			r.c.seen.span(from, to)
			r.unit.note(to)
			r.judge(f)
			r.heldUp(rel, blocked, unbroken, room.why)
			r.keepXattrs(f, attrs)
			r.links.add(fi, f)
			if same {
				return r.send(item{file: f, same: true, cut: cut, state: proof})
			}
			return r.send(item{end: true, cut: cut, state: proof})
		}
		if errors.Is(err, sqlitedb.ErrChanged) && n < maxPins {
			room.why = nil
			if p, err = r.pin(rel); err == nil {
				continue
			}
		}
		return r.failed(rel, err)
	}
}

// rested hands on a database that was found, when it was pinned, to be what the base has. It was that from one time to another.
func (r *reader) rested(rel string, fi fs.FileInfo, k *known, from, to time.Time, attrs xattrs) error {
	f := r.line(rel, fi, manifest.Regular)
	f.Xattrs = attrs.list
	k.describe(f)
	r.c.seen.span(from, to)
	r.unit.note(to)
	r.judge(f)
	r.keepXattrs(f, attrs)
	r.links.add(fi, f)
	return r.send(item{file: f, same: true, state: k.proof})
}

// unpinned ends a database of which nothing was handed on yet.
func (r *reader) unpinned(rel string, err error) error {
	if noRoom(err) {
		return err
	}
	return r.gone(rel, err)
}

// pinned hands on the pages of a pinned database and what is found out about it in the same transaction.
func (r *reader) pinned(f *manifest.File, p *sqlitedb.Pinned, again bool) error {
	if f.Size = p.Size(); f.Size > 0 { // else nothing was written to it yet: an empty file
		f.SQLite = &manifest.SQLite{PageSize: p.PageSize(), Pages: int64(p.Pages()), JournalMode: p.JournalMode(),
			Found: string(p.Found()), Read: string(p.Read())}
	}
	if err := r.send(item{file: f, again: again}); err != nil {
		return err
	}
	if f.Size == 0 {
		return r.pages(r.ctx, p)
	}
	found, err := r.read(p)
	if err != nil {
		return err
	}
	r.count(p)
	found.describe(f.SQLite)
	return nil
}

// read hands on the pages and checks the database: side by side, if it can be had, which makes the pin shorter too.
func (r *reader) read(p *sqlitedb.Pinned) (found *inspected, err error) {
	if !p.Beside(r.ctx) {
		if err := r.pages(r.ctx, p); err != nil {
			return nil, err
		}
		return inspect(r.ctx, p)
	}
	g, ctx := errgroup.WithContext(r.ctx)
	g.Go(func() error { return r.pages(ctx, p) })
	g.Go(func() (err error) {
		found, err = inspect(ctx, p)
		return err
	})
	err = g.Wait()
	return found, err
}

// pages hands on the pages, in blocks.
func (r *reader) pages(ctx context.Context, p *sqlitedb.Pinned) error {
	var b []byte
	fill := 0
	err := p.Stream(ctx, func(_ uint32, page []byte) error {
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
	if err != nil {
		r.recycle(b)
		return err
	}
	if b == nil {
		return nil
	}
	return r.send(item{block: b[:fill]})
}

// inspected is what was found out about a database.
type inspected struct {
	integrity sqlitedb.Integrity
	detail    string
	facts     sqlitedb.Facts
}

// inspect checks a database, and looks what it holds.
func inspect(ctx context.Context, p *sqlitedb.Pinned) (*inspected, error) {
	integrity, detail, err := p.QuickCheck(ctx)
	if err != nil {
		return nil, err
	}
	facts, err := p.ReadFacts(ctx)
	if err != nil {
		return nil, err
	}
	return &inspected{integrity, detail, facts}, nil
}

// describe records it.
func (i *inspected) describe(s *manifest.SQLite) {
	s.Integrity, s.Detail = string(i.integrity), cut(i.detail, 1000)
	sum := manifest.Hash(i.facts.SchemaSHA256)
	s.SchemaSHA256 = &sum
	s.UserVersion = int64(i.facts.UserVersion)
	s.ApplicationID = int64(i.facts.ApplicationID)
	s.ForeignKeys = i.facts.ForeignKeys
	for _, t := range i.facts.Tables {
		s.Tables = append(s.Tables, manifest.TableRows{Name: t.Name, Rows: t.Rows})
	}
}

// count counts what the pin of a database has cost, when all was read.
func (r *reader) count(p *sqlitedb.Pinned) {
	if grown, err := p.WALGrowth(); err == nil {
		r.c.seen.walGrowth += grown
	}
	blocked := p.Blocked()
	held := blocked
	if p.Slices() == 0 {
		held = max(held, time.Since(p.At()))
	}
	r.c.seen.pinTime(held, blocked)
}

// judge reports a database that did not pass its check.
func (r *reader) judge(f *manifest.File) {
	if f.SQLite == nil || f.SQLite.Integrity == string(sqlitedb.OK) {
		return
	}
	kind, detail := problemIntegrity, f.SQLite.Integrity+": "+cut(f.SQLite.Detail, 200)
	if f.SQLite.Integrity == string(sqlitedb.Corrupt) {
		kind, detail = layout.ProblemCorrupt, cut(f.SQLite.Detail, 200)
	}
	r.c.t.problems.addDetail(kind, r.c.Source.Name, f.Path, detail)
}

// heldUp reports that writers had to wait for longer than they should. noCopy is why no copy was made, or nil.
func (r *reader) heldUp(rel string, blocked time.Duration, unbroken bool, noCopy error) {
	limit := cmp.Or(r.c.t.opts.MaxBlock, sqlitedb.DefaultMaxBlock)
	text := fmt.Sprintf("commits had to wait for up to %s", blocked.Round(time.Millisecond))
	switch {
	case noCopy != nil:
		r.problem(problemHeldUp, rel, fmt.Errorf("%s, until it was packed, since there is no room for a copy (%w); TMPDIR=DIR names another place for it", text, noCopy))
	case unbroken && blocked > limit:
		r.problem(problemHeldUp, rel, fmt.Errorf("%s, though max_block is %s, since they kept coming; WAL mode would end that", text, limit))
	}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
