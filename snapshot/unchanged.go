package snapshot

import (
	"context"
	"time"

	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// A state is what a file looked like to stat when it was captured, from which it follows later that it is still the same. There is none
// where that would not follow: where the system has no time of change, or that time was so recent that a later change could have the same.
type state struct {
	file stamp
	log  stamp // of the -wal of a database; zero if there was none
}

func (s *state) equal(o *state) bool { return s != nil && o != nil && *s == *o }

// A stamp is what cannot stay the same when a file changes.
type stamp struct {
	Dev, Ino          uint64
	Size              int64
	Modified, Changed int64 // nanoseconds since 1970
}

// racy is how long ago a change must be for its time to prove anything: longer than the coarsest tick of a file system.
const racy = 2 * time.Second

// stateOf returns what a sight proves later on, or nil.
func stateOf(s sight) *state {
	st, ok := statOf(s.FileInfo)
	changed, known := changeTime(s.FileInfo)
	if !ok || !known || !changed.Add(racy).Before(s.at) || !s.ModTime().Add(racy).Before(s.at) {
		return nil
	}
	return &state{file: stamp{st.dev, st.ino, s.Size(), s.ModTime().UnixNano(), changed.UnixNano()}}
}

// unchanged hands on a file without reading it, if it is proved to be what the base has, and reports whether it did.
func (r *reader) unchanged(rel string, seen sight) (bool, error) {
	if r.c.t.opts.ReadAll {
		return false, nil
	}
	path := r.c.path(rel)
	was, proof, err := r.base.line(path)
	if err != nil || was == nil || was.SQLite != nil || was.Type != manifest.Regular || !proof.equal(stateOf(seen)) {
		return false, err
	}
	line := r.line(rel, seen.FileInfo, manifest.Regular)
	line.Size, line.SHA256, line.Chunk, line.Xattrs = was.Size, was.SHA256, was.Chunk, was.Xattrs
	r.c.seen.rest(seen, seen)
	r.links.add(seen.FileInfo, line)
	return true, r.send(item{file: line, same: true, state: proof})
}

// known is what the base has of a database, and what proves that it is still that.
type known struct {
	file  *manifest.File
	proof *state
}

// is reports whether a database that is pinned looks as it did before the pin of the base.
func (k *known) is(p *sqlitedb.Pinned) bool {
	if k == nil || k.file.Size != p.Size() {
		return false
	}
	now, err := p.Now()
	return err == nil && k.proof.equal(databaseState(now))
}

// describe completes a line.
func (k *known) describe(f *manifest.File) {
	f.Size, f.SHA256, f.Chunk, f.SQLite = k.file.Size, k.file.SHA256, k.file.Chunk, k.file.SQLite
}

// knownDatabase returns what a base has of a database, if something proves that it is still that; else nil.
func knownDatabase(base *cursor, path string) (*known, error) {
	was, proof, err := base.line(path)
	if err != nil || was == nil || was.SQLite == nil {
		return nil, err
	}
	return &known{was, proof}, nil
}

// recall looks up a database that is a source, before anything is pinned.
func (c *capture) recall() (err error) {
	if !c.t.opts.ReadAll {
		c.known, err = knownDatabase(c.t.opts.Base.cursor(c.Source.Name), c.path("."))
	}
	return err
}

// restsAt ends the pin of a database under which nobody can commit, if it is as the base has it, and reports whether it did. Nothing of it needs to
// be copied then, nor read, and whoever commits from now on commits after that instant.
func (c *capture) restsAt(p *sqlitedb.Pinned) bool {
	if !p.BlocksCommits() || !c.known.is(p) {
		return false
	}
	c.at, c.until = p.Span()
	c.t.unpin(p)
	c.pinned = nil
	return true
}

// unchangedDatabase completes the line of a database that is pinned, if its file and its log look as they did before the pin of the base, and
// returns what proves it; else nil.
func (r *reader) unchangedDatabase(f *manifest.File, p *sqlitedb.Pinned) (*state, error) {
	if r.c.t.opts.ReadAll {
		return nil, nil
	}
	k, err := knownDatabase(r.base, f.Path)
	if err != nil || !k.is(p) {
		return nil, err
	}
	k.describe(f)
	return k.proof, nil
}

// proofOf returns what proves later that a database is still as it was pinned, or nil.
func proofOf(ctx context.Context, p *sqlitedb.Pinned) *state {
	looks, proof := p.Before()
	if !proof {
		return nil
	}
	if published, err := p.Published(ctx); err != nil || !published {
		return nil
	}
	return databaseState(looks)
}

func databaseState(looks sqlitedb.Looks) *state {
	return &state{file: stamp(looks.Main), log: stamp(looks.WAL)}
}
