package snapshot

import (
	"path/filepath"
	"time"

	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// Where there are many files, most of them are small, at rest, and nothing but files. quick hands on such a file with one system call if the base proves that
// it is unchanged, and with six if it must be read. Whatever is anything else, or meets anything out of the ordinary, is left to entry, which begins anew.

// smallFile is the size up to which a file is handed on as one item.
const smallFile = 128 << 10

// A glance is what one look at a regular file with one name shows. Two glances that are equal but for when they were are of a file that nobody touched
// between them.
type glance struct {
	stamp
	mode     uint32 // permission, setuid, setgid and sticky bits as in stat(2)
	uid, gid int64
	at       time.Time // just before the look; of the clock that the kernel stamps with
}

// settledFor reports whether the last change lies so far back, and the time of modification that the file has.
func (g *glance) settledFor(d time.Duration) bool {
	return time.Unix(0, g.Changed).Add(d).Before(g.at) && time.Unix(0, g.Modified).Add(d).Before(g.at)
}

// quick hands on an entry of a directory and reports true, if it is a file of this kind. Else nothing was handed on.
func (r *reader) quick(d *dir, name string) (bool, error) {
	path := d.path + name
	rel := path[len(r.c.Source.Name)+1:]
	if d.list == nil || d.cache || len(path) > manifest.MaxPath || r.c.excludes.match(rel, false) {
		return false, nil
	}
	if _, ok := sqlitedb.SidecarOf(name); ok {
		return false, nil
	}
	first, ok := glanceAt(d.list, name)
	if !ok || d.mayHaveLog(name, first.Size) || r.c.t.pins.awaits(r.c.root, rel) {
		return false, nil
	}
	if done, err := r.sameAs(path, &first); done || err != nil {
		return done, err
	}
	return r.small(d, name, path, &first)
}

// sameAs is unchanged for a glance.
func (r *reader) sameAs(path string, seen *glance) (bool, error) {
	if r.c.t.opts.ReadAll || !seen.settledFor(racy) {
		return false, nil
	}
	was, proof, err := r.base.line(path)
	if err != nil || was == nil || was.SQLite != nil || was.Type != manifest.Regular || *proof != (state{file: seen.stamp}) {
		return false, err
	}
	line := r.lineOf(path, seen)
	line.SHA256, line.Chunk, line.Xattrs = was.SHA256, was.Chunk, was.Xattrs
	r.c.seen.span(time.Unix(0, seen.Changed).Add(tick), seen.at)
	return true, r.send(item{file: line, same: true, state: proof})
}

// small reads a small file between the first glance and a last one, and hands it on if it was at rest, has no extended attributes, and is no database.
func (r *reader) small(d *dir, name, path string, first *glance) (bool, error) {
	if first.Size > smallFile || !first.settledFor(tick) {
		return false, nil
	}
	block, err := r.bytesFor(int(first.Size))
	if err != nil {
		return false, err
	}
	last, ok := readAt(d.list, name, block)
	if !ok || last.stamp != first.stamp || len(block) >= 512 && sqlitedb.IsDatabase(block) {
		r.unused(len(block))
		return false, nil
	}
	r.c.seen.span(time.Unix(0, first.Changed).Add(tick), last.at)
	it := item{file: r.lineOf(path, first), block: block, small: true, end: true}
	if first.settledFor(racy) {
		it.state = &state{file: first.stamp}
	}
	return true, r.send(it)
}

// lineOf is line for a glance.
func (r *reader) lineOf(path string, g *glance) *manifest.File {
	return &manifest.File{Path: path, Type: manifest.Regular, Mode: g.mode, UID: g.uid, GID: g.gid, User: r.owners.user(g.uid), Group: r.owners.group(g.gid),
		ModTime: manifest.Timestamp(g.Modified), Size: g.Size}
}

// mayHaveLog reports whether a file may be a database that only its application can read and that has a log beside it; see companion. Whoever has one open made
// its log before the directory was listed, or the file was a whole database then, in pages.
func (d *dir) mayHaveLog(name string, size int64) bool {
	return d.logs && d.has(name+"-wal") || size > 0 && size%512 == 0 && existsAt(d.list, name+"-wal")
}

// awaits reports whether a database waits for the walk below a source.
func (p *pins) awaits(root, rel string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0 && p.waiting[filepath.Join(root, rel)] != nil
}
